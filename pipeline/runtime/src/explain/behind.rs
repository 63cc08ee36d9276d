//! The records behind a part: those without which somebody's share of the value would be another one.
//!
//! Who is behind a part is known from the way ([`super::persons`]). Of each of these persons the records that were told in between
//! are left out one at a time, and the state after the part's step is evaluated again; a history with one record less is a
//! person with labels of their own ([`super::labels`]). A record whose absence changes nothing is not behind the part. Of a person of
//! whom no single one does (two records say the same), all are if together they do; if not, a delivery of wages moved the person, which
//! is no record. So is each of more records than there are labels.
//!
//! Only the first few events are kept, whoever many there are; buckets are read one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::Int32Type;
use rettidig_event::person::{PersonId, bucket_of};
use rettidig_model::Model;
use rettidig_model::persons::unique;

use super::EventBehind;
use super::guard::Events;
use super::knowledge::{Arrived, Told, told};
use super::labels::{Chunk, LABELS, Place, Shares, State};
use super::records::{Wanted, candidates, event};
use crate::RuntimeError;
use crate::groups::column;
use crate::persons::{PersonLog, index_of};

/// Where the records are and how they are evaluated.
pub(super) struct Search<'a> {
    pub(super) model: &'a Model,
    pub(super) log: &'a PersonLog,
    pub(super) from: &'a Arrived,
    pub(super) to: &'a Arrived,
    pub(super) place: Arc<Place>,
    pub(super) members: Arc<[BTreeSet<i32>; 2]>,
    pub(super) wanted: &'a Wanted,
    /// Everybody is divided by the same number, so it is nobody's.
    pub(super) is_constant: bool,
    /// Events that are kept.
    pub(super) kept: usize,
}

/// A part whose events are wanted.
pub(super) struct Sought<'a> {
    pub(super) persons: BTreeSet<PersonId>,
    /// What its records are.
    pub(super) what: &'static [Told],
    /// The state after its step; `None` if all records of the periods are behind it.
    pub(super) state: Option<&'a State>,
}

/// A person whose records are left out one at a time.
struct Tried {
    whole: PersonId,
    /// Without all of them.
    none: PersonId,
    without: Vec<(PersonId, EventBehind)>,
}

/// Histories that are evaluated together, under numbers in place of pseudonyms.
#[derive(Default)]
struct Trial {
    chunk: Chunk,
    histories: u128,
    tried: Vec<Tried>,
}

impl Trial {
    fn push(&mut self, rows: &RecordBatch, told: &[Told]) -> Result<PersonId, RuntimeError> {
        let id = self.histories.to_be_bytes();
        self.histories += 1;
        if rows.num_rows() == 0 {
            // It was the only record: without it there is nobody.
            return Ok(id);
        }
        let mut columns = rows.columns().to_vec();
        let ids = std::iter::repeat_n(id, rows.num_rows());
        columns[rows.schema().index_of("person")?] = Arc::new(FixedSizeBinaryArray::try_from_iter(ids)?);
        self.chunk.push(id, RecordBatch::try_new(rows.schema(), columns)?, told)?;
        Ok(id)
    }

    /// A history without some of its rows.
    fn push_without(
        &mut self,
        rows: &RecordBatch,
        told: &[Told],
        is_left_out: impl Fn(usize) -> bool,
    ) -> Result<PersonId, RuntimeError> {
        let keep: Vec<bool> = (0..rows.num_rows()).map(|row| !is_left_out(row)).collect();
        let told: Vec<Told> =
            told.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(told, _)| *told).collect();
        self.push(&filter_record_batch(rows, &BooleanArray::from(keep))?, &told)
    }
}

impl Search<'_> {
    /// The events of a part.
    pub(super) async fn events(&self, sought: &Sought<'_>) -> Result<Events, RuntimeError> {
        let mut events = Events::default();
        let mut trial = Trial::default();
        let buckets: BTreeSet<usize> = sought.persons.iter().map(bucket_of).collect();
        for bucket in buckets {
            let rows = self.log.bucket(bucket).await?;
            let rows = take_record_batch(&rows, &UInt32Array::from(unique(&rows).order))?;
            let what = told(&rows, self.from, self.to)?;
            let mut start = 0;
            for (person, end) in index_of(&rows) {
                let end = end as usize;
                let (own, what) = (rows.slice(start, end - start), &what[start..end]);
                start = end;
                if !sought.persons.contains(&person) {
                    continue;
                }
                let of_time = sought.state.is_none();
                let found = candidates(&own, what, sought.what, self.wanted, of_time)?;
                let codes: BTreeSet<i32> = column(&own, "municipality")?
                    .as_primitive::<Int32Type>()
                    .values()
                    .iter()
                    .copied()
                    .collect();
                let labels = codes.len() * (found.len() + 2);
                let Some(state) = sought.state.filter(|_| labels <= LABELS && !found.is_empty()) else {
                    for row in found {
                        events.add(event(&own, row)?, self.kept);
                    }
                    continue;
                };
                if !trial.chunk.has_room_for(labels) {
                    self.settle(std::mem::take(&mut trial), state, &mut events).await?;
                }
                let whole = trial.push(&own, what)?;
                let none = trial.push_without(&own, what, |row| found.contains(&row))?;
                let mut without = Vec::with_capacity(found.len());
                for left_out in found {
                    let id = trial.push_without(&own, what, |row| row == left_out)?;
                    without.push((id, event(&own, left_out)?));
                }
                trial.tried.push(Tried { whole, none, without });
            }
        }
        if let Some(state) = sought.state.filter(|_| !trial.tried.is_empty()) {
            self.settle(trial, state, &mut events).await?;
        }
        Ok(events)
    }

    /// Evaluates the histories and keeps the events whose absence matters.
    async fn settle(&self, trial: Trial, state: &State, events: &mut Events) -> Result<(), RuntimeError> {
        let given = trial.chunk.contributions_in(self.model, state, &self.place, &self.members).await?;
        let none = <[Shares; 2]>::default();
        let of = |id: &PersonId| self.counted(&given.get(id).unwrap_or(&none)[0]);
        for Tried { whole, none, without } in trial.tried {
            let with = of(&whole);
            let matters: Vec<bool> = without.iter().map(|(id, _)| of(id) != with).collect();
            let all = !matters.contains(&true) && of(&none) != with;
            for ((_, event), matters) in without.into_iter().zip(matters) {
                if matters || all {
                    events.add(event, self.kept);
                }
            }
        }
        Ok(())
    }

    /// The shares that count, without zeros.
    fn counted(&self, shares: &Shares) -> BTreeMap<i32, (i64, i64)> {
        let counted = shares.iter().map(|(code, (numerator, denominator))| {
            (*code, (*numerator, if self.is_constant { 0 } else { *denominator }))
        });
        counted.filter(|(_, share)| *share != (0, 0)).collect()
    }
}
