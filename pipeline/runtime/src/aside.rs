//! Counting what was put aside: by reason, and by reason and source.
//!
//! Both are labels of a metric, so both are closed: reasons are a list, and a source counts under its name only if it
//! is an official table that is known or has delivered something; everything else is `unknown`.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use rettidig_event::{DeadLetter, Reason};
use serde::{Deserialize, Serialize};

use crate::RuntimeError;
use crate::groups::column;
use crate::letters::source_of;

/// The source of what does not tell one that is known.
pub const UNKNOWN: &str = "unknown";

/// Sources that are told apart; more than a country's municipalities have of every kind.
const SOURCES_MAX: usize = 1_024;

/// Letters by source and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BySource(BTreeMap<String, BTreeMap<String, u64>>);

impl BySource {
    fn add(&mut self, source: &str, reason: &str, count: u64) {
        let is_room = self.0.len() < SOURCES_MAX || self.0.contains_key(source);
        let source = if is_room { source } else { UNKNOWN };
        *self.0.entry(source.to_owned()).or_default().entry(reason.to_owned()).or_default() += count;
    }

    /// Adds what another one counted.
    pub fn extend(&mut self, other: &Self) {
        for (source, reasons) in &other.0 {
            for (reason, count) in reasons {
                self.add(source, reason, *count);
            }
        }
    }

    /// Counts dead letters under the sources that they tell.
    pub(crate) fn count(&mut self, letters: &[DeadLetter]) {
        for letter in letters {
            self.add(source_of(letter).as_deref().unwrap_or(UNKNOWN), letter.reason.code(), 1);
        }
    }

    /// The same with sources that are not known under `unknown`.
    pub(crate) fn only(&self, known: &HashSet<&str>) -> Self {
        let mut counts = Self::default();
        for (source, reasons) in &self.0 {
            let source = if known.contains(source.as_str()) { source } else { UNKNOWN };
            reasons.iter().for_each(|(reason, count)| counts.add(source, reason, *count));
        }
        counts
    }

    /// Counts rows that contradict rows that are there.
    pub(crate) fn count_conflicts(&mut self, conflicts: &[RecordBatch]) -> Result<(), RuntimeError> {
        for rows in conflicts {
            for source in column(rows, "source")?.as_string::<i32>().iter().flatten() {
                self.add(source, Reason::ConflictingRevision.code(), 1);
            }
        }
        Ok(())
    }

    /// Source, reason and count of each, so that they add up to `totals`: what was counted before sources were told apart
    /// is of an unknown one. Every reason stands under `unknown`, were it with zero.
    pub fn series(&self, totals: &BTreeMap<String, u64>) -> Vec<(&str, &'static str, u64)> {
        let mut series = Vec::new();
        for reason in Reason::ALL.map(Reason::code) {
            let mut rest = totals.get(reason).copied().unwrap_or(0);
            for (source, reasons) in self.0.iter().filter(|(source, _)| source.as_str() != UNKNOWN) {
                if let Some(count) = reasons.get(reason) {
                    series.push((source.as_str(), reason, *count));
                    rest = rest.saturating_sub(*count);
                }
            }
            series.push((UNKNOWN, reason, rest));
        }
        series
    }
}

/// Sources that may be named: those of the reference table and those that have delivered.
pub(crate) fn known_sources<'a>(
    reference: Option<&'a RecordBatch>,
    deliveries: &'a [RecordBatch],
) -> HashSet<&'a str> {
    let sources = |rows: &'a RecordBatch| {
        rows.column_by_name("source").and_then(|column| column.as_string_opt::<i32>())
    };
    reference
        .into_iter()
        .chain(deliveries)
        .filter_map(sources)
        .flat_map(|column| column.iter().flatten())
        .collect()
}

#[cfg(test)]
mod tests {
    use rettidig_event::{Origin, Topic};

    use super::*;

    fn letter(source: &str) -> DeadLetter {
        let origin = Origin::Message { topic: Topic::Payments.name().to_owned(), partition: 0, offset: 1 };
        let bytes = format!(r#"{{"source":"{source}"}}"#);
        let at = "2026-08-19T07:58:44Z".parse().expect("instant");
        DeadLetter::new(origin, bytes.as_bytes(), "ingest", Reason::InvalidField, "id", at)
    }

    #[test]
    fn garbage_sources_are_unknown_and_old_counts_stay() {
        let known = HashSet::from(["yr-101"]);
        let mut counts = BySource::default();
        counts.count(&[letter("yr-101"), letter("yr-101"), letter("x"), letter("y")]);
        let counts = counts.only(&known);
        // One more was counted before sources were told apart.
        let totals = BTreeMap::from([("invalid_field".to_owned(), 5), ("empty".to_owned(), 1)]);
        let series = counts.series(&totals);
        assert_eq!(series.iter().map(|(.., count)| count).sum::<u64>(), 6);
        assert!(
            series.contains(&("yr-101", "invalid_field", 2))
                && series.contains(&(UNKNOWN, "invalid_field", 3))
        );
        assert!(series.contains(&(UNKNOWN, "empty", 1)) && series.contains(&(UNKNOWN, "too_large", 0)));
        assert_eq!(series.len(), Reason::ALL.len() + 1);
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let names: Vec<String> = (0..2 * SOURCES_MAX).map(|number| format!("s-{number}")).collect();
        let letters: Vec<DeadLetter> = names.iter().map(|name| letter(name)).collect();
        let mut counts = BySource::default();
        counts.count(&letters);
        let mut twice = counts.clone();
        twice.extend(&counts);
        assert_eq!((counts.0.len(), twice.0.len()), (SOURCES_MAX + 1, SOURCES_MAX + 1));
        let totals = BTreeMap::from([("invalid_field".to_owned(), 4 * SOURCES_MAX as u64)]);
        assert_eq!(
            twice.series(&totals).iter().map(|(.., count)| count).sum::<u64>(),
            4 * SOURCES_MAX as u64
        );
    }
}
