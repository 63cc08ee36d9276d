//! The engine: what is known, what a batch touches, and the commit of an epoch.
//!
//! State is the log (every accepted event) and, per group, its disclosed vintages. [`Engine::accept`] takes
//! messages into the batch; [`Engine::commit`] evaluates the touched groups from all their events, makes the
//! published tables, writes the files and commits the manifest. Until the manifest is there nothing has
//! happened; when it is there everything has. A failed commit leaves the batch as it was: call it again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Date32Type, Int32Type, SchemaRef, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, Utc};
use rettidig_event::{Clock, DeadLetter, Reason, Topic, aside, delivery, official, person};
use rettidig_model::Model;
use rettidig_model::calendar::month_of;
use rettidig_model::contract::{TABLES, Table};
use rettidig_model::evaluation::{FigureCounts, GroupKey, Groups, disclosed_schema};
use rettidig_model::local::LocalMonths;
use rettidig_model::persons::Parameters;
use tokio::sync::watch;

use crate::aside::{BySource, known_sources};
use crate::codes::Codes;
use crate::groups::{Epochs, Group, column, disclosed_of, evaluate_tables, figure_changes, split_by_group};
use crate::ingest::{OwnedMessage, Seen, conflict_letters, ingest};
use crate::local::Local;
use crate::manifest::{Counts, Manifest, Position, Positions, Previous};
use crate::metrics::Metrics;
use crate::persons::{AuditReport, Limits, PersonChange, Persons, SPILL, Spill};
use crate::store::{FileEntry, Store, sha256_hex};
use crate::{RuntimeError, orphans, publish};

/// Topics that the engine reads.
pub const TOPICS: [Topic; 5] =
    [Topic::Official, Topic::Deliveries, Topic::Payments, Topic::Cases, Topic::Income];

/// Topics whose log is read whole into memory; the log of the persons is [`crate::persons`].
const WHOLE: [Topic; 3] = [Topic::Official, Topic::Deliveries, Topic::DeadLetter];

/// How the sources of wages are named in deliveries.
const INCOME_SOURCES: &str = "income-";

/// Log files of a topic beyond which they are merged into one.
const LOG_FILES_MAX: usize = 32;

/// A committed epoch with its tables: what readers see.
#[derive(Debug)]
pub struct Snapshot {
    /// The manifest.
    pub manifest: Manifest,
    /// Published tables by name, those of persons apart.
    pub tables: BTreeMap<&'static str, RecordBatch>,
    /// Published tables of persons by name, one batch a month.
    pub monthly: BTreeMap<&'static str, Vec<RecordBatch>>,
}

/// What an epoch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochReport {
    /// Its number.
    pub epoch: u64,
    /// Events that became rows of the log.
    pub events: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Messages put aside.
    pub dead_letters: u64,
    /// New figures and changed figures by source.
    pub figures: BTreeMap<String, FigureCounts>,
    /// Persons evaluated.
    pub persons: u64,
}

/// What has been accepted since the last commit.
#[derive(Debug, Default)]
struct Batch {
    rows: BTreeMap<Topic, Vec<RecordBatch>>,
    events: u64,
    duplicates: u64,
    dead_letters: BTreeMap<String, u64>,
    by_source: BySource,
    unknown_fields: u64,
    messages: u64,
    touched: BTreeSet<GroupKey>,
    persons: Vec<RecordBatch>,
    person_rows: usize,
    spill: Spill,
    change: Option<PersonChange>,
    /// Whether somebody was given the dead letters of `change`.
    is_told: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.messages == 0 && self.events == 0 && self.person_rows == 0 && self.spill.rows() == 0
    }
}

/// The engine of one data folder.
pub struct Engine {
    store: Store,
    model: Arc<Model>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    newest: Option<(Manifest, String)>,
    positions: Positions,
    cluster_id: Option<String>,
    codes: Arc<Codes>,
    seen: HashMap<Topic, Seen>,
    groups: BTreeMap<GroupKey, Group>,
    deliveries: Vec<RecordBatch>,
    /// Newest month whose wages are delivered, by municipality, deliveries of the open batch included.
    income_delivered: BTreeMap<i32, i32>,
    persons: Persons,
    /// What is shown of the indicators of persons.
    local: Local,
    batch: Batch,
    /// `tables/latest` may be behind the newest epoch.
    unpublished: bool,
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
}

/// The event schema of a topic.
pub(crate) fn schema_of(topic: Topic) -> SchemaRef {
    match topic {
        Topic::Deliveries => delivery::schema(),
        Topic::Payments | Topic::Cases | Topic::Income => person::schema(),
        Topic::Official => official::schema(),
        Topic::DeadLetter => aside::schema(),
    }
}

/// Where the files of a topic's log are.
fn log_folder(topic: Topic) -> String {
    format!("log/{}", topic.name().trim_start_matches("rettidig."))
}

impl Engine {
    /// Opens a data folder: the newest epoch, its log, its tables.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        store: Store,
        model: Arc<Model>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RuntimeError> {
        Self::open_with(store, model, clock, metrics, Limits::default()).await
    }

    /// As [`Engine::open`], with limits of its own.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_with(
        store: Store,
        model: Arc<Model>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<Self, RuntimeError> {
        let newest = Manifest::newest(&store).await?;
        for path in store.list(SPILL).await? {
            store.delete(&path).await?;
        }
        let persons = match &newest {
            Some((manifest, _)) => {
                let with = Parameters {
                    as_of: manifest.as_of,
                    income_delivered: manifest.persons.income_delivered.clone(),
                };
                let same = is_same_model(manifest, &model);
                Persons::open(store.clone(), Arc::clone(&model), &manifest.persons, with, same, limits)
                    .await?
            }
            None => Persons::empty(store.clone(), Arc::clone(&model), limits).await?,
        };
        let codes = Arc::new(Codes::of(&model));
        let mut engine = Self {
            store,
            model,
            clock,
            metrics,
            positions: newest.as_ref().map(|(manifest, _)| manifest.positions.clone()).unwrap_or_default(),
            cluster_id: newest.as_ref().and_then(|(manifest, _)| manifest.cluster_id.clone()),
            newest,
            codes,
            seen: HashMap::new(),
            groups: BTreeMap::new(),
            deliveries: Vec::new(),
            income_delivered: BTreeMap::new(),
            persons,
            local: Local::empty(),
            batch: Batch::default(),
            unpublished: false,
            snapshot: watch::Sender::new(None),
        };
        if let Some((manifest, _)) = engine.newest.clone() {
            engine.recover(&manifest).await?;
        }
        Ok(engine)
    }

    async fn recover(&mut self, manifest: &Manifest) -> Result<(), RuntimeError> {
        for topic in WHOLE {
            let seen = self.seen.entry(topic).or_default();
            for entry in manifest.log.get(topic.name()).into_iter().flatten() {
                let rows = self.store.get_parquet(entry, schema_of(topic)).await?;
                seen.remember(topic, &rows);
                if topic == Topic::Deliveries {
                    note_income(&rows, &mut self.income_delivered)?;
                    self.deliveries.push(rows);
                } else {
                    for (key, part) in split_by_group(&rows)? {
                        let group = self.groups.entry(key).or_default();
                        let parts =
                            if topic == Topic::DeadLetter { &mut group.aside } else { &mut group.events };
                        parts.push(part);
                    }
                }
            }
        }
        let keys: BTreeSet<GroupKey> = self.groups.keys().cloned().collect();
        let (events, aside) = (self.events_of(&keys)?, self.aside_of(&keys)?);
        let evaluated = self.model.evaluate_groups(events, aside, &BTreeMap::new()).await?;
        let disclosed = self.store.get_parquet(&manifest.disclosed, disclosed_schema(true)).await?;
        self.local = Local::open(&self.store, &self.model, manifest).await?;
        let epochs = Epochs::of(&disclosed)?;
        self.groups = self.stamped(&keys, evaluated, &epochs, manifest.epoch)?;
        let mut tables = BTreeMap::new();
        for table in TABLES.iter().filter(|table| !self.is_monthly(table)) {
            if let Some(entry) = manifest.tables.get(table.name) {
                tables.insert(table.name, self.store.get_parquet(entry, table.schema()).await?);
            }
        }
        publish::latest(&self.store, manifest).await?;
        let monthly = self.monthly(&self.local);
        self.snapshot.send_replace(Some(Arc::new(Snapshot { manifest: manifest.clone(), tables, monthly })));
        Ok(())
    }

    /// The newest committed epoch as readers see it; changes with every commit.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.snapshot.subscribe()
    }

    /// The codes that the model knows.
    pub fn codes(&self) -> Arc<Codes> {
        Arc::clone(&self.codes)
    }

    /// The newest manifest.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.newest.as_ref().map(|(manifest, _)| manifest)
    }

    /// Where the topics stand, messages of the open batch included.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Notes the cluster that the messages come from.
    pub fn set_cluster_id(&mut self, cluster_id: Option<String>) {
        self.cluster_id = cluster_id;
    }

    /// Messages in the open batch.
    pub fn batch_messages(&self) -> u64 {
        self.batch.messages
    }

    /// Takes messages of one topic into the open batch; returns what must go to the dead letter before the
    /// batch is committed.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if a backlog cannot be spilled.
    pub async fn accept(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let letters = self.take_messages(topic, messages).await?;
        let positions = self.positions.entry(topic.name().to_owned()).or_default();
        let mut last: BTreeMap<i32, &OwnedMessage> = BTreeMap::new();
        last.extend(messages.iter().map(|message| (message.partition, message)));
        for (partition, message) in last {
            let position =
                Position { next: message.offset + 1, last_sha256: Some(sha256_hex(&message.payload)) };
            positions.insert(partition, position);
        }
        self.metrics.events_total.with_label_values(&[topic.name()]).inc_by(messages.len() as u64);
        Ok(letters)
    }

    /// As [`Engine::accept`], of messages that stand on no topic.
    ///
    /// # Errors
    /// As [`Engine::accept`].
    pub async fn take_messages(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let timer = self.metrics.decode_seconds.start_timer();
        let seen = self.seen.entry(topic).or_default();
        let ingested = ingest(topic, messages, seen, &self.codes, self.clock.now())?;
        timer.observe_duration();
        self.batch.messages += messages.len() as u64;
        self.batch.duplicates += ingested.duplicates;
        self.batch.unknown_fields += ingested.unknown_fields;
        for letter in &ingested.dead_letters {
            *self.batch.dead_letters.entry(letter.reason.code().to_owned()).or_default() += 1;
        }
        if ingested.rows.num_rows() > 0 {
            self.take_rows(topic, ingested.rows).await?;
        }
        if !ingested.dead_letters.is_empty() {
            self.put_aside(&ingested.dead_letters)?;
        }
        Ok(ingested.dead_letters)
    }

    /// Counts letters by source; figures that they are about are expected from now on.
    fn put_aside(&mut self, letters: &[DeadLetter]) -> Result<(), RuntimeError> {
        let known = known_sources(self.model.reference.get("sources"), &self.deliveries);
        self.batch.by_source.count(letters, &known);
        let figures = aside::figures(letters, self.clock.now());
        let figures =
            self.seen.entry(Topic::DeadLetter).or_default().first_of(Topic::DeadLetter, &figures)?;
        if figures.num_rows() > 0 {
            for (key, part) in split_by_group(&figures)? {
                self.groups.entry(key.clone()).or_default().aside.push(part);
                self.batch.touched.insert(key);
            }
            self.batch.rows.entry(Topic::DeadLetter).or_default().push(figures);
        }
        Ok(())
    }

    /// Takes decoded rows of one topic into the open batch; duplicates among rows about persons are told later.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if a backlog cannot be spilled.
    pub async fn take_rows(&mut self, topic: Topic, rows: RecordBatch) -> Result<(), RuntimeError> {
        match topic {
            Topic::Deliveries => {
                note_income(&rows, &mut self.income_delivered)?;
                self.deliveries.push(rows.clone());
            }
            Topic::Official => {
                for (key, part) in split_by_group(&rows)? {
                    self.groups.entry(key.clone()).or_default().events.push(part);
                    self.batch.touched.insert(key);
                }
            }
            _ => {
                self.batch.change = None;
                self.batch.is_told = false;
                self.batch.person_rows += rows.num_rows();
                self.batch.persons.push(rows);
                if self.batch.person_rows >= self.persons.limits().spill_rows {
                    self.batch.spill.push(&self.store, &self.batch.persons).await?;
                    self.batch.persons.clear();
                    self.batch.person_rows = 0;
                }
                return Ok(());
            }
        }
        self.batch.change = None;
        self.batch.events += rows.num_rows() as u64;
        self.batch.rows.entry(topic).or_default().push(rows);
        Ok(())
    }

    /// Evaluates the persons that the open batch touches; returns what contradicts rows that are there already and must
    /// go to the dead letter before the batch is committed. Calling it again without new messages does nothing.
    ///
    /// # Errors
    /// As [`Persons::change`].
    pub async fn settle(&mut self) -> Result<Vec<DeadLetter>, RuntimeError> {
        self.evaluate_batch().await?;
        let told = std::mem::replace(&mut self.batch.is_told, true);
        match &self.batch.change {
            Some(change) if !told => conflict_letters(&change.conflicts, self.clock.now()),
            _ => Ok(Vec::new()),
        }
    }

    /// The change by the open batch, unless it is known already.
    async fn evaluate_batch(&mut self) -> Result<(), RuntimeError> {
        let with = Parameters { as_of: self.as_of(), income_delivered: self.income_delivered.clone() };
        if self.batch.change.as_ref().is_some_and(|change| change.parameters() == &with) {
            return Ok(());
        }
        let timer = self.metrics.persons_seconds.start_timer();
        let (rows, spill) = (&self.batch.persons, &self.batch.spill);
        let change = match self.manifest().is_some_and(|manifest| !is_same_model(manifest, &self.model)) {
            true => self.persons.redefine(rows, spill, with).await?,
            false => self.persons.change(rows, spill, with).await?,
        };
        timer.observe_duration();
        self.batch.change = Some(change);
        Ok(())
    }

    /// What is shown of the indicators of persons after the open batch.
    async fn local_after(&mut self, at: DateTime<Utc>, epoch: u64) -> Result<LocalMonths, RuntimeError> {
        let before = self.local.shown();
        let Some(change) = &self.batch.change else { return Ok(before) };
        let timer = self.metrics.local_seconds.start_timer();
        let cells = self.persons.totals_after(change)?;
        let derived = self.model.derive_published(&cells, change.parameters()).await?;
        let (as_of, at) = (change.parameters().as_of, at.timestamp_micros());
        let local = self.model.continue_local(&derived, &before, as_of, at, epoch).await?;
        timer.observe_duration();
        Ok(local)
    }

    /// The as-of date of the next epoch: today, or the newest epoch's if the clock has gone backwards.
    fn as_of(&self) -> NaiveDate {
        let today = self.clock.today();
        self.manifest().map_or(today, |manifest| manifest.as_of.max(today))
    }

    /// The persons.
    pub fn persons(&self) -> &Persons {
        &self.persons
    }

    /// Recomputes a few more buckets of the log in comparison with the committed cells.
    ///
    /// # Errors
    /// As [`Persons::audit_step`].
    pub async fn audit_step(&mut self) -> Result<Option<AuditReport>, RuntimeError> {
        let report = self.persons.audit_step(self.clock.now()).await?;
        if let Some(report) = &report {
            self.metrics.observe_audit(report);
        }
        Ok(report)
    }

    /// Whether a commit would do anything: messages have come, the day has changed, or the model has.
    pub fn is_due(&self) -> bool {
        let is_behind =
            |manifest: &Manifest| manifest.as_of != self.as_of() || !is_same_model(manifest, &self.model);
        !self.batch.is_empty() || self.manifest().is_some_and(is_behind)
    }

    /// Commits the open batch as the next epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: nothing is lost, commit again. [`RuntimeError::Stop`] if
    /// another writer owns the folder, or nobody has taken the batch's dead letters from [`Engine::settle`].
    pub async fn commit(&mut self) -> Result<EpochReport, RuntimeError> {
        let timer = self.metrics.commit_seconds.start_timer();
        self.evaluate_batch().await?;
        let has_conflicts = self.batch.change.as_ref().is_some_and(|change| !change.conflicts.is_empty());
        if has_conflicts && !self.batch.is_told {
            return Err(RuntimeError::stop(
                "committing a batch",
                "its dead letters were not taken",
                "report this as a bug: settle comes before commit",
            ));
        }
        let (as_of, at) = (self.as_of(), self.clock.now());
        let epoch = self.manifest().map_or(1, |manifest| manifest.epoch + 1);
        let redefined = self.manifest().is_some_and(|manifest| !is_same_model(manifest, &self.model));
        let keys = if redefined { self.groups.keys().cloned().collect() } else { self.batch.touched.clone() };
        // What is made of the same figures by the same definitions is the same.
        let known = if redefined { BTreeMap::new() } else { self.digests_of(&keys) };
        let (events, aside) = (self.events_of(&keys)?, self.aside_of(&keys)?);
        let evaluated = self.model.evaluate_groups(events, aside, &known).await?;
        let before = self.disclosed_of(&keys)?;
        let groups = self.stamped(&keys, evaluated, &Epochs::of(&before)?, epoch)?;
        let figures = figure_changes(&self.groups, &groups);
        let replaced: BTreeMap<GroupKey, Group> = self
            .groups
            .iter()
            .map(|(key, group)| (key.clone(), groups.get(key).unwrap_or(group).clone()))
            .collect();
        let disclosed = disclosed_of(&replaced)?;
        let shown = self.local_after(at, epoch).await?;
        let local = self.local.after(&self.store, &self.model, shown, as_of, !redefined).await?;
        let is_same = keys.is_empty() && !redefined;
        let kept = if is_same { self.tables_of_figures() } else { BTreeMap::new() };
        let (deliveries, when) = (&self.deliveries, (as_of, at));
        let tables = evaluate_tables(&self.model, &replaced, deliveries, when, kept).await?;
        let manifest = self.write(epoch, when, &disclosed, &local, &tables).await?;
        if !manifest.commit(&self.store).await? {
            return Err(RuntimeError::stop(
                format!("committing epoch {epoch}"),
                "another writer has committed this epoch",
                "make sure that only one rettidig writes to this data folder, then start again",
            ));
        }
        // The epoch is committed: what follows may fail and is done again, but the epoch stands.
        let mut batch = std::mem::take(&mut self.batch);
        let (mut events, mut duplicates, mut touched) = (batch.events, batch.duplicates, 0);
        let mut conflicts = 0;
        if let Some(change) = batch.change.take() {
            (events, duplicates) = (events + change.events, duplicates + change.duplicates);
            touched = change.touched;
            conflicts = change.conflicts.iter().map(|rows| rows.num_rows() as u64).sum();
            self.persons.install(change, manifest.persons.clone())?;
        }
        batch.spill.clear(&self.store).await?;
        self.metrics.observe_persons(&self.persons, touched);
        self.groups = replaced;
        self.local = local;
        let digest = sha256_hex(&manifest.to_bytes());
        self.newest = Some((manifest.clone(), digest));
        self.unpublished = true;
        let monthly = self.monthly(&self.local);
        self.snapshot.send_replace(Some(Arc::new(Snapshot { manifest, tables, monthly })));
        self.publish().await?;
        orphans::collect(&self.store, epoch).await?;
        timer.observe_duration();
        Ok(EpochReport {
            epoch,
            events,
            duplicates,
            dead_letters: batch.dead_letters.values().sum::<u64>() + conflicts,
            figures,
            persons: touched,
        })
    }

    /// Brings the files for plain readers to the newest epoch; does nothing if they are there.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: call it again.
    pub async fn publish(&mut self) -> Result<(), RuntimeError> {
        if let (true, Some((manifest, _))) = (self.unpublished, &self.newest) {
            publish::latest(&self.store, manifest).await?;
            self.unpublished = false;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        epoch: u64,
        (as_of, at): (NaiveDate, DateTime<Utc>),
        disclosed: &RecordBatch,
        local: &Local,
        tables: &BTreeMap<&'static str, RecordBatch>,
    ) -> Result<Manifest, RuntimeError> {
        let before = self.newest.as_ref().map(|(manifest, digest)| (manifest.clone(), digest.clone()));
        let mut log = before.as_ref().map(|(manifest, _)| manifest.log.clone()).unwrap_or_default();
        for topic in WHOLE {
            let entries = log.entry(topic.name().to_owned()).or_default();
            if let Some(rows) = self.batch.rows.get(&topic) {
                let rows = concat_batches(&schema_of(topic), rows)?;
                entries.push(self.store.put_parquet(&log_folder(topic), "events", &rows, Vec::new()).await?);
            }
            if entries.len() > LOG_FILES_MAX {
                *entries = vec![self.merged(topic, entries).await?];
            }
        }
        let mut files = BTreeMap::new();
        for (name, batch) in tables {
            let unchanged = before.as_ref().and_then(|(manifest, _)| manifest.tables.get(*name));
            let same = unchanged.filter(|_| self.is_unchanged(name, batch));
            let entry = match same {
                Some(entry) => entry.clone(),
                None => publish::write(&self.store, name, batch, epoch).await?,
            };
            files.insert((*name).to_owned(), entry);
        }
        let disclosed = match (&before, self.batch.touched.is_empty()) {
            // Nothing but new figures and new definitions changes it.
            (Some((manifest, _)), true) if is_same_model(manifest, &self.model) => manifest.disclosed.clone(),
            _ => self.store.put_parquet("state", "disclosed", disclosed, Vec::new()).await?,
        };
        let same = before.as_ref().filter(|(manifest, _)| is_same_model(manifest, &self.model));
        for table in TABLES.iter().filter(|table| self.is_monthly(table)) {
            let known = same.and_then(|(manifest, _)| manifest.tables.get(table.name));
            let before = known.map(|entry| (&self.local, entry));
            files.insert(table.name.to_owned(), local.write(&self.store, table, before, epoch).await?);
        }
        let mut persons = before.as_ref().map(|(manifest, _)| manifest.persons.clone()).unwrap_or_default();
        if let Some(change) = &mut self.batch.change {
            persons = self.persons.write(change, epoch).await?;
        }
        let mut counts: Counts =
            before.as_ref().map(|(manifest, _)| manifest.counts.clone()).unwrap_or_default();
        let change = self.batch.change.as_ref();
        counts.events += self.batch.events + change.map_or(0, |change| change.events);
        counts.duplicates += self.batch.duplicates + change.map_or(0, |change| change.duplicates);
        let conflicts = change.into_iter().flat_map(|change| &change.conflicts);
        let conflicts: u64 = conflicts.map(|rows| rows.num_rows() as u64).sum();
        if conflicts > 0 {
            *counts.dead_letters.entry(Reason::ConflictingRevision.code().to_owned()).or_default() +=
                conflicts;
        }
        counts.unknown_fields += self.batch.unknown_fields;
        for (reason, count) in &self.batch.dead_letters {
            *counts.dead_letters.entry(reason.clone()).or_default() += count;
        }
        counts.dead_letters_by_source.extend(&self.batch.by_source);
        if let Some(change) = change {
            let known = known_sources(self.model.reference.get("sources"), &self.deliveries);
            counts.dead_letters_by_source.count_conflicts(&change.conflicts, &known)?;
        }
        Ok(Manifest {
            epoch,
            previous: before.map(|(manifest, sha256)| Previous { epoch: manifest.epoch, sha256 }),
            committed_at: at,
            as_of,
            cluster_id: self.cluster_id.clone(),
            positions: self.positions.clone(),
            log,
            disclosed,
            local: local.states(),
            persons,
            tables: files,
            sql_sha256: self.model.sql_sha256.clone(),
            reference_sha256: self.model.reference_sha256.clone(),
            frontiers: frontiers(tables)?,
            counts,
        })
    }

    /// Merges the log files of a topic into one.
    async fn merged(&self, topic: Topic, entries: &[FileEntry]) -> Result<FileEntry, RuntimeError> {
        let mut batches = Vec::with_capacity(entries.len());
        for entry in entries {
            batches.push(self.store.get_parquet(entry, schema_of(topic)).await?);
        }
        let rows = concat_batches(&schema_of(topic), &batches)?;
        self.store.put_parquet(&log_folder(topic), "events", &rows, Vec::new()).await
    }

    /// The newest epoch's tables that stay as they are without new figures.
    fn tables_of_figures(&self) -> BTreeMap<&'static str, RecordBatch> {
        let names = self.model.tables_of_figures();
        let tables = self.snapshot.borrow().as_ref().map(|snapshot| snapshot.tables.clone());
        tables.unwrap_or_default().into_iter().filter(|(name, _)| names.contains(name)).collect()
    }

    fn is_monthly(&self, table: &Table) -> bool {
        self.model.models.iter().any(|model| model.name == table.name && model.is_monthly())
    }

    /// The published tables of persons.
    fn monthly(&self, local: &Local) -> BTreeMap<&'static str, Vec<RecordBatch>> {
        let tables = TABLES.iter().filter(|table| self.is_monthly(table));
        tables.map(|table| (table.name, local.rows(table.name))).collect()
    }

    fn is_unchanged(&self, name: &str, batch: &RecordBatch) -> bool {
        self.snapshot.borrow().as_ref().is_some_and(|snapshot| snapshot.tables.get(name) == Some(batch))
    }

    fn events_of(&self, keys: &BTreeSet<GroupKey>) -> Result<RecordBatch, RuntimeError> {
        let events = keys.iter().filter_map(|key| self.groups.get(key)).flat_map(|group| &group.events);
        Ok(concat_batches(&official::schema(), events)?)
    }

    fn aside_of(&self, keys: &BTreeSet<GroupKey>) -> Result<RecordBatch, RuntimeError> {
        let aside = keys.iter().filter_map(|key| self.groups.get(key)).flat_map(|group| &group.aside);
        Ok(concat_batches(&aside::schema(), aside)?)
    }

    fn digests_of(&self, keys: &BTreeSet<GroupKey>) -> BTreeMap<GroupKey, u128> {
        let evaluated = keys.iter().filter_map(|key| Some((key, self.groups.get(key)?)));
        let evaluated = evaluated.filter(|(_, group)| group.vintages.is_some());
        evaluated.map(|(key, group)| (key.clone(), group.digest)).collect()
    }

    fn disclosed_of(&self, keys: &BTreeSet<GroupKey>) -> Result<RecordBatch, RuntimeError> {
        let vintages = keys.iter().filter_map(|key| self.groups.get(key)?.vintages.as_ref());
        Ok(concat_batches(&disclosed_schema(true), vintages)?)
    }

    /// The groups as evaluated, each row with the epoch that first published it.
    fn stamped(
        &self,
        keys: &BTreeSet<GroupKey>,
        mut evaluated: Groups,
        epochs: &Epochs,
        epoch: u64,
    ) -> Result<BTreeMap<GroupKey, Group>, RuntimeError> {
        let mut groups = BTreeMap::new();
        for key in keys {
            let vintages =
                evaluated.vintages.remove(key).map(|rows| epochs.stamp(&rows, epoch)).transpose()?;
            let public = evaluated.public.iter_mut();
            let public =
                public.filter_map(|(name, parts)| Some((name.clone(), parts.remove(key)?))).collect();
            let figures = evaluated.figures.remove(key).unwrap_or_default();
            let digest = evaluated.digests.get(key).copied().unwrap_or_default();
            let old = self.groups.get(key).cloned().unwrap_or_default();
            let group = if evaluated.unchanged.contains(key) {
                Group { public, ..old }
            } else {
                Group { vintages, public, figures, digest, ..old }
            };
            groups.insert(key.clone(), group);
        }
        Ok(groups)
    }
}

/// Whether an epoch was made with this model.
fn is_same_model(manifest: &Manifest, model: &Model) -> bool {
    manifest.sql_sha256 == model.sql_sha256 && manifest.reference_sha256 == model.reference_sha256
}

/// Notes up to which month the deliveries of wages reach.
fn note_income(rows: &RecordBatch, newest: &mut BTreeMap<i32, i32>) -> Result<(), RuntimeError> {
    let source = column(rows, "source")?.as_string::<i32>();
    let municipality = column(rows, "municipality")?.as_primitive::<Int32Type>();
    let end = column(rows, "period_end")?.as_primitive::<Date32Type>();
    for row in (0..rows.num_rows()).filter(|row| source.value(*row).starts_with(INCOME_SOURCES)) {
        let month = i32::try_from(month_of(i64::from(end.value(row)))).unwrap_or(i32::MIN);
        let known = newest.entry(municipality.value(row)).or_insert(month);
        *known = (*known).max(month);
    }
    Ok(())
}

/// The newest retrieval of each source, from the freshness table.
fn frontiers(
    tables: &BTreeMap<&'static str, RecordBatch>,
) -> Result<BTreeMap<String, DateTime<Utc>>, RuntimeError> {
    let mut frontiers = BTreeMap::new();
    if let Some(freshness) = tables.get("freshness") {
        let source = column(freshness, "source")?.as_string::<i32>();
        let newest = column(freshness, "newest_event")?.as_primitive::<TimestampMicrosecondType>();
        for row in 0..freshness.num_rows() {
            if let Some(at) = DateTime::from_timestamp_micros(newest.value(row)) {
                frontiers.insert(source.value(row).to_owned(), at);
            }
        }
    }
    Ok(frontiers)
}
