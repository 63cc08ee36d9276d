//! A second look at what is about to be shown, by rules of its own: simpler ones than those that decide what is hidden, and without
//! their relations. It finds an indicator that counts the wrong persons, and a fault of disclosure control itself. What it finds is
//! not shown: the figures of that month stay as they are until somebody has looked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use ustr::Ustr;

use super::{CellKey, Content, HIDDEN_BELOW, Status};

/// Units that count things of which each has a person: a value below the threshold has fewer persons than it behind it.
const COUNTING: [&str; 4] = ["persons", "spells", "tests", "interviews"];

/// Code of the country.
const COUNTRY: &str = "0000";

/// Millionths of a value.
const MICRO: i64 = 1_000_000;

/// What would have been given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A count of 1 to 4.
    SmallCount,
    /// A cell that was hidden before.
    HiddenBefore,
    /// The only hidden part of a sum that is shown.
    LonePart,
}

/// A cell that would have given something away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leak {
    /// The cell.
    pub key: CellKey,
    /// How.
    pub rule: Rule,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.rule {
            Rule::SmallCount => "a count below the threshold would be shown",
            Rule::HiddenBefore => "it was hidden before and would be shown",
            Rule::LonePart => "it is the only hidden part of a sum that would be shown",
        };
        let CellKey { indicator, area_kind, area, benefit, breakdown, breakdown_value } = self.key;
        write!(f, "{indicator}, {area_kind} {area}, benefit {benefit}, {breakdown} {breakdown_value}: {rule}")
    }
}

/// The second look at the cells of one period.
#[derive(Debug)]
pub struct Guard {
    /// Indicators in units of [`COUNTING`].
    counting: HashSet<Ustr>,
    /// Indicators whose areas add up.
    adding: HashSet<Ustr>,
    /// By kind and code of an area those it is a part of.
    sums: HashMap<(Ustr, Ustr), Vec<(Ustr, Ustr)>>,
}

impl Guard {
    /// `indicators` are names, units and whether areas add up; `areas` the municipalities of each area.
    pub fn new<'a>(
        indicators: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
        areas: &BTreeMap<(&str, &str), Vec<&str>>,
    ) -> Self {
        let mut guard = Self { counting: HashSet::new(), adding: HashSet::new(), sums: HashMap::new() };
        for (name, unit, adds_up) in indicators {
            guard.counting.extend(COUNTING.contains(&unit).then(|| Ustr::from(name)));
            guard.adding.extend(adds_up.then(|| Ustr::from(name)));
        }
        let [municipality, region, country] = ["municipality", "region", "country"].map(Ustr::from);
        for ((area_kind, area), parts) in areas {
            let sum = (Ustr::from(area_kind), Ustr::from(area));
            for part in parts {
                guard.sums.entry((municipality, Ustr::from(part))).or_default().push(sum);
            }
            if sum.0 == region {
                guard.sums.insert(sum, vec![(country, Ustr::from(COUNTRY))]);
            }
        }
        guard
    }

    /// The first cell of a period that would give something away.
    pub fn leak(&self, shown: &[(CellKey, Content)], was_hidden: &HashSet<CellKey>) -> Option<Leak> {
        let mut hidden_parts: HashMap<CellKey, (usize, CellKey)> = HashMap::new();
        let mut visible: HashSet<CellKey> = HashSet::new();
        for (key, content) in shown {
            if content.status == Status::Hidden {
                let parts = self.sums.get(&(key.area_kind, key.area)).into_iter().flatten();
                for (area_kind, area) in parts.filter(|_| self.adding.contains(&key.indicator)) {
                    let sum = CellKey { area_kind: *area_kind, area: *area, ..*key };
                    hidden_parts.entry(sum).or_insert((0, *key)).0 += 1;
                }
                continue;
            }
            let is_small = content.value_micro.is_some_and(|value| 0 < value && value < HIDDEN_BELOW * MICRO);
            let rule = match () {
                () if is_small && self.counting.contains(&key.indicator) => Rule::SmallCount,
                () if was_hidden.contains(key) => Rule::HiddenBefore,
                () => {
                    if content.value_micro.is_some() {
                        visible.insert(*key);
                    }
                    continue;
                }
            };
            return Some(Leak { key: *key, rule });
        }
        let lone = hidden_parts.iter().filter(|(sum, (parts, _))| *parts == 1 && visible.contains(*sum));
        lone.map(|(_, (_, key))| *key).min().map(|key| Leak { key, rule: Rule::LonePart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disclosure::HIDDEN;

    fn key(area_kind: &str, area: &str) -> CellKey {
        let total = Ustr::from("total");
        CellKey {
            indicator: "persons".into(),
            area_kind: area_kind.into(),
            area: area.into(),
            benefit: total,
            breakdown: total,
            breakdown_value: total,
        }
    }

    fn count(persons: i64) -> Content {
        let value_micro = Some(persons * MICRO);
        Content { value_micro, numerator: None, denominator: None, persons: Some(9), status: Status::Final }
    }

    fn guard(unit: &str, adds_up: bool) -> Guard {
        let areas = BTreeMap::from([(("region", "1084"), vec!["0101", "0147", "0151"])]);
        Guard::new([("persons", unit, adds_up)], &areas)
    }

    #[test]
    fn what_gives_a_hidden_number_away_is_found() {
        let guard = guard("persons", true);
        let region = key("region", "1084");
        let [a, b, c] = ["0101", "0147", "0151"].map(|code| key("municipality", code));
        let nothing = HashSet::new();
        let found = |shown: &[(CellKey, Content)], before: &HashSet<CellKey>| {
            guard.leak(shown, before).map(|leak| (leak.key, leak.rule))
        };
        let safe = [(a, HIDDEN), (b, HIDDEN), (c, count(5)), (region, count(12))];
        assert_eq!(found(&safe, &HashSet::from([a, b])), None);
        for small in 1..HIDDEN_BELOW {
            assert_eq!(found(&[(a, count(small))], &nothing), Some((a, Rule::SmallCount)));
        }
        assert_eq!(found(&[(a, count(0)), (b, count(5))], &nothing), None);
        assert_eq!(found(&safe, &HashSet::from([a, b, c])), Some((c, Rule::HiddenBefore)));
        let lone = [(a, count(7)), (b, HIDDEN), (c, count(5)), (region, count(14))];
        assert_eq!(found(&lone, &nothing), Some((b, Rule::LonePart)));
        assert_eq!(found(&lone[..3], &nothing), None, "no sum, nothing to subtract from");
        let both = [(a, count(7)), (b, HIDDEN), (region, HIDDEN)];
        assert_eq!(found(&both, &nothing), None);
        let country = [(region, HIDDEN), (key("country", "0000"), count(90))];
        assert_eq!(found(&country, &nothing), Some((region, Rule::LonePart)));
    }

    #[test]
    fn what_does_not_count_or_add_up_is_told_nothing_about() {
        let guard = guard("percent", false);
        let region = key("region", "1084");
        let shown = [
            (key("municipality", "0101"), HIDDEN),
            (key("municipality", "0147"), count(3)),
            (region, count(9)),
        ];
        assert_eq!(guard.leak(&shown, &HashSet::new()), None);
    }
}
