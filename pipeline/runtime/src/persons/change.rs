//! What new rows, a new day and delivered wages change: old histories out, new ones in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::stream::{self, StreamExt, TryStreamExt};
use rettidig_event::person::{self, PersonId, bucket_of};
use rettidig_model::Model;
use rettidig_model::persons::{NextChange, Parameters, PersonResult, day_of, prepare, unique};

use super::{CellStore, Shard, Spill, bulk, file};
use crate::RuntimeError;
use crate::store::FileEntry;

/// Evaluations side by side.
pub(super) const THREADS: usize = 2;

/// A change that is computed but not yet committed.
#[derive(Debug)]
pub struct PersonChange {
    /// New rows, sorted by person; empty for a bulk load, whose rows are in bucket files.
    pub(super) added: RecordBatch,
    /// What is added to the cells.
    pub delta: CellStore,
    /// The part of it that concerns buckets that the running audit has passed.
    pub audited: CellStore,
    pub(super) next: BTreeMap<PersonId, NextChange>,
    pub(super) with: Parameters,
    pub(super) bulk: Option<BTreeMap<usize, Option<FileEntry>>>,
    /// `delta` is not a difference but the cells themselves.
    pub redefined: bool,
    /// New rows.
    pub events: u64,
    /// Rows that were there already.
    pub duplicates: u64,
    /// Rows whose identity was there with other content.
    pub conflicts: Vec<RecordBatch>,
    /// Persons evaluated.
    pub touched: u64,
}

/// Old and new evaluation of some persons.
pub(super) struct Evaluated {
    /// The new cells less the old ones.
    delta: CellStore,
    next: Vec<(PersonId, NextChange)>,
    pub(super) added: RecordBatch,
    duplicates: u64,
    conflicts: RecordBatch,
    persons: Vec<PersonId>,
}

pub(super) async fn evaluate(
    model: Arc<Model>,
    rows: RecordBatch,
    with: Parameters,
) -> Result<PersonResult, RuntimeError> {
    let run = async move {
        let histories = prepare(&rows)?;
        drop(rows);
        model.evaluate_persons(&histories, &with).await
    };
    match tokio::spawn(run).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(RuntimeError::stop("evaluating persons", error, "report this as a bug")),
    }
}

pub(super) fn take(rows: &RecordBatch, order: Vec<u32>) -> Result<RecordBatch, RuntimeError> {
    Ok(take_record_batch(rows, &UInt32Array::from(order))?)
}

/// Evaluates histories before and after new rows; `history` rows come first. `delta` comes empty.
pub(super) async fn evaluate_both(
    model: Arc<Model>,
    mut delta: CellStore,
    history: RecordBatch,
    new: RecordBatch,
    before: Option<Parameters>,
    after: Parameters,
) -> Result<(Evaluated, RecordBatch), RuntimeError> {
    let known = u32::try_from(history.num_rows()).unwrap_or(u32::MAX);
    let all = concat_batches(&person::schema(), [&history, &new])?;
    drop(history);
    let unique = unique(&all);
    let added = take(&all, unique.order.iter().copied().filter(|row| *row >= known).collect())?;
    let conflicts = take(&all, unique.conflicts.iter().copied().filter(|row| *row >= known).collect())?;
    let duplicates = unique.duplicates.iter().filter(|row| **row >= known).count() as u64;
    let old_rows = take(&all, unique.order.iter().copied().filter(|row| *row < known).collect())?;
    let new_rows = take(&all, unique.order)?;
    drop(all);
    let persons = file::index_of(&new_rows).into_iter().map(|(person, _)| person).collect();
    let new = match before {
        Some(before) if old_rows.num_rows() > 0 => {
            let old = evaluate(Arc::clone(&model), old_rows, before);
            let new = evaluate(model, new_rows.clone(), after);
            let (old, new) = futures::try_join!(old, new)?;
            delta.add(&old.cells, -1)?;
            new
        }
        _ => evaluate(model, new_rows.clone(), after).await?,
    };
    delta.add(&new.cells, 1)?;
    Ok((Evaluated { delta, next: new.next, added, duplicates, conflicts, persons }, new_rows))
}

impl PersonChange {
    /// Takes in what the evaluation of some persons gave.
    pub(super) fn take(&mut self, evaluated: Evaluated, is_audited: bool) {
        self.delta.merge(&evaluated.delta, 1);
        if is_audited {
            self.audited.merge(&evaluated.delta, 1);
        }
        self.touched += evaluated.persons.len() as u64;
        // Persons that the evaluation does not name have no next change any more.
        self.next.extend(evaluated.persons.into_iter().map(|person| (person, NextChange::default())));
        self.next.extend(evaluated.next);
        self.duplicates += evaluated.duplicates;
        if evaluated.conflicts.num_rows() > 0 {
            self.conflicts.push(evaluated.conflicts);
        }
    }

    /// Whether whole buckets were recomputed.
    pub fn is_bulk(&self) -> bool {
        self.bulk.is_some()
    }
}

impl Shard {
    /// Persons whose cells are others with `with` although nothing came.
    fn due(&self, with: &Parameters) -> BTreeSet<PersonId> {
        let Some(before) = &self.with else { return BTreeSet::new() };
        let day = match with.as_of > before.as_of {
            true => i32::try_from(day_of(with.as_of)).unwrap_or(i32::MAX),
            false => i32::MIN,
        };
        let newer = |(code, month): &(&i32, &i32)| before.income_delivered.get(code) != Some(month);
        let month = with.income_delivered.iter().filter(newer).map(|(_, month)| *month).max();
        self.wakes.due(day, month)
    }

    /// Computes what new rows and new parameters change. Buckets below `passed` are those that the audit has passed.
    ///
    /// # Errors
    /// As [`super::PersonLog::histories`]; nothing has changed then.
    pub async fn change(
        &self,
        rows: &[RecordBatch],
        spill: &Spill,
        with: Parameters,
        passed: usize,
    ) -> Result<PersonChange, RuntimeError> {
        let arrived: u64 = rows.iter().map(|batch| batch.num_rows() as u64).sum::<u64>() + spill.rows();
        if spill.rows() > 0
            || (arrived > self.limits.bulk_rows && arrived > self.log.rows() / self.limits.bulk_share)
        {
            return bulk::change(self, rows, spill, with, false).await;
        }
        let new = Arc::new(concat_batches(&person::schema(), rows)?);
        let mut places: BTreeMap<PersonId, Vec<u32>> = BTreeMap::new();
        for (row, number) in (0..new.num_rows()).zip(0_u32..) {
            places.entry(file::person_at(&new, row)).or_default().push(number);
        }
        for person in self.due(&with) {
            places.entry(person).or_default();
        }
        let mut change = self.nothing(with.clone())?;
        let touched: Vec<(PersonId, Vec<u32>)> = places.into_iter().collect();
        // A chunk never spans the place where the audit stands, so that its part is known apart.
        let passed = touched.partition_point(|(person, _)| bucket_of(person) < passed);
        let (behind, ahead) = touched.split_at(passed);
        let size = self.limits.chunk_persons;
        let mut chunks: Vec<(Vec<PersonId>, Vec<u32>, bool)> = Vec::new();
        for (part, is_audited) in [(behind, true), (ahead, false)] {
            for chunk in part.chunks(size) {
                let persons = chunk.iter().map(|(person, _)| *person).collect();
                let order = chunk.iter().flat_map(|(_, rows)| rows).copied().collect();
                chunks.push((persons, order, is_audited));
            }
        }
        let mut results = stream::iter(chunks)
            .map(|(persons, order, is_audited)| {
                let (log, model, new) = (Arc::clone(&self.log), Arc::clone(&self.model), Arc::clone(&new));
                let (before, after) = (self.with.clone(), with.clone());
                let delta = self.empty.empty_like();
                let task = tokio::spawn(async move {
                    let history = log.histories(&persons).await?;
                    let new = take(&new, order)?;
                    evaluate_both(model, delta?, history, new, before, after).await
                });
                async move {
                    match task.await {
                        Ok(result) => result.map(|(evaluated, _)| (evaluated, is_audited)),
                        Err(error) => {
                            Err(RuntimeError::stop("evaluating persons", error, "report this as a bug"))
                        }
                    }
                }
            })
            .buffered(THREADS)
            .boxed();
        let mut added = Vec::new();
        while let Some((evaluated, is_audited)) = results.try_next().await? {
            added.push(evaluated.added.clone());
            change.events += evaluated.added.num_rows() as u64;
            change.take(evaluated, is_audited);
        }
        drop(results);
        change.added = concat_batches(&person::schema(), &added)?;
        Ok(change)
    }

    pub(super) fn nothing(&self, with: Parameters) -> Result<PersonChange, RuntimeError> {
        Ok(PersonChange {
            added: RecordBatch::new_empty(person::schema()),
            delta: self.empty.empty_like()?,
            audited: self.empty.empty_like()?,
            next: BTreeMap::new(),
            with,
            bulk: None,
            redefined: false,
            events: 0,
            duplicates: 0,
            conflicts: Vec::new(),
            touched: 0,
        })
    }

    /// Makes all cells anew, after the model has changed: the new definitions hold from this epoch on, and what was
    /// published before stays as it was.
    ///
    /// # Errors
    /// As [`super::PersonLog::histories`].
    pub async fn redefine(
        &self,
        rows: &[RecordBatch],
        spill: &Spill,
        with: Parameters,
    ) -> Result<PersonChange, RuntimeError> {
        bulk::change(self, rows, spill, with, true).await
    }
}
