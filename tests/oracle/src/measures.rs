//! The measures, one function for each family: what one person adds to the cells.

use std::collections::{BTreeMap, BTreeSet};

use rettidig_event::{benefit, person::kind};

use crate::calendar::{
    Day, Month, date_of, first_day_of, last_day_of, monday_of, month_of, month_text, months_after,
    quarter_text,
};
use crate::facts::{Facts, Interval, Spell};
use crate::reference::Benefits;
use crate::{Cells, MEASURES};

/// 1 January 2016, the day the refund ladder begins.
const LADDER_FROM: Day = 16_801;

/// One value of a grain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    None,
    Municipality(i32),
    Benefit(i32),
    Month(Month),
    /// Any month of the quarter's.
    Quarter(Month),
    Week(i32),
    Monday(Day),
    Text(&'static str),
    /// A language school's code, padded with zeros.
    School([u8; 32]),
}
use Part::{Monday, Municipality, Quarter, Text, Week};

impl Part {
    fn text(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Municipality(code) => Some(format!("{code:04}")),
            Self::Benefit(number) => Some(benefit::code_of(number).expect("a benefit").to_owned()),
            Self::Month(month) => Some(month_text(month)),
            Self::Quarter(month) => Some(quarter_text(month)),
            Self::Monday(day) => Some(date_of(day).to_string()),
            Self::Week(week) => Some(format!("{week:03}")),
            Self::Text(text) => Some(text.to_owned()),
            Self::School(code) => Some(String::from_utf8_lossy(&code).trim_end_matches('\0').to_owned()),
        }
    }
}

/// Cells under construction: grain, padded, → integers, padded.
type Sums = BTreeMap<[Part; 5], [i64; 5]>;

/// The sums over the persons counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, Sums>);

impl Tally {
    fn add<const GRAIN: usize, const WIDTH: usize>(
        &mut self,
        measure: &'static str,
        grain: [Part; GRAIN],
        integers: [i64; WIDTH],
    ) {
        if integers == [0; WIDTH] {
            return;
        }
        let mut key = [Part::None; 5];
        key[..GRAIN].copy_from_slice(&grain);
        let sums = self.0.entry(measure).or_default().entry(key).or_default();
        for (sum, integer) in sums.iter_mut().zip(integers) {
            *sum += integer;
        }
    }

    pub fn into_cells(mut self) -> Cells {
        let mut cells = Cells::new();
        for (measure, grain, integers) in MEASURES {
            let rows = cells.entry(measure.to_owned()).or_default();
            for (key, sums) in self.0.remove(measure).unwrap_or_default() {
                let key: Vec<String> = key.into_iter().filter_map(Part::text).collect();
                assert_eq!(key.len(), grain.len(), "{measure}: the grain of {key:?}");
                let sums = sums[..integers.len()].to_vec();
                if sums.iter().any(|sum| *sum != 0) {
                    rows.insert(key, sums);
                }
            }
        }
        assert!(self.0.is_empty(), "measures that are not listed: {:?}", self.0.keys());
        cells
    }
}

/// Adds one person to every measure.
pub(crate) fn count(
    facts: &Facts,
    benefits: &Benefits,
    income_delivered: &[(i32, Month)],
    tally: &mut Tally,
) {
    count_days(facts, tally);
    count_money(facts, tally);
    for spell in &facts.spells {
        count_flows(facts, spell, tally);
        count_stocks(facts, spell, tally);
        count_survival(facts, spell, tally);
        if spell.ended() {
            count_duration(spell, tally);
            count_move(facts, spell, tally);
            count_status_after(facts, spell, income_delivered, tally);
            count_relapse(facts, spell, tally);
        }
    }
    count_steps(facts, tally);
    count_school_tests(facts, tally);
    count_expected_refund(facts, benefits, tally);
    count_refund_weeks(facts, benefits, tally);
}

/// `covered`, `activated`, `under_30`: day by day.
fn count_days(facts: &Facts, tally: &mut Tally) {
    #[derive(Default)]
    struct Days {
        covered: i64,
        activated: i64,
    }
    for (benefit, days) in &facts.covered {
        let mut months: BTreeMap<(i32, Month), Days> = BTreeMap::new();
        for (&day, &municipality) in days {
            let cell = months.entry((municipality, month_of(day))).or_default();
            cell.covered += 1;
            cell.activated += i64::from(facts.activated_on(day));
        }
        for ((municipality, month), Days { covered, activated }) in months {
            let cell = [Municipality(municipality), Part::Benefit(*benefit), Part::Month(month)];
            let [municipality, benefit, at] = cell;
            for (breakdown, value) in facts.breakdowns(month) {
                let grain = [municipality, benefit, at, Text(breakdown), Text(value)];
                tally.add("covered", grain, [covered, 1]);
                tally.add("activated", grain, [activated, i64::from(activated > 0)]);
            }
            match facts.age_at_end_of(month) {
                None => tally.add("under_30", cell, [0, covered, 0]),
                Some(..30) => tally.add("under_30", cell, [covered, 0, 1]),
                Some(30..) => {}
            }
        }
    }
}

/// Rulings 5 and 20: an amount spread over the periods (months or weeks) of the interval's days.
fn spread(interval: &Interval, amount_oere: i64, period_of: fn(Day) -> i32) -> BTreeMap<i32, i64> {
    let mut days: BTreeMap<i32, i64> = BTreeMap::new();
    for day in interval.from..=interval.to {
        *days.entry(period_of(day)).or_default() += 1;
    }
    let length = i64::from(interval.to - interval.from + 1);
    // Integer division of Rust truncates toward zero.
    let mut shares: BTreeMap<i32, i64> =
        days.into_iter().map(|(period, days)| (period, amount_oere * days / length)).collect();
    let rest = amount_oere - shares.values().sum::<i64>();
    *shares.entry(period_of(interval.to)).or_default() += rest;
    shares
}

/// `amounts`.
fn count_money(facts: &Facts, tally: &mut Tally) {
    for interval in &facts.intervals {
        let grain = |month| {
            [Municipality(interval.municipality), Part::Benefit(interval.benefit), Part::Month(month)]
        };
        for (month, share) in spread(interval, interval.amount_oere, month_of) {
            tally.add("amounts", grain(month), [share, 0]);
        }
        for (month, share) in spread(interval, interval.refund_oere, month_of) {
            tally.add("amounts", grain(month), [0, share]);
        }
    }
}

/// `spell_flows`; ruling 11: a spell is broken down as of the month it began in.
fn count_flows(facts: &Facts, spell: &Spell, tally: &mut Tally) {
    for (breakdown, value) in facts.breakdowns(month_of(spell.first)) {
        let grain = |municipality, day| {
            let (benefit, month) = (Part::Benefit(spell.benefit), Part::Month(month_of(day)));
            [Municipality(municipality), benefit, month, Text(breakdown), Text(value)]
        };
        tally.add("spell_flows", grain(spell.first_municipality, spell.first), [1, 0]);
        if spell.ended() {
            tally.add("spell_flows", grain(spell.last_municipality, spell.last), [0, 1]);
        }
    }
}

/// `spell_stocks`, `running_durations`, `labour_reserve` and `long_sickness`: every month from the spell's first to that of the as-of date.
fn count_stocks(facts: &Facts, spell: &Spell, tally: &mut Tally) {
    let values = facts.breakdowns(month_of(spell.first));
    let sickness = benefit::number_of("sickness");
    let unemployed = ["unemployment", "cash"].map(benefit::number_of);
    for month in month_of(spell.first)..=month_of(facts.as_of) {
        let (first, last) = (first_day_of(month), last_day_of(month));
        let ended_before = spell.ended() && spell.last < first;
        let ended_within = spell.ended() && spell.last <= last;
        let open_start = spell.first < first && !ended_before;
        let open_end = spell.first <= last && !ended_within;
        let running = if open_end { i64::from(last - spell.first + 1) } else { 0 };
        let municipality = Municipality(spell.last_municipality);
        for (breakdown, value) in values {
            let (benefit, at) = (Part::Benefit(spell.benefit), Part::Month(month));
            tally.add(
                "spell_stocks",
                [municipality, benefit, at, Text(breakdown), Text(value)],
                [i64::from(open_start), i64::from(open_end), running, i64::from(open_end)],
            );
        }
        if open_end {
            let grain = [municipality, Part::Benefit(spell.benefit), Part::Month(month), Text(band(running))];
            tally.add("running_durations", grain, [1]);
        }
        if unemployed.contains(&Some(spell.benefit)) && running > 91 {
            tally.add("labour_reserve", [municipality, Part::Month(month)], [1]);
        }
        if Some(spell.benefit) == sickness && running > 182 {
            tally.add("long_sickness", [municipality, Part::Month(month)], [1]);
        }
    }
}

fn grain_of_end(spell: &Spell) -> [Part; 3] {
    [Municipality(spell.last_municipality), Part::Benefit(spell.benefit), Part::Month(month_of(spell.last))]
}

/// The band of whole weeks that so many days lie in.
fn band(days: i64) -> &'static str {
    match days / 7 {
        ..5 => "0-4",
        5..14 => "5-13",
        14..27 => "14-26",
        27..53 => "27-52",
        53..105 => "53-104",
        105.. => "105+",
    }
}

/// `ended_durations`.
fn count_duration(spell: &Spell, tally: &mut Tally) {
    let band = band(spell.days());
    let [municipality, benefit, month] = grain_of_end(spell);
    tally.add("ended_durations", [municipality, benefit, month, Text(band)], [1, spell.days()]);
}

/// `benefit_moves`: the other benefit of the next day, of several the one with the lowest number.
fn count_move(facts: &Facts, spell: &Spell, tally: &mut Tally) {
    let next = spell.last + 1;
    let other = |(benefit, days): (&i32, &BTreeMap<Day, i32>)| {
        (*benefit != spell.benefit && days.contains_key(&next)).then_some(*benefit)
    };
    let to = facts.covered.iter().filter_map(other).min();
    let to = to.map_or("none", |number| benefit::code_of(number).expect("a benefit"));
    let [municipality, benefit, month] = grain_of_end(spell);
    tally.add("benefit_moves", [municipality, benefit, month, Text(to)], [1]);
}

/// `status_after` and `status_after_long`, ruling 13.
fn count_status_after(facts: &Facts, spell: &Spell, income_delivered: &[(i32, Month)], tally: &mut Tally) {
    let delivered = income_delivered
        .iter()
        .filter(|(municipality, _)| *municipality == 0 || *municipality == spell.last_municipality)
        .map(|(_, newest)| *newest)
        .max();
    for (label, months) in [("1", 1), ("3", 3), ("6", 6), ("12", 12)] {
        let target = months_after(spell.last, months);
        let month = month_of(target);
        let known = last_day_of(month) <= facts.as_of && delivered.is_some_and(|newest| newest >= month);
        let counts = if !known {
            [0, 0, 0, 1]
        } else if facts.wage_oere(month) > 0 {
            [1, 0, 0, 0]
        } else if facts.covered_on(target) {
            [0, 1, 0, 0]
        } else {
            [0, 0, 1, 0]
        };
        let [municipality, benefit, at] = grain_of_end(spell);
        tally.add("status_after", [municipality, benefit, at, Text(label)], counts);
        if spell.days() > 364 {
            tally.add("status_after_long", [municipality, benefit, at, Text(label)], counts);
        }
    }
}

/// `relapse`, ruling 14.
fn count_relapse(facts: &Facts, spell: &Spell, tally: &mut Tally) {
    let within = |weeks: i32| {
        facts.spells.iter().any(|next| {
            next.benefit == spell.benefit && next.first > spell.last && next.first - spell.last <= weeks * 7
        })
    };
    tally.add("relapse", grain_of_end(spell), [i64::from(within(26)), i64::from(within(52))]);
}

/// `survival`, ruling 15.
fn count_survival(facts: &Facts, spell: &Spell, tally: &mut Tally) {
    let until = if spell.ended() { spell.last } else { facts.as_of };
    let duration = (until - spell.first + 1) / 7;
    let quarter = first_month_of_quarter(month_of(spell.first));
    for week in 0..=104 {
        let ended = spell.ended() && duration == week;
        tally.add(
            "survival",
            [Part::Benefit(spell.benefit), Quarter(quarter), Week(week)],
            [i64::from(duration >= week), i64::from(ended)],
        );
    }
}

fn first_month_of_quarter(month: Month) -> Month {
    month - month.rem_euclid(3)
}

/// `school_tests`, ruling 22: at each school and at all of them (`total`), by the half-year of the test.
fn count_school_tests(facts: &Facts, tally: &mut Tally) {
    let mut rounds: BTreeMap<([u8; 32], Month), [i64; 2]> = BTreeMap::new();
    for test in facts.steps(kind::LANGUAGE_TEST) {
        let on = test.from_day.expect("a test's day");
        if on > facts.as_of {
            continue;
        }
        let month = month_of(on);
        let failed = usize::from(!test.passed.expect("a test's result"));
        for school in [test.school.as_deref().unwrap_or("unknown"), "total"] {
            let mut code = [0; 32];
            code[..school.len()].copy_from_slice(school.as_bytes());
            rounds.entry((code, month - month.rem_euclid(6))).or_default()[failed] += 1;
        }
    }
    for ((school, round), [good, bad]) in rounds {
        let grain = [Part::School(school), Part::Month(round)];
        let counts = [good + bad, good, 1, i64::from(good > 0), i64::from(bad > 0)];
        tally.add("school_tests", grain, counts);
    }
}

/// `contacts` and `language_tests`, ruling 17, in the municipality that reported them; persons are counted once, and once for
/// each of both outcomes.
fn count_steps(facts: &Facts, tally: &mut Tally) {
    let mut months: BTreeMap<(&str, i32, Month), [i64; 2]> = BTreeMap::new();
    let mut step = |measure, municipality, day, is_good: bool| {
        if day <= facts.as_of {
            months.entry((measure, municipality, month_of(day))).or_default()[usize::from(!is_good)] += 1;
        }
    };
    for contact in facts.steps(kind::CONTACT) {
        let due = contact.from_day.expect("a contact's due date");
        step("contacts", contact.municipality, due, contact.to_day.is_some_and(|held| held <= due));
    }
    for test in facts.steps(kind::LANGUAGE_TEST) {
        let on = test.from_day.expect("a test's day");
        step("language_tests", test.municipality, on, test.passed.expect("a test's result"));
    }
    for ((measure, municipality, month), [good, bad]) in months {
        let grain = [Municipality(municipality), Part::Month(month)];
        tally.add(measure, grain, [good + bad, good, 1, i64::from(good > 0), i64::from(bad > 0)]);
    }
}

/// Ruling 18: the refund that the ladder promises, by municipality, benefit and period (month or week).
fn expected_refunds(
    facts: &Facts,
    benefits: &Benefits,
    period_of: fn(Day) -> i32,
    is_asked: fn(&Interval) -> bool,
) -> BTreeMap<(i32, i32, i32), i64> {
    #[derive(Default)]
    struct Cell {
        money_oere: i64,
        days: i64,
        rates_percent: i64,
    }
    let mut cells: BTreeMap<(i32, i32, i32), Cell> = BTreeMap::new();
    for interval in facts.intervals.iter().filter(|interval| interval.counts() && is_asked(interval)) {
        for (period, share) in spread(interval, interval.amount_oere, period_of) {
            cells.entry((interval.municipality, interval.benefit, period)).or_default().money_oere += share;
        }
    }
    let on_ladder = |benefit: i32, day: Day| LADDER_FROM <= day && benefits.in_refund_ladder_on(benefit, day);
    let ladder_days: BTreeSet<Day> = facts
        .covered
        .iter()
        .flat_map(|(benefit, days)| days.keys().filter(|day| on_ladder(*benefit, **day)))
        .copied()
        .collect();
    let rates: BTreeMap<Day, i64> =
        ladder_days.into_iter().zip(1..).map(|(day, ordinal)| (day, rate_percent(ordinal))).collect();
    for (benefit, days) in &facts.covered {
        for (&day, &municipality) in days {
            if on_ladder(*benefit, day) {
                let cell = cells.entry((municipality, *benefit, period_of(day))).or_default();
                cell.days += 1;
                cell.rates_percent += rates[&day];
            }
        }
    }
    let cells = cells.into_iter().filter(|(_, cell)| cell.days > 0);
    cells.map(|(key, cell)| (key, cell.money_oere * cell.rates_percent / (100 * cell.days))).collect()
}

/// `refund_expected`, ruling 18.
fn count_expected_refund(facts: &Facts, benefits: &Benefits, tally: &mut Tally) {
    for ((municipality, benefit, month), expected_oere) in
        expected_refunds(facts, benefits, month_of, |_| true)
    {
        let grain = [Municipality(municipality), Part::Benefit(benefit), Part::Month(month)];
        tally.add("refund_expected", grain, [expected_oere]);
    }
}

/// `refund_weeks`, ruling 20: of ledgers, for records of benefit periods tell no refund.
fn count_refund_weeks(facts: &Facts, benefits: &Benefits, tally: &mut Tally) {
    let mut weeks: BTreeMap<(i32, Day), [i64; 2]> = BTreeMap::new();
    for ((municipality, _, monday), expected_oere) in
        expected_refunds(facts, benefits, monday_of, |i| i.is_ledger)
    {
        weeks.entry((municipality, monday)).or_default()[0] += expected_oere;
    }
    for interval in facts.intervals.iter().filter(|interval| interval.is_ledger) {
        for (monday, share) in spread(interval, interval.refund_oere, monday_of) {
            weeks.entry((interval.municipality, monday)).or_default()[1] += share;
        }
    }
    for ((municipality, monday), [expected_oere, booked_oere]) in weeks {
        let grain = [Municipality(municipality), Part::Month(month_of(monday)), Monday(monday)];
        let persons = i64::from(expected_oere != 0 || booked_oere != 0);
        tally.add("refund_weeks", grain, [expected_oere, booked_oere, persons, i64::from(booked_oere != 0)]);
    }
}

/// The state's part of the `ordinal`-th accumulated day.
fn rate_percent(ordinal: i64) -> i64 {
    match ordinal {
        ..=28 => 80,
        29..=182 => 40,
        183..=364 => 30,
        365.. => 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::day_of;

    #[test]
    fn the_ladder_begins_in_2016() {
        assert_eq!(LADDER_FROM, day_of("2016-01-01".parse().expect("date")));
    }
}
