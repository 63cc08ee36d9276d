//! What is true of one person up to the as-of date: intervals, covered days, spells, wages, activations, and the
//! values that the person is broken down by (rulings 3, 4 and 6 to 9).

use std::collections::BTreeMap;

use rettidig_event::person::kind;

use crate::calendar::{Day, Month, first_day_of, last_day_of, month_of};
use crate::reference::{Benefits, GapRule};
use crate::row::{History, Row, op, topic};

/// The place of a row in the order of ruling 2, owned.
type Order = (i64, String, String, i64);

/// A stretch of days that money was paid for.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub benefit: i32,
    pub from: Day,
    pub to: Day,
    pub amount_oere: i64,
    pub refund_oere: i64,
    /// Whether it is the sum of a ledger's rows.
    pub is_ledger: bool,
    pub municipality: i32,
    order: Order,
}

impl Interval {
    pub fn counts(&self) -> bool {
        self.amount_oere > 0
    }
}

/// How a spell stands at the as-of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpellState {
    /// Still running, as far as is known.
    Open,
    /// Over by more than 31 days, but the gap can still be bridged.
    ProvisionallyEnded,
    /// Over: the gap rule can no longer be bridged.
    Ended,
}

/// Covered days joined by the gap rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// Number of the benefit.
    pub benefit: i32,
    /// First covered day.
    pub first: Day,
    /// Last covered day.
    pub last: Day,
    /// Municipality of the first day.
    pub first_municipality: i32,
    /// Municipality of the last day.
    pub last_municipality: i32,
    /// State at the as-of date.
    pub state: SpellState,
}

impl Spell {
    /// Days from the first to the last, both included.
    pub fn days(&self) -> i64 {
        i64::from(self.last - self.first + 1)
    }

    /// Whether the spell is known to be over.
    pub fn ended(&self) -> bool {
        self.state == SpellState::Ended
    }
}

/// An offer that runs, or ran.
#[derive(Debug)]
pub(crate) struct Activation {
    from: Day,
    to: Option<Day>,
}

/// All that the measures ask of one person.
#[derive(Debug)]
pub(crate) struct Facts {
    pub as_of: Day,
    pub live: Vec<Row>,
    pub birth_month: Option<Month>,
    pub sex: Option<i32>,
    pub intervals: Vec<Interval>,
    /// Benefit → covered day → municipality of the day.
    pub covered: BTreeMap<i32, BTreeMap<Day, i32>>,
    pub spells: Vec<Spell>,
    activations: Vec<Activation>,
    /// Month → wages.
    wages: BTreeMap<Month, i64>,
}

impl Facts {
    pub fn of(history: &History, benefits: &Benefits, as_of: Day) -> Self {
        let in_order = history.in_order();
        let live: Vec<Row> = history.live().into_iter().cloned().collect();
        let intervals = intervals(&live);
        let covered = covered_days(&intervals, as_of);
        let spells =
            covered.iter().flat_map(|(benefit, days)| spells(*benefit, days, benefits, as_of)).collect();
        let mut wages: BTreeMap<Month, i64> = BTreeMap::new();
        for row in live.iter().filter(|row| row.topic == topic::INCOME) {
            *wages.entry(month_of(row.from_day.expect("a wage's month"))).or_default() +=
                row.amount_oere.expect("a wage's amount");
        }
        let activations = of_kind(&live, kind::ACTIVATION)
            .map(|row| Activation { from: row.from_day.expect("an activation's first day"), to: row.to_day })
            .collect();
        Self {
            as_of,
            birth_month: in_order.iter().rev().find_map(|row| row.birth_month),
            sex: in_order.iter().rev().find_map(|row| row.sex),
            intervals,
            covered,
            spells,
            activations,
            wages,
            live,
        }
    }

    /// Live rows of one kind of step.
    pub fn steps(&self, kind: i32) -> impl Iterator<Item = &Row> {
        of_kind(&self.live, kind)
    }

    pub fn activated_on(&self, day: Day) -> bool {
        self.activations.iter().any(|offer| offer.from <= day && offer.to.is_none_or(|to| day <= to))
    }

    pub fn covered_on(&self, day: Day) -> bool {
        self.covered.values().any(|days| days.contains_key(&day))
    }

    pub fn wage_oere(&self, month: Month) -> i64 {
        self.wages.get(&month).copied().unwrap_or(0)
    }

    /// Whole years at the end of a month.
    pub fn age_at_end_of(&self, month: Month) -> Option<i32> {
        self.birth_month.map(|birth| (month - birth) / 12)
    }

    /// The breakdowns and their values at the end of a month, `total` first.
    pub fn breakdowns(&self, month: Month) -> [(&'static str, &'static str); 4] {
        let age = match self.age_at_end_of(month) {
            None => "unknown",
            Some(..25) => "16-24",
            Some(25..30) => "25-29",
            Some(30..50) => "30-49",
            Some(50..60) => "50-59",
            Some(60..) => "60+",
        };
        let sex = match self.sex {
            Some(1) => "female",
            Some(2) => "male",
            _ => "unknown",
        };
        [("total", "total"), ("age", age), ("sex", sex), ("origin", self.origin_at(last_day_of(month)))]
    }

    fn origin_at(&self, day: Day) -> &'static str {
        let latest = self
            .steps(kind::ORIGIN)
            .filter(|row| row.from_day.expect("an origin's first day") <= day)
            .max_by(|a, b| (a.from_day, a.order()).cmp(&(b.from_day, b.order())));
        match latest.and_then(|row| row.detail.as_deref()) {
            Some("danish") => "danish",
            Some("western") => "western",
            Some("non_western") => "non_western",
            _ => "unknown",
        }
    }
}

fn of_kind(live: &[Row], kind: i32) -> impl Iterator<Item = &Row> {
    live.iter().filter(move |row| row.topic == topic::CASES && row.kind == kind)
}

/// Ruling 3, in the order of ruling 2.
fn intervals(live: &[Row]) -> Vec<Interval> {
    let mut ledger: BTreeMap<(i32, Day, Day), Interval> = BTreeMap::new();
    let mut all = Vec::new();
    for row in live.iter().filter(|row| row.topic == topic::PAYMENTS) {
        let (_, _, _, revision, _) = row.order();
        let interval = Interval {
            benefit: row.benefit.expect("a payment's benefit"),
            from: row.from_day.expect("a payment's first day"),
            to: row.to_day.expect("a payment's last day"),
            amount_oere: row.amount_oere.expect("a payment's amount"),
            refund_oere: row.refund_oere.expect("a payment's refund"),
            is_ledger: row.op == op::ADD,
            municipality: row.municipality,
            order: (row.recorded_at, row.source.clone(), row.id.clone(), revision),
        };
        if row.op != op::ADD {
            all.push(interval);
            continue;
        }
        match ledger.get_mut(&(interval.benefit, interval.from, interval.to)) {
            None => {
                ledger.insert((interval.benefit, interval.from, interval.to), interval);
            }
            Some(sum) => {
                sum.amount_oere += interval.amount_oere;
                sum.refund_oere += interval.refund_oere;
                if interval.order > sum.order {
                    sum.municipality = interval.municipality;
                    sum.order = interval.order;
                }
            }
        }
    }
    all.extend(ledger.into_values());
    all.sort_by(|a, b| a.order.cmp(&b.order));
    all
}

/// Ruling 4: later intervals are painted over earlier ones.
fn covered_days(intervals: &[Interval], as_of: Day) -> BTreeMap<i32, BTreeMap<Day, i32>> {
    let mut covered: BTreeMap<i32, BTreeMap<Day, i32>> = BTreeMap::new();
    for interval in intervals.iter().filter(|interval| interval.counts()) {
        for day in interval.from..=interval.to.min(as_of) {
            covered.entry(interval.benefit).or_default().insert(day, interval.municipality);
        }
    }
    covered
}

/// Rulings 8 and 9.
fn spells(benefit: i32, days: &BTreeMap<Day, i32>, benefits: &Benefits, as_of: Day) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    for (&day, &municipality) in days {
        match spells.last_mut() {
            Some(spell) if !splits(benefits.gap_rule_on(benefit, spell.last), spell.last, day) => {
                spell.last = day;
                spell.last_municipality = municipality;
            }
            _ => spells.push(Spell {
                benefit,
                first: day,
                last: day,
                first_municipality: municipality,
                last_municipality: municipality,
                state: SpellState::Open,
            }),
        }
    }
    for spell in &mut spells {
        let ended = match benefits.gap_rule_on(benefit, spell.last) {
            GapRule::FullCalendarMonth => last_day_of(month_of(spell.last) + 1) <= as_of,
            GapRule::Days(days) => as_of - spell.last >= days,
        };
        spell.state = match ended {
            true => SpellState::Ended,
            false if spell.last < as_of - 31 => SpellState::ProvisionallyEnded,
            false => SpellState::Open,
        };
    }
    spells
}

/// Whether two covered days with none between them belong to two spells. A gap is looked at as it lies in the
/// calendar, month by month or day by day.
fn splits(rule: GapRule, previous: Day, next: Day) -> bool {
    match rule {
        GapRule::FullCalendarMonth => (month_of(previous) + 1..month_of(next))
            .any(|month| previous < first_day_of(month) && last_day_of(month) < next),
        GapRule::Days(days) => next - previous > days,
    }
}
