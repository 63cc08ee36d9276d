//! The persons of some buckets: their histories, and what has come since the last epoch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use chrono::{DateTime, Utc};
use rettidig_event::person::partition_of;
use rettidig_event::{DeadLetter, Reason, Topic};
use rettidig_model::Model;
use rettidig_model::persons::Parameters;

use super::file::person_at;
use super::{
    CellStore, Contribution, Limits, LogChange, Owned, PersonChange, PersonLog, PersonsEntry, Spill, Wakes,
    wakes,
};
use crate::RuntimeError;
use crate::codes::Codes;
use crate::groups::column;
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
    codes: Arc<Codes>,
    pub(super) log: Arc<PersonLog>,
    pub(super) wakes: Wakes,
    /// What the newest cells were evaluated with; `None` before the first epoch.
    pub(super) with: Option<Parameters>,
    /// Cells of nobody.
    pub(super) empty: CellStore,
    spill_folder: String,
    partition_count: Option<i32>,
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
    /// How many partitions the topics about persons have, if others look after other partitions: a message that stands on
    /// the wrong one is not taken then.
    pub partition_count: Option<i32>,
}

/// What became of messages that were taken in.
#[derive(Debug)]
pub struct Accepted {
    /// What must go to the dead letter before the next epoch.
    pub letters: Vec<DeadLetter>,
    /// What must be sent to the partition of its person before the next epoch.
    pub misplaced: Vec<Misplaced>,
}

/// A message that stands on another partition than that of its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// The person, the key of the message.
    pub person: String,
    /// The message.
    pub payload: Vec<u8>,
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
        let ShardOptions { store, model, metrics, limits, spill_folder, partition_count } = options;
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
        let codes = Arc::new(Codes::of(&model));
        let empty = CellStore::new(&model).await?;
        Ok(Self {
            store,
            model,
            metrics,
            limits,
            codes,
            log: Arc::new(log),
            wakes,
            with,
            empty,
            spill_folder,
            partition_count,
            batch,
        })
    }

    /// The log.
    pub fn log(&self) -> &PersonLog {
        &self.log
    }

    /// The codes that the model knows.
    pub fn codes(&self) -> &Arc<Codes> {
        &self.codes
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

    /// Takes messages of one topic in, and where they stand.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if a backlog cannot be spilled.
    pub async fn accept(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
        at: DateTime<Utc>,
    ) -> Result<Accepted, RuntimeError> {
        let accepted = self.take_messages(topic, messages, at).await?;
        note_positions(&mut self.batch.positions, topic, messages);
        self.metrics.events_total.with_label_values(&[topic.name()]).inc_by(messages.len() as u64);
        Ok(accepted)
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
    ) -> Result<Accepted, RuntimeError> {
        let timer = self.metrics.decode_seconds.start_timer();
        let ingested = ingest(topic, messages, &mut Seen::default(), &self.codes, at)?;
        timer.observe_duration();
        self.batch.messages += messages.len() as u64;
        self.batch.counts.note(&ingested);
        let (rows, misplaced) = match self.partition_count {
            Some(count) => placed(ingested.rows, messages, count)?,
            None => (ingested.rows, Vec::new()),
        };
        if rows.num_rows() > 0 {
            self.take_rows(rows).await?;
        }
        Ok(Accepted { letters: ingested.dead_letters, misplaced })
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

    /// Evaluates the persons that the batch and the parameters touch. Calling it again with the same parameters and without
    /// new rows does nothing. With `redefine` all cells are made anew with the model at hand. `passed`: see
    /// [`Shard::change`].
    ///
    /// # Errors
    /// As [`Shard::change`].
    pub async fn settle(
        &mut self,
        with: &Parameters,
        redefine: bool,
        passed: usize,
    ) -> Result<(), RuntimeError> {
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
        Ok(())
    }

    /// What contradicts rows that are there already and must go to the dead letter before the epoch; told once.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn tell_conflicts(&mut self, at: DateTime<Utc>) -> Result<Vec<DeadLetter>, RuntimeError> {
        match &self.batch.change {
            Some(change) if !std::mem::replace(&mut self.batch.is_told, true) => {
                conflict_letters(&change.conflicts, at)
            }
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
            counts.dead_letters_by_source.count_conflicts(&change.conflicts)?;
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

/// The rows that stand on the partition of their person, and the messages of the others.
fn placed(
    rows: RecordBatch,
    messages: &[OwnedMessage],
    partition_count: i32,
) -> Result<(RecordBatch, Vec<Misplaced>), RuntimeError> {
    let partition = column(&rows, "topic_partition")?.as_primitive::<Int32Type>();
    let offset = column(&rows, "topic_offset")?.as_primitive::<Int64Type>();
    let is_right = |row: usize| partition_of(&person_at(&rows, row), partition_count) == partition.value(row);
    let keep: BooleanArray = (0..rows.num_rows()).map(|row| Some(is_right(row))).collect();
    if keep.true_count() == rows.num_rows() {
        return Ok((rows, Vec::new()));
    }
    let by_place: HashMap<(i32, i64), &OwnedMessage> =
        messages.iter().map(|message| ((message.partition, message.offset), message)).collect();
    let mut misplaced = Vec::new();
    for row in (0..rows.num_rows()).filter(|row| !keep.value(*row)) {
        if let Some(message) = by_place.get(&(partition.value(row), offset.value(row))) {
            let person = hex::encode(person_at(&rows, row));
            misplaced.push(Misplaced { person, payload: message.payload.clone() });
        }
    }
    Ok((filter_record_batch(&rows, &keep)?, misplaced))
}
