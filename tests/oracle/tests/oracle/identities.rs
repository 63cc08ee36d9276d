//! What must hold of the cells of any history, and what the random histories must have in them.
//!
//! Method: seeds are drawn by proptest and printed when a case fails; [`random_rows`] makes the histories of a seed.
//! The as-of date moves over the generated years, so that rows lie in the future and spells are open, provisionally
//! ended and ended. The reference table is once that of the repository and once one with rules that change.

use std::collections::{BTreeMap, BTreeSet};

use super::support::{BENEFITS_CSV, day, sums};
use proptest::prelude::*;
use rettidig_event::benefit::code_of;
use rettidig_event::person::{INTERVAL_DAYS_MAX, bucket_of, kind};
use rettidig_oracle::calendar::{date_of, month_of, quarter_text};
use rettidig_oracle::row::{Row, from_batch, op, to_batch, topic};
use rettidig_oracle::{
    Cells, Inputs, MEASURES, Options, SpellState, evaluate, random_rows, shuffled, spells,
};

/// Rules by days, rules that change with the year, a benefit that comes to the ladder late, one without a row.
const CHANGING_CSV: &str = "code,gap_rule,in_refund_ladder,valid_from,valid_to\n\
    unemployment,days:30,true,2007-01-01,2024-06-30\n\
    unemployment,full_calendar_month,true,2024-07-01,\n\
    cash,full_calendar_month,true,2007-01-01,2025-01-10\n\
    cash,days:7,true,2025-01-11,2025-12-31\n\
    sickness,one_day,true,2007-01-01,\n\
    early_retirement,one_day,false,2007-01-01,2024-12-31\n\
    early_retirement,days:3,true,2025-01-01,\n";

fn inputs(seed: u64, persons: usize) -> Inputs {
    let spread = i32::try_from(seed % 1_300).expect("small");
    Inputs {
        rows: random_rows(seed, persons, &Options::default()),
        income_delivered: vec![
            (0, month_of(day("2024-01-01"))),
            (101, month_of(day("2026-05-01"))),
            (147, month_of(day("2025-02-01"))),
            (101, month_of(day("2023-02-01"))),
        ],
        benefits_csv: if seed.is_multiple_of(2) { BENEFITS_CSV } else { CHANGING_CSV }.to_owned(),
        as_of: date_of(day("2023-04-01") + spread),
    }
}

/// The country's numbers: municipality taken out of the grain.
fn country(cells: &Cells, measure: &str) -> BTreeMap<Vec<String>, Vec<i64>> {
    sums(cells, measure, |grain| Some(grain[1..].to_vec()))
}

/// Only `total`, without the breakdown's columns.
fn of_total(grain: &[String]) -> Option<Vec<String>> {
    (grain[3] == "total").then(|| grain[..3].to_vec())
}

fn key(parts: [&str; 4]) -> Vec<String> {
    parts.map(str::to_owned).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// open_start + started − ended = open_end for the country, in every benefit, month and breakdown value; and the
    /// next month opens with what this one closed with.
    #[test]
    fn stocks_and_flows_agree_for_the_country(seed: u64) {
        let inputs = inputs(seed, 30);
        let cells = evaluate(&inputs);
        let (stocks, flows) = (country(&cells, "spell_stocks"), country(&cells, "spell_flows"));
        let grains: BTreeSet<_> = stocks.keys().chain(flows.keys()).collect();
        for grain in grains {
            let stock = stocks.get(grain).cloned().unwrap_or_else(|| vec![0; 4]);
            let flow = flows.get(grain).cloned().unwrap_or_else(|| vec![0; 2]);
            prop_assert_eq!(stock[0] + flow[0] - flow[1], stock[1], "{:?}", grain);
            prop_assert_eq!(stock[1], stock[3]);
        }
        let newest = inputs.as_of.format("%Y-%m").to_string();
        for (grain, stock) in stocks.iter().filter(|(grain, _)| grain[1] != newest) {
            let (year, month) = grain[1].split_once('-').expect("a month");
            let (year, month): (i32, i32) = (year.parse().expect("year"), month.parse().expect("month"));
            let next = format!("{:04}-{:02}", year + month / 12, month % 12 + 1);
            let next = stocks.get(&key([&grain[0], &next, &grain[2], &grain[3]]));
            prop_assert_eq!(next.map_or(0, |stock| stock[0]), stock[1], "{:?}", grain);
        }
    }

    /// The values of each breakdown sum to the total.
    #[test]
    fn breakdowns_sum_to_the_total(seed: u64) {
        let cells = evaluate(&inputs(seed, 30));
        for measure in ["covered", "spell_flows", "spell_stocks", "activated"] {
            let total = sums(&cells, measure, of_total);
            for breakdown in ["age", "sex", "origin"] {
                let values = sums(&cells, measure, |grain| (grain[3] == breakdown).then(|| grain[..3].to_vec()));
                prop_assert_eq!(&values, &total, "{} by {}", measure, breakdown);
            }
        }
    }

    /// Every ended spell is in one band, has one status after each number of months, and relapses in 52 weeks if it
    /// does in 26. Survival begins with all spells that started and loses nobody but at an end or by censoring.
    #[test]
    fn ended_spells_are_counted_once_everywhere(seed: u64) {
        let cells = evaluate(&inputs(seed, 30));
        let mut ended = sums(&cells, "spell_flows", of_total);
        for flow in ended.values_mut() {
            flow.remove(0);
        }
        ended.retain(|_, flow| flow[0] > 0);
        let mut banded = sums(&cells, "ended_durations", |grain| Some(grain[..3].to_vec()));
        for counts in banded.values_mut() {
            counts.truncate(1);
        }
        prop_assert_eq!(&banded, &ended);
        for months in ["1", "3", "6", "12"] {
            let mut status = sums(&cells, "status_after", |grain| (grain[3] == months).then(|| grain[..3].to_vec()));
            for counts in status.values_mut() {
                *counts = vec![counts.iter().sum()];
            }
            prop_assert_eq!(&status, &ended);
        }
        for (grain, counts) in &cells["relapse"] {
            prop_assert!(counts[0] <= counts[1] && counts[1] <= ended[grain][0]);
        }
        let started = sums(&cells, "spell_flows", |grain| {
            let (year, month) = grain[2].split_once('-')?;
            let month: i32 = month.parse().ok()?;
            let year: i32 = year.parse().ok()?;
            let quarter = quarter_text((year - 1970) * 12 + month - 1);
            (grain[3] == "total").then(|| vec![grain[1].clone(), quarter])
        });
        for (grain, counts) in &cells["survival"] {
            let started = started[&grain[..2]][0];
            let week: usize = grain[2].parse().expect("a week");
            prop_assert!(counts[1] <= counts[0] && counts[0] <= started);
            if week == 0 {
                prop_assert_eq!(counts[0], started);
            } else {
                let before = vec![grain[0].clone(), grain[1].clone(), format!("{:03}", week - 1)];
                let before = &cells["survival"][&before];
                prop_assert!(counts[0] <= before[0] - before[1]);
            }
        }
    }

    /// No cell has more activated than covered days, more days under 30 than covered, or more on time than due;
    /// covered days are not more than the recipients' months have.
    #[test]
    fn parts_are_not_more_than_the_whole(seed: u64) {
        let cells = evaluate(&inputs(seed, 30));
        for (grain, counts) in &cells["covered"] {
            prop_assert!(counts[1] <= counts[0] && counts[0] <= 31 * counts[1], "{:?}", grain);
        }
        for (grain, counts) in &cells["activated"] {
            let covered = &cells["covered"][grain];
            prop_assert!(counts[0] <= covered[0] && counts[1] <= covered[1]);
        }
        let covered = sums(&cells, "covered", of_total);
        for (grain, counts) in &cells["under_30"] {
            prop_assert!(counts[0] + counts[1] <= covered[grain][0]);
        }
        for counts in cells["contacts"].values().chain(cells["language_tests"].values()) {
            prop_assert!(counts[1] <= counts[0]);
        }
    }

    /// Neither the order of arrival nor duplicates change a cell.
    #[test]
    fn order_and_duplicates_do_not_matter(seed: u64, order: u64) {
        let inputs = inputs(seed, 25);
        let cells = evaluate(&inputs);
        let mut rows = from_batch(&shuffled(&inputs.rows, order));
        let again = rows[..rows.len() / 2].to_vec();
        rows.extend(again);
        let rows = shuffled(&to_batch(&rows), order ^ 1);
        prop_assert_eq!(evaluate(&Inputs { rows, ..inputs }), cells);
    }

    /// The cells of all are the sums of the cells of two halves: a person's part depends on the person alone.
    #[test]
    fn cells_add_up_over_persons(seed: u64) {
        let inputs = inputs(seed, 24);
        let (one, other): (Vec<Row>, Vec<Row>) =
            from_batch(&inputs.rows).into_iter().partition(|row| row.person[15] % 2 == 0);
        let mut sum = evaluate(&Inputs { rows: to_batch(&one), ..inputs.clone() });
        for (measure, rows) in evaluate(&Inputs { rows: to_batch(&other), ..inputs.clone() }) {
            let into = sum.get_mut(&measure).expect("every measure");
            for (grain, integers) in rows {
                let cell = into.entry(grain).or_insert_with(|| vec![0; integers.len()]);
                for (cell, integer) in cell.iter_mut().zip(integers) {
                    *cell += integer;
                }
            }
            into.retain(|_, cell| cell.iter().any(|integer| *integer != 0));
        }
        prop_assert_eq!(sum, evaluate(&inputs));
    }

    /// No øre is lost: the months' money is the sum of the current rows' money, benefit by benefit, at any D.
    #[test]
    fn no_money_is_lost(seed: u64) {
        let inputs = inputs(seed, 30);
        let cells = evaluate(&inputs);
        let mut current: BTreeMap<_, Row> = BTreeMap::new();
        for row in from_batch(&inputs.rows).into_iter().filter(|row| row.topic == topic::PAYMENTS) {
            let known = current.entry((row.person, row.source.clone(), row.id.clone())).or_insert_with(|| row.clone());
            if row.revision > known.revision {
                *known = row;
            }
        }
        let mut money: BTreeMap<Vec<String>, Vec<i64>> = BTreeMap::new();
        for row in current.into_values().filter(|row| row.op != op::DELETE) {
            let code = code_of(row.benefit.expect("benefit")).expect("code").to_owned();
            let sum = money.entry(vec![code]).or_insert_with(|| vec![0; 2]);
            sum[0] += row.amount_oere.expect("amount");
            sum[1] += row.refund_oere.expect("refund");
        }
        money.retain(|_, sum| *sum != [0, 0]);
        prop_assert_eq!(sums(&cells, "amounts", |grain| Some(vec![grain[1].clone()])), money);
    }
}

/// Whole months of history beyond D change nothing but money: the same rows without those that begin after D give
/// the same cells in all other measures, as long as the rows that remain tell the same of the person.
#[test]
fn the_future_is_money_only() {
    for seed in 0..20 {
        let inputs = inputs(seed, 25);
        let as_of = day(&inputs.as_of.to_string());
        let mut rows = from_batch(&inputs.rows);
        for row in &mut rows {
            row.birth_month = Some(300);
            row.sex = Some(1);
        }
        let all = evaluate(&Inputs { rows: to_batch(&rows), ..inputs.clone() });
        // Rows of a ledger only: leaving out one revision of a record would bring back the one before it.
        rows.retain(|row| row.op != op::ADD || row.topic != topic::PAYMENTS || row.from_day <= Some(as_of));
        let past = evaluate(&Inputs { rows: to_batch(&rows), ..inputs });
        for (measure, ..) in MEASURES {
            if !matches!(measure, "amounts" | "refund_weeks") {
                assert_eq!(all[measure], past[measure], "seed {seed}: {measure}");
            }
        }
        let expected = |cells: &Cells| -> BTreeMap<Vec<String>, i64> {
            let weeks = cells["refund_weeks"].iter().map(|(week, values)| (week.clone(), values[0]));
            weeks.filter(|(_, expected)| *expected != 0).collect()
        };
        assert!(expected(&all) == expected(&past), "seed {seed}: expected refund by week");
    }
}

/// The random histories reach every measure, every integer column, every state, every bucket and every kind of
/// trouble that they are for, and hold to what they promise.
#[test]
fn the_histories_have_everything_in_them() {
    let options = Options::default();
    let batch = random_rows(7, 1_024, &options);
    assert_eq!(batch, random_rows(7, 1_024, &options), "the same seed, the same rows");
    let rows = from_batch(&batch);
    let buckets: BTreeSet<usize> = rows.iter().map(|row| bucket_of(&row.person)).collect();
    assert_eq!(buckets.len(), 1_024);
    let mut versions: BTreeMap<_, Row> = BTreeMap::new();
    let mut styles: BTreeMap<_, bool> = BTreeMap::new();
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    let (mut duplicates, mut deletes_first, mut recorded_twice) = (0, 0, BTreeSet::new());
    for (place, row) in rows.iter().enumerate() {
        let identity = (row.person, row.topic, row.source.clone(), row.id.clone());
        assert_eq!(*styles.entry(identity.clone()).or_insert(row.op == op::ADD), row.op == op::ADD);
        deletes_first +=
            usize::from(*places.entry(identity.clone()).or_insert(place) == place && row.op == op::DELETE);
        match versions.get(&(identity.clone(), row.revision)) {
            Some(known) => {
                assert_eq!(known, row, "duplicates are exact");
                duplicates += 1;
            }
            None => {
                versions.insert((identity, row.revision), row.clone());
            }
        }
        recorded_twice.insert((row.person, row.recorded_at));
        if row.kind == kind::PAYMENT
            && let (Some(from), Some(to)) = (row.from_day, row.to_day)
        {
            assert!(from <= to && i64::from(to - from) < INTERVAL_DAYS_MAX);
            assert!(day(&options.first_day.to_string()) <= from && to <= day(&options.last_day.to_string()));
        }
    }
    assert!(
        duplicates > 1_000 && deletes_first > 500,
        "{duplicates} duplicates, {deletes_first} deletes first"
    );
    assert!(recorded_twice.len() + 1_000 < versions.len(), "instants are shared");
    let inputs = Inputs { rows: batch, ..inputs(1_200, 1) };
    let cells = evaluate(&inputs);
    for (measure, _, columns) in MEASURES {
        for (at, column) in columns.iter().enumerate() {
            assert!(cells[measure].values().any(|integers| integers[at] != 0), "{measure}: {column}");
        }
    }
    assert!(cells["amounts"].values().any(|money| money[0] < 0));
    for (at, expected) in
        [("age", 6), ("sex", 3), ("origin", 4)].map(|(breakdown, values)| (breakdown.to_owned(), values))
    {
        let values: BTreeSet<&String> =
            cells["covered"].keys().filter(|grain| grain[3] == at).map(|grain| &grain[4]).collect();
        assert_eq!(values.len(), expected, "{values:?}");
    }
    let states: Vec<SpellState> = spells(&inputs).into_values().flatten().map(|spell| spell.state).collect();
    for state in [SpellState::Open, SpellState::ProvisionallyEnded, SpellState::Ended] {
        assert!(states.contains(&state), "{state:?}");
    }
}

/// Two thousand persons with ten years of history take seconds: enough for every run of the tests.
#[test]
fn ten_years_of_two_thousand_persons_are_feasible() {
    let options = Options { first_day: "2016-10-01".parse().expect("date"), ..Options::default() };
    let rows = random_rows(1, 2_000, &options);
    assert!(rows.num_rows() > 100_000, "{} rows", rows.num_rows());
    let cells = evaluate(&Inputs { rows, ..inputs(1_276, 1) });
    assert!(cells.values().all(|rows| !rows.is_empty()));
}
