//! The persons of some buckets: their histories, and what has come since the last epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use rettidig_event::{DeadLetter, Reason, Topic};
use rettidig_model::Model;
use rettidig_model::persons::Parameters;

use super::{
    CellStore, Contribution, Limits, LogChange, Owned, PersonChange, PersonLog, PersonsEntry, Spill, Wakes,
    wakes,
};
use crate::RuntimeError;
use crate::ingest::{OwnedMessage, Seen, conflict_letters, ingest};
use crate::manifest::{Counts, Position, Positions};
use crate::metrics::Metrics;
use crate::store::{Store, sha256_hex};

/// What has come since the last epoch.
#[derive(Debug)]
struct Batch {
    rows: Vec<RecordBatch>,
    row_count: usize,
    spill: Spill,
    messages: u64,
    counts: Counts,
    positions: Positions,
    change: Option<PersonChange>,
    /// Whether somebody was given the dead letters of `change`.
    is_told: bool,
    /// The change of the log that belongs to the contribution that was written last.
    log: Option<LogChange>,
}

impl Batch {
    fn new(spill_folder: &str) -> Self {
        Self {
            rows: Vec::new(),
            row_count: 0,
            spill: Spill::new(spill_folder),
            messages: 0,
            counts: Counts::default(),
            positions: Positions::new(),
            change: None,
            is_told: false,
            log: None,
        }
    }
}

/// The persons of some buckets.
#[derive(Debug)]
pub struct Shard {
    pub(super) store: Store,
    pub(super) model: Arc<Model>,
    metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) log: Arc<PersonLog>,
    pub(super) wakes: Wakes,
    /// What the newest cells were evaluated with; `None` before the first epoch.
    pub(super) with: Option<Parameters>,
    /// Cells of nobody.
    pub(super) empty: CellStore,
    spill_folder: String,
    batch: Batch,
}

/// What it takes to open a shard.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// The data folder.
    pub store: Store,
    /// The model.
    pub model: Arc<Model>,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Where one way of working ends and another begins.
    pub limits: Limits,
    /// Folder for what is put aside meanwhile: of this process alone, emptied when it opens.
    pub spill_folder: String,
}

impl Shard {
    /// Opens the shard of some buckets as a manifest names it: `entry`, and what its cells were evaluated with. Without
    /// `with` nothing was committed yet. `same_model` tells whether they were made with the model at hand.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        options: ShardOptions,
        owned: Owned,
        entry: &PersonsEntry,
        with: Option<Parameters>,
        same_model: bool,
    ) -> Result<Self, RuntimeError> {
        let ShardOptions { store, model, metrics, limits, spill_folder } = options;
        for path in store.list(&spill_folder).await? {
            store.delete(&path).await?;
        }
        let wakes = match same_model {
            true => Wakes::open(&store, &entry.wakes, &owned).await?,
            false => Wakes::default(),
        };
        let files = entry.log_files(&store).await?;
        let log = PersonLog::open(store.clone(), limits, owned, &files).await?;
        let batch = Batch::new(&spill_folder);
        let empty = CellStore::new(&model).await?;
        Ok(Self {
            store,
            model,
            metrics,
            limits,
            log: Arc::new(log),
            wakes,
            with,
            empty,
            spill_folder,
            batch,
        })
    }

    /// The log.
    pub fn log(&self) -> &PersonLog {
        &self.log
    }

    /// Where one way of working ends and another begins.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the newest cells were evaluated with.
    pub fn parameters(&self) -> Option<&Parameters> {
        self.with.as_ref()
    }

    /// Persons that wait for a day or for wages.
    pub fn waiting(&self) -> usize {
        self.wakes.len()
    }

    /// Messages that have come since the last epoch.
    pub fn messages(&self) -> u64 {
        self.batch.messages
    }

    /// Whether nothing has come since the last epoch.
    pub fn is_idle(&self) -> bool {
        self.batch.messages == 0 && self.batch.row_count == 0 && self.batch.spill.rows() == 0
    }

    /// Takes messages of one topic in, and where they stand; returns what must go to the dead letter before the next epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if a backlog cannot be spilled.
    pub async fn accept(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
        at: DateTime<Utc>,
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let letters = self.take_messages(topic, messages, at).await?;
        note_positions(&mut self.batch.positions, topic, messages);
        self.metrics.events_total.with_label_values(&[topic.name()]).inc_by(messages.len() as u64);
        Ok(letters)
    }

    /// As [`Shard::accept`], of messages that stand on no topic.
    ///
    /// # Errors
    /// As [`Shard::accept`].
    pub async fn take_messages(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
        at: DateTime<Utc>,
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let timer = self.metrics.decode_seconds.start_timer();
        let ingested = ingest(topic, messages, &mut Seen::default(), at)?;
        timer.observe_duration();
        self.batch.messages += messages.len() as u64;
        self.batch.counts.note(&ingested);
        if ingested.rows.num_rows() > 0 {
            self.take_rows(ingested.rows).await?;
        }
        Ok(ingested.dead_letters)
    }

    /// Takes decoded rows in; duplicates are told later, when the histories are read.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if a backlog cannot be spilled.
    pub async fn take_rows(&mut self, rows: RecordBatch) -> Result<(), RuntimeError> {
        let batch = &mut self.batch;
        batch.change = None;
        batch.is_told = false;
        batch.row_count += rows.num_rows();
        batch.rows.push(rows);
        if batch.row_count >= self.limits.spill_rows {
            batch.spill.push(&self.store, &batch.rows).await?;
            batch.rows.clear();
            batch.row_count = 0;
        }
        Ok(())
    }

    /// Evaluates the persons that the batch and the parameters touch; returns what contradicts rows that are there already
    /// and must go to the dead letter before the epoch. Calling it again with the same parameters and without new rows
    /// does nothing. With `redefine` all cells are made anew with the model at hand. `passed`: see [`Shard::change`].
    ///
    /// # Errors
    /// As [`Shard::change`].
    pub async fn settle(
        &mut self,
        with: &Parameters,
        redefine: bool,
        passed: usize,
        at: DateTime<Utc>,
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let known = |change: &PersonChange| &change.with == with && change.redefined == redefine;
        if !self.batch.change.as_ref().is_some_and(known) {
            let timer = self.metrics.persons_seconds.start_timer();
            let (rows, spill) = (&self.batch.rows, &self.batch.spill);
            let change = match redefine {
                true => self.redefine(rows, spill, with.clone()).await?,
                false => self.change(rows, spill, with.clone(), passed).await?,
            };
            timer.observe_duration();
            self.batch.change = Some(change);
        }
        let told = std::mem::replace(&mut self.batch.is_told, true);
        match &self.batch.change {
            Some(change) if !told => conflict_letters(&change.conflicts, at),
            _ => Ok(Vec::new()),
        }
    }

    /// What [`Shard::settle`] found.
    pub fn settled(&self) -> Option<&PersonChange> {
        self.batch.change.as_ref()
    }

    /// Whether rows were found to contradict others and nobody has taken the dead letters yet.
    pub fn has_untold_conflicts(&self) -> bool {
        self.batch.change.as_ref().is_some_and(|change| !change.conflicts.is_empty()) && !self.batch.is_told
    }

    /// Writes the files of what [`Shard::settle`] found; `None` if nothing was settled.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: call it again.
    pub async fn contribution(&mut self) -> Result<Option<Contribution>, RuntimeError> {
        let Some(change) = &self.batch.change else { return Ok(None) };
        let log = match &change.bulk {
            Some(buckets) => PersonLog::replace_all(buckets.clone()),
            None => self.log.write(change.added.clone()).await?,
        };
        let mut counts = self.batch.counts.clone();
        counts.events += change.events;
        counts.duplicates += change.duplicates;
        let conflicts: u64 = change.conflicts.iter().map(|rows| rows.num_rows() as u64).sum();
        if conflicts > 0 {
            *counts.dead_letters.entry(Reason::ConflictingRevision.code().to_owned()).or_default() +=
                conflicts;
        }
        let contribution = Contribution {
            with: change.with.clone(),
            redefined: change.redefined,
            positions: self.batch.positions.clone(),
            buckets: log.buckets.clone(),
            tail: log.tail.clone(),
            cells: change.delta.write(&self.store).await?,
            wakes: wakes::write(&self.store, &change.next).await?,
            counts,
            persons: change.touched,
        };
        self.batch.log = Some(log);
        Ok(Some(contribution))
    }

    /// Takes over the contribution that was written last and is committed now as an epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if spilled rows cannot be removed: the epoch stands.
    pub async fn install(&mut self, epoch: u64) -> Result<Option<PersonChange>, RuntimeError> {
        let mut batch = std::mem::replace(&mut self.batch, Batch::new(&self.spill_folder));
        let (Some(change), Some(log)) = (batch.change, batch.log) else { return Ok(None) };
        if change.redefined {
            self.wakes = Wakes::default();
        }
        for (person, next) in &change.next {
            self.wakes.set(*person, *next);
        }
        let Some(known) = Arc::get_mut(&mut self.log) else {
            let remedy = "start again: the committed epoch is whole; report this as a bug";
            return Err(RuntimeError::stop("taking over a change", "the log is in use", remedy));
        };
        known.install(log, epoch);
        self.with = Some(change.with.clone());
        batch.spill.clear(&self.store).await?;
        Ok(Some(change))
    }
}

/// Notes where partitions stand after some messages.
pub(crate) fn note_positions(positions: &mut Positions, topic: Topic, messages: &[OwnedMessage]) {
    let mut last: BTreeMap<i32, &OwnedMessage> = BTreeMap::new();
    last.extend(messages.iter().map(|message| (message.partition, message)));
    for (partition, message) in last {
        let position = Position { next: message.offset + 1, last_sha256: Some(sha256_hex(&message.payload)) };
        positions.entry(topic.name().to_owned()).or_default().insert(partition, position);
    }
}
