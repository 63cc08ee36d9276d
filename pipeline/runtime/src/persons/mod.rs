//! Persons: from new rows to changed cells, exactly.
//!
//! A batch names the persons it touches; so does a new as-of day, and so do delivered wages. For them the histories are
//! read as they were and as they are, both are evaluated with the same SQL, and the difference goes into the cells
//! ([`Persons::change`]). A backlog, or a batch that is large beside the log, recomputes whole buckets instead
//! ([`bulk`]). Nothing of a change is visible before the epoch that carries it is committed ([`Persons::install`]).

mod audit;
mod bulk;
mod cells;
mod file;
mod log;
mod wakes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::stream::{self, StreamExt, TryStreamExt};
use rettidig_event::person::{self, PersonId};
use rettidig_model::Model;
use rettidig_model::persons::{Cells, NextChange, Parameters, PersonResult, day_of, prepare, unique};
use serde::{Deserialize, Serialize};

pub use audit::{Audit, AuditReport};
pub(crate) use bulk::SPILL;
pub use bulk::Spill;
pub use cells::CellStore;
pub use log::{BucketEntry, LogChange, PersonLog, TailEntry};
pub use wakes::Wakes;

use crate::RuntimeError;
use crate::store::{FileEntry, Store};

/// Evaluations side by side.
const THREADS: usize = 2;

/// Where one way of working ends and another begins. None of them changes a result; tests make them small.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Persons evaluated together.
    pub chunk_persons: usize,
    /// New rows beyond which a batch recomputes buckets, if they are also many beside the log.
    pub bulk_rows: u64,
    /// Share of the log (one in so many rows) beyond which they are.
    pub bulk_share: u64,
    /// New rows kept in memory before they are spilled.
    pub spill_rows: usize,
    /// Rows of the tail beyond which buckets are compacted.
    pub tail_rows: usize,
    /// Small tail files beyond which they are merged into one.
    pub tail_files: usize,
    /// Rows that one step of the auditor evaluates, or one bucket if it has more.
    pub audit_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chunk_persons: 2_048,
            bulk_rows: 200_000,
            bulk_share: 8,
            spill_rows: 2_000_000,
            tail_rows: 2_000_000,
            tail_files: 32,
            audit_rows: 20_000,
        }
    }
}

/// The state of the persons as a manifest names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonsEntry {
    /// File with the entries of all buckets; `None` if nothing is settled yet.
    pub buckets: Option<FileEntry>,
    /// Tail files.
    pub tail: Vec<TailEntry>,
    /// Files of the cells by measure; their rows add up.
    pub cells: BTreeMap<String, Vec<FileEntry>>,
    /// Files of the next changes; the latest row of a person holds.
    pub wakes: Vec<FileEntry>,
    /// Newest month whose wages are delivered, by municipality.
    pub income_delivered: BTreeMap<i32, i32>,
    /// Rows of the log.
    pub rows: u64,
}

/// The persons of one data folder.
#[derive(Debug)]
pub struct Persons {
    store: Store,
    model: Arc<Model>,
    limits: Limits,
    log: Arc<PersonLog>,
    cells: CellStore,
    /// The totals among them that indicators are made of: a small part, looked through at every epoch.
    totals: CellStore,
    wakes: Wakes,
    entry: PersonsEntry,
    /// What the cells were evaluated with; `None` before the first epoch.
    with: Option<Parameters>,
    audit: Audit,
}

/// A change that is computed but not yet committed.
#[derive(Debug)]
pub struct PersonChange {
    /// New rows, sorted by person; empty for a bulk load, whose rows are in bucket files.
    added: RecordBatch,
    /// What is added to the cells.
    pub delta: CellStore,
    /// The part of it that concerns buckets that the running audit has passed.
    audited: CellStore,
    next: BTreeMap<PersonId, NextChange>,
    with: Parameters,
    bulk: Option<BTreeMap<usize, BucketEntry>>,
    /// `delta` is not a difference but the cells themselves.
    redefined: bool,
    log: Option<LogChange>,
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
struct Evaluated {
    /// The new cells less the old ones.
    delta: CellStore,
    next: Vec<(PersonId, NextChange)>,
    added: RecordBatch,
    duplicates: u64,
    conflicts: RecordBatch,
    persons: Vec<PersonId>,
}

async fn evaluate(
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

fn take(rows: &RecordBatch, order: Vec<u32>) -> Result<RecordBatch, RuntimeError> {
    Ok(take_record_batch(rows, &UInt32Array::from(order))?)
}

/// Evaluates histories before and after new rows; `history` rows come first. `delta` comes empty.
async fn evaluate_both(
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
    fn take(&mut self, evaluated: Evaluated, is_audited: bool) {
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

    /// What the cells are evaluated with.
    pub fn parameters(&self) -> &Parameters {
        &self.with
    }
}

impl Persons {
    /// Persons of an empty folder.
    ///
    /// # Errors
    /// If the model fails, which is a bug.
    pub async fn empty(store: Store, model: Arc<Model>, limits: Limits) -> Result<Self, RuntimeError> {
        Ok(Self {
            log: Arc::new(PersonLog::empty(store.clone(), limits)),
            limits,
            cells: CellStore::new(&model).await?,
            totals: CellStore::new(&model).await?,
            wakes: Wakes::default(),
            entry: PersonsEntry::default(),
            with: None,
            audit: Audit::default(),
            store,
            model,
        })
    }

    /// Opens the state that a manifest names. `with` is what its cells were evaluated with; cells of another model are
    /// made anew by the caller ([`Persons::redefine`]).
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        store: Store,
        model: Arc<Model>,
        entry: &PersonsEntry,
        with: Parameters,
        same_model: bool,
        limits: Limits,
    ) -> Result<Self, RuntimeError> {
        let mut persons = Self::empty(store.clone(), Arc::clone(&model), limits).await?;
        let buckets = match &entry.buckets {
            Some(file) => {
                let attempt = format!("opening {}", file.path);
                let remedy = "restore the data folder from a copy";
                let stop = |cause: String| RuntimeError::stop(&attempt, cause, remedy);
                let bytes =
                    store.get(&file.path).await?.ok_or_else(|| stop("the file is not there".to_owned()))?;
                serde_json::from_slice(&bytes).map_err(|error| stop(error.to_string()))?
            }
            None => persons.log.buckets().to_vec(),
        };
        persons.log = Arc::new(PersonLog::open(store.clone(), limits, buckets, entry.tail.clone()).await?);
        if same_model {
            persons.cells.read(&store, &entry.cells).await?;
            persons.totals.merge(&persons.totals_of(&persons.cells)?, 1);
            persons.wakes = Wakes::open(&store, &entry.wakes).await?;
        }
        persons.entry = entry.clone();
        persons.with = Some(with);
        Ok(persons)
    }

    /// Where one way of working ends and another begins.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The log.
    pub fn log(&self) -> &PersonLog {
        &self.log
    }

    /// The cells of the newest epoch.
    pub fn cells(&self) -> &CellStore {
        &self.cells
    }

    /// The totals after a change that indicators are made of.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn totals_after(&mut self, change: &PersonChange) -> Result<Cells, RuntimeError> {
        let mut changed = self.totals_of(&change.delta)?;
        if change.redefined {
            return changed.unsorted();
        }
        // The change may still fail: it goes in, and out again.
        self.totals.merge(&changed, 1);
        let totals = self.totals.unsorted();
        self.totals.merge(&changed, -1);
        totals
    }

    /// The totals that indicators are made of, of the newest epoch.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn totals(&self) -> Result<Cells, RuntimeError> {
        self.totals.cells()
    }

    fn totals_of(&self, cells: &CellStore) -> Result<CellStore, RuntimeError> {
        let needed = self.model.published_inputs();
        cells.totals(&|measure| needed.contains(measure))
    }

    /// What the cells were evaluated with.
    pub fn parameters(&self) -> Option<&Parameters> {
        self.with.as_ref()
    }

    /// Persons that wait for a day or for wages.
    pub fn waiting(&self) -> usize {
        self.wakes.len()
    }

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

    /// Computes what new rows and new parameters change.
    ///
    /// # Errors
    /// As [`PersonLog::histories`]; nothing has changed then.
    pub async fn change(
        &self,
        rows: &[RecordBatch],
        spill: &Spill,
        with: Parameters,
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
        let passed = touched.partition_point(|(person, _)| self.audit.has_passed(person));
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
                let delta = self.cells.empty_like();
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

    fn nothing(&self, with: Parameters) -> Result<PersonChange, RuntimeError> {
        Ok(PersonChange {
            added: RecordBatch::new_empty(person::schema()),
            delta: self.cells.empty_like()?,
            audited: self.cells.empty_like()?,
            next: BTreeMap::new(),
            with,
            bulk: None,
            redefined: false,
            log: None,
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
    /// As [`PersonLog::histories`].
    pub async fn redefine(
        &self,
        rows: &[RecordBatch],
        spill: &Spill,
        with: Parameters,
    ) -> Result<PersonChange, RuntimeError> {
        bulk::change(self, rows, spill, with, true).await
    }

    /// Writes the files of a change; gives the state as the manifest is to name it.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn write(&self, change: &mut PersonChange, epoch: u64) -> Result<PersonsEntry, RuntimeError> {
        let log = match &change.bulk {
            Some(buckets) => {
                let settled = |entry: &BucketEntry| BucketEntry { through: epoch, ..entry.clone() };
                let all = self.log.buckets().iter().enumerate();
                let all = all.map(|(bucket, entry)| (bucket, settled(buckets.get(&bucket).unwrap_or(entry))));
                self.log.replace_all(all.collect())
            }
            None => self.log.write(epoch, change.added.clone()).await?,
        };
        let buckets = self.log.buckets_after(&log);
        let mut entry = self.entry.clone();
        if buckets != self.log.buckets() {
            let bytes = serde_json::to_vec(&buckets).unwrap_or_default().into();
            entry.buckets = Some(self.store.put_immutable("state/buckets", "buckets", bytes, 0).await?);
        }
        entry.tail = log.tail_files().to_vec();
        if change.redefined {
            entry.cells = BTreeMap::new();
            entry.wakes = Vec::new();
        }
        entry.cells = self.cells.write(&self.store, &change.delta, &entry.cells).await?;
        entry.wakes = self.wakes.write(&self.store, &change.next, &entry.wakes).await?;
        entry.income_delivered = change.with.income_delivered.clone();
        entry.rows = self.log.rows() + change.events;
        change.log = Some(log);
        Ok(entry)
    }

    /// Takes over a change whose epoch is committed.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn install(&mut self, change: PersonChange, entry: PersonsEntry) -> Result<(), RuntimeError> {
        let totals = self.totals_of(&change.delta)?;
        if change.redefined {
            self.totals = totals;
            self.cells = change.delta;
            self.wakes = Wakes::default();
        } else {
            self.totals.merge(&totals, 1);
            self.cells.merge(&change.delta, 1);
            self.audit.follow(&change.audited);
        }
        if change.bulk.is_some() {
            self.audit.restart();
        }
        for (person, next) in &change.next {
            self.wakes.set(*person, *next);
        }
        match (Arc::get_mut(&mut self.log), change.log) {
            (Some(log), Some(change)) => log.install(change),
            _ => {
                let remedy = "start again: the committed epoch is whole; report this as a bug";
                return Err(RuntimeError::stop(
                    "taking over a change",
                    "the log is in use or the change was not written",
                    remedy,
                ));
            }
        }
        self.with = Some(change.with);
        self.entry = entry;
        Ok(())
    }
}
