//! Disclosure control: no published number lets anybody work out a hidden one.
//!
//! Values with 1 to 4 persons behind them are hidden (primary suppression; the threshold is a parameter). Then,
//! as long as a hidden cell could be computed from published ones, a further cell is hidden (complementary
//! suppression). What can be computed is decided over the additive relations of an indicator within one period:
//! a total and its parts, and an area and its municipalities. A hidden cell is safe if no linear combination of
//! these relations isolates it, which Gaussian elimination over the hidden cells tells.
//!
//! Patterns are *sticky*: a cell hidden at one instant stays hidden at every later one of the same period. So
//! no value becomes visible later together with the news that it had not changed, and two vintages tell no more
//! than each of them. Rates follow the count they are made of; a rate whose count is unknown is hidden.
//!
//! What is ours here: the threshold (jobindsats.dk publishes 3 and 4), stickiness, and the choice of the
//! complementary cell (the smallest visible one of the relation, ties by area). Official figures of the
//! country and sums of rounded parts agree only approximately; they are treated as if they were exact, which
//! hides more, never less.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use ustr::Ustr;

use self::period::PeriodState;
use crate::header::AddsOver;
use crate::membership::Membership;

mod algebra;
pub mod guard;
mod period;
mod relations;

/// Name of an undivided benefit or breakdown.
const TOTAL: &str = "total";

/// The additive structure of an indicator, from its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// Whether areas add up.
    pub areas_add_up: bool,
    /// Which parts add up to a total.
    pub adds_over: AddsOver,
    /// The indicator that counts the persons behind this one.
    pub counts: Option<String>,
}

/// What identifies a cell within a period. Its texts are codes, few of them and in all cells the same ones, so they are kept
/// once for the whole program: keys are copied, compared and looked up a million times in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellKey {
    /// Indicator.
    pub indicator: Ustr,
    /// Kind of area.
    pub area_kind: Ustr,
    /// Code of the area.
    pub area: Ustr,
    /// Benefit.
    pub benefit: Ustr,
    /// Breakdown.
    pub breakdown: Ustr,
    /// Value of the breakdown.
    pub breakdown_value: Ustr,
}

impl CellKey {
    fn texts(&self) -> [Ustr; 6] {
        [self.indicator, self.area_kind, self.area, self.benefit, self.breakdown, self.breakdown_value]
    }
}

/// By the texts, field after field: which cell is hidden of several that are alike does not depend on the process.
impl Ord for CellKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.texts().into_iter().zip(other.texts());
        let first = pairs.into_iter().find(|(a, b)| a != b);
        first.map_or(Ordering::Equal, |(a, b)| a.as_str().cmp(b.as_str()))
    }
}

impl PartialOrd for CellKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A cell's content from one instant on, before disclosure control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Value, millionths; `None` if the source hides it or it is missing.
    pub value_micro: Option<i64>,
    /// Numerator.
    pub numerator: Option<i64>,
    /// Denominator.
    pub denominator: Option<i64>,
    /// Persons behind it; `None` if the indicator has a count to look at, or if they are unknown.
    pub persons: Option<i64>,
    /// What the layer below says: final, incomplete, hidden or missing.
    pub status: Status,
}

/// Status of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All of it is known.
    Final,
    /// Some of its municipalities are not known.
    Incomplete,
    /// Withheld, by the source or here.
    Hidden,
    /// Not there.
    Missing,
}

impl Status {
    /// The code in tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Incomplete => "incomplete",
            Self::Hidden => "hidden",
            Self::Missing => "missing",
        }
    }

    /// The status of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Final, Self::Incomplete, Self::Hidden, Self::Missing].into_iter().find(|s| s.code() == code)
    }
}

/// A change of a cell: from `known_at` on it has this content.
#[derive(Debug, Clone)]
pub struct Change {
    /// The cell.
    pub key: CellKey,
    /// Microseconds since 1970, UTC.
    pub known_at: i64,
    /// Its content.
    pub content: Content,
}

/// A published vintage of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vintage {
    /// The cell.
    pub key: CellKey,
    /// Since when, microseconds since 1970.
    pub known_at: i64,
    /// Until when; `None` if it is the newest.
    pub known_to: Option<i64>,
    /// What may be shown.
    pub content: Content,
    /// What was shown before: its value, millionths, and since when; `None` if this is the first.
    pub before: Option<(Option<i64>, i64)>,
}

const HIDDEN: Content =
    Content { value_micro: None, numerator: None, denominator: None, persons: None, status: Status::Hidden };

/// Values with 1 to `hidden_below - 1` persons behind them are hidden.
pub const HIDDEN_BELOW: i64 = 5;

/// Applies disclosure control to all changes of one period.
///
/// The result does not depend on the order of `changes`.
pub fn disclose(
    mut changes: Vec<Change>,
    period_end: NaiveDate,
    structures: &BTreeMap<String, Structure>,
    membership: &Membership,
    hidden_below: i64,
) -> Vec<Vintage> {
    changes.sort_by(|a, b| (a.known_at, &a.key).cmp(&(b.known_at, &b.key)));
    let keys: BTreeSet<&CellKey> = changes.iter().map(|change| &change.key).collect();
    let keys: Vec<CellKey> = keys.into_iter().copied().collect();
    let index: HashMap<&CellKey, usize> = keys.iter().enumerate().map(|(i, key)| (key, i)).collect();
    let mut period = PeriodState::new(&keys, &index, period_end, structures, membership, hidden_below);
    let mut vintages: Vec<Vintage> = Vec::new();
    let mut newest: Vec<Option<usize>> = vec![None; keys.len()];
    let mut next = 0;
    while next < changes.len() {
        let known_at = changes[next].known_at;
        while next < changes.len() && changes[next].known_at == known_at {
            period.note(index[&changes[next].key], changes[next].content);
            next += 1;
        }
        period.suppress();
        for cell in 0..keys.len() {
            let Some(shown) = period.shown(cell) else { continue };
            let mut before = None;
            if let Some(place) = newest[cell] {
                let last: &mut Vintage = &mut vintages[place];
                if last.content == shown {
                    continue;
                }
                last.known_to = Some(known_at);
                before = Some((last.content.value_micro, last.known_at));
            }
            newest[cell] = Some(vintages.len());
            let key = keys[cell];
            vintages.push(Vintage { key, known_at, known_to: None, content: shown, before });
        }
    }
    vintages.sort_by(|a, b| (&a.key, a.known_at).cmp(&(&b.key, b.known_at)));
    vintages
}

/// Applies disclosure control to new contents of one period, of which the cells in `was_hidden` stay hidden: what may be
/// shown of each.
pub fn advance(
    contents: BTreeMap<CellKey, Content>,
    was_hidden: &HashSet<CellKey>,
    period_end: NaiveDate,
    structures: &BTreeMap<String, Structure>,
    membership: &Membership,
    hidden_below: i64,
) -> Vec<(CellKey, Content)> {
    let keys: Vec<CellKey> = contents.keys().copied().collect();
    let index: HashMap<&CellKey, usize> = keys.iter().enumerate().map(|(i, key)| (key, i)).collect();
    let mut period = PeriodState::new(&keys, &index, period_end, structures, membership, hidden_below);
    for (cell, (key, content)) in contents.into_iter().enumerate() {
        period.note(cell, content);
        if was_hidden.contains(&key) {
            period.hide(cell);
        }
    }
    period.suppress();
    keys.iter().enumerate().map(|(cell, key)| (*key, period.shown(cell).unwrap_or(HIDDEN))).collect()
}
