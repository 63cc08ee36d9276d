//! The committer: official figures, the cells of everybody, and the commit of an epoch.
//!
//! State is the log of figures and deliveries, per group of figures its disclosed vintages, and the cells of the persons.
//! [`Committer::accept`] takes messages of the topics it reads itself; what concerns persons comes as contributions of
//! shards, which are files. [`Committer::commit`] evaluates the touched groups, makes the published tables, writes the files
//! and commits the manifest. Until the manifest is there nothing has happened; when it is there everything has. A failed
//! commit leaves everything as it was: call it again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Date32Type, Int32Type, SchemaRef};
use chrono::{DateTime, TimeDelta, Utc};
use rettidig_event::{Clock, DeadLetter, Topic, aside, delivery, official, person};
use rettidig_model::Model;
use rettidig_model::calendar::{month_of, month_text};
use rettidig_model::catalogue::COMPLETENESS;
use rettidig_model::contract;
use rettidig_model::evaluation::{FigureCounts, GroupKey, Groups, disclosed_schema};
use rettidig_model::local::{LocalMonths, local_months};
use rettidig_model::persons::Parameters;
use tokio::sync::watch;

use crate::aside::known_sources;
use crate::codes::Codes;
use crate::groups::{Epochs, Group, column, disclosed_of, evaluate_tables, figure_changes, split_by_group};
use crate::ingest::{OwnedMessage, Seen, ingest};
use crate::local::Local;
use crate::manifest::{Counts, Manifest, Positions};
use crate::metrics::{Labels, Metrics};
use crate::persons::{
    Added, CellStore, Changed, Contribution, Limits, State, Written, note_positions, parameters_of,
};
use crate::store::{Store, sha256_hex};
use crate::{RuntimeError, definitions, orphans, publish};

mod tables;

/// Topics that the committer reads, and keeps whole in memory; those of persons are read by shards.
pub const TOPICS: [Topic; 2] = [Topic::Official, Topic::Deliveries];

/// Topics of which the committer keeps a log: those it reads, and of the dead letters the figures that were put aside.
const LOGGED: [Topic; 3] = [Topic::Official, Topic::Deliveries, Topic::DeadLetter];

/// How the sources of wages are named in deliveries.
const INCOME_SOURCES: &str = "income-";

/// How long a file stays that no epoch names: longer than a worker takes from writing it to its proposal's epoch.
const ORPHANS_STAY: TimeDelta = TimeDelta::days(1);

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
    /// What gauges are labelled with.
    pub labels: Labels,
}

impl Snapshot {
    /// A committed epoch, read from its files.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file cannot be read.
    pub async fn read(store: &Store, model: &Model, manifest: Manifest) -> Result<Self, RuntimeError> {
        let mut tables = BTreeMap::new();
        for table in contract::tables() {
            if let Some(entry) = manifest.tables.get(table.name) {
                tables.insert(table.name, store.get_parquet(entry, table.schema()).await?);
            }
        }
        Ok(Self::of_tables(model, manifest, tables))
    }

    /// Tables in place of those of an epoch.
    pub fn of_tables(model: &Model, manifest: Manifest, tables: BTreeMap<&'static str, RecordBatch>) -> Self {
        let labels = Labels::of(model, manifest.as_of);
        Self { manifest, tables, monthly: BTreeMap::new(), labels }
    }
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
    messages: u64,
    counts: Counts,
    touched: BTreeSet<GroupKey>,
}

/// What an epoch is to bring beside the figures.
#[derive(Debug)]
pub struct Brought<'a> {
    /// What all cells are evaluated with.
    pub with: &'a Parameters,
    /// What shards bring, all of it evaluated so.
    pub contributions: &'a [Contribution],
    /// The cells of the contributions, added up; `None` if there are none.
    pub cells: Option<&'a CellStore>,
    /// When the persons of each partition changed, this epoch included.
    pub changed: Changed,
}

/// An epoch of which all is written but, perhaps, its manifest.
struct Attempt {
    manifest: Manifest,
    tables: BTreeMap<&'static str, RecordBatch>,
    groups: BTreeMap<GroupKey, Group>,
    local: Local,
    written: Written,
    figures: BTreeMap<String, FigureCounts>,
}

/// The committer of one data folder.
pub struct Committer {
    store: Store,
    model: Arc<Model>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    newest: Option<(Manifest, String)>,
    /// How often the right to commit has passed on.
    term: u64,
    positions: Positions,
    cluster_id: Option<String>,
    codes: Codes,
    seen: HashMap<Topic, Seen>,
    groups: BTreeMap<GroupKey, Group>,
    deliveries: Vec<RecordBatch>,
    /// Newest month whose wages are delivered, by municipality, deliveries of the open batch included.
    income_delivered: BTreeMap<i32, i32>,
    state: State,
    /// What is shown of the indicators of persons.
    local: Local,
    batch: Batch,
    attempt: Option<Attempt>,
    /// An epoch that somebody reads: its files stay.
    pinned: Option<u64>,
    /// When files that no epoch names were last looked for.
    swept: Option<DateTime<Utc>>,
    /// `tables/latest` may be behind the newest epoch.
    unpublished: bool,
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
}

/// The event schema of a topic.
pub fn schema_of(topic: Topic) -> SchemaRef {
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

impl Committer {
    /// Opens a data folder: the newest epoch, its log of figures, its cells, its tables. Every epoch goes to `snapshot`.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        store: Store,
        model: Arc<Model>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        limits: Limits,
        snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    ) -> Result<Self, RuntimeError> {
        let newest = Manifest::newest(&store).await?;
        let (files, definitions) = (store.clone(), Arc::clone(&model));
        let state = match &newest {
            Some((manifest, _)) => {
                let (with, same) = (parameters_of(manifest), manifest.is_of(&model));
                State::open(files, definitions, &manifest.persons, with, same, limits).await?
            }
            None => State::empty(files, definitions, limits).await?,
        };
        let manifest = newest.as_ref().map(|(manifest, _)| manifest.clone());
        let codes = Codes::of(&model);
        let mut committer = Self {
            store,
            model,
            clock,
            metrics,
            newest,
            term: manifest.as_ref().map_or(0, |manifest| manifest.term),
            positions: manifest.as_ref().map(|manifest| manifest.positions.clone()).unwrap_or_default(),
            cluster_id: manifest.as_ref().and_then(|manifest| manifest.cluster_id.clone()),
            codes,
            seen: HashMap::new(),
            groups: BTreeMap::new(),
            deliveries: Vec::new(),
            income_delivered: BTreeMap::new(),
            state,
            local: Local::empty(),
            batch: Batch::default(),
            attempt: None,
            pinned: None,
            swept: None,
            unpublished: false,
            snapshot,
        };
        if let Some(manifest) = manifest {
            committer.recover(&manifest).await?;
        }
        Ok(committer)
    }

    async fn recover(&mut self, manifest: &Manifest) -> Result<(), RuntimeError> {
        for topic in LOGGED {
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
        let epochs = Epochs::of(&disclosed)?;
        self.groups = self.stamped(&keys, evaluated, &epochs, manifest.epoch)?;
        let mut tables = BTreeMap::new();
        for table in contract::tables().filter(|table| !self.is_monthly(table)) {
            if let Some(entry) = manifest.tables.get(table.name) {
                tables.insert(table.name, self.store.get_parquet(entry, table.schema()).await?);
            }
        }
        let completeness = tables.get(COMPLETENESS);
        self.local = Local::open(&self.store, &self.model, manifest, completeness).await?;
        self.metrics.observe_frozen(self.local.frozen().count());
        publish::latest(&self.store, manifest).await?;
        let monthly = self.monthly(&self.local);
        let labels = Labels::of(&self.model, manifest.as_of);
        self.snapshot.send_replace(Some(Arc::new(Snapshot {
            manifest: manifest.clone(),
            tables,
            monthly,
            labels,
        })));
        Ok(())
    }

    /// The newest committed epoch as readers see it; changes with every commit.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.snapshot.subscribe()
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

    /// Messages of figures and deliveries in the open batch.
    pub fn messages(&self) -> u64 {
        self.batch.messages
    }

    /// The cells of everybody.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// How often the right to commit has passed on.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Begins a new term: every epoch from now on carries it.
    pub fn begin_term(&mut self) -> u64 {
        self.term += 1;
        self.term
    }

    /// Keeps the files of an epoch as long as somebody reads it.
    pub(crate) fn pin(&mut self, epoch: Option<u64>) {
        self.pinned = epoch;
    }

    /// The number of the next epoch.
    pub fn next_epoch(&self) -> u64 {
        self.manifest().map_or(1, |manifest| manifest.epoch + 1)
    }

    /// What the cells of the next epoch should be evaluated with: today, or the newest epoch's date if the clock has gone
    /// backwards; and the wages delivered so far.
    pub fn parameters(&self) -> Parameters {
        let today = self.clock.today();
        let as_of = self.manifest().map_or(today, |manifest| manifest.as_of.max(today));
        Parameters { as_of, income_delivered: self.income_delivered.clone() }
    }

    /// Whether the newest epoch was made with another model.
    pub fn is_redefined(&self) -> bool {
        self.manifest().is_some_and(|manifest| !manifest.is_of(&self.model))
    }

    /// Whether a commit would do anything for figures: messages have come, the day has changed, or the model has.
    pub fn is_due(&self) -> bool {
        let is_behind = |manifest: &Manifest| manifest.as_of != self.parameters().as_of;
        self.batch.messages > 0 || self.is_redefined() || self.manifest().is_some_and(is_behind)
    }

    /// Takes messages of one topic into the open batch, and where they stand; returns what must go to the dead letter before
    /// the batch is committed.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn accept(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let letters = self.take_messages(topic, messages)?;
        note_positions(&mut self.positions, topic, messages);
        self.metrics.events_total.with_label_values(&[topic.name()]).inc_by(messages.len() as u64);
        Ok(letters)
    }

    /// As [`Committer::accept`], of messages that stand on no topic.
    ///
    /// # Errors
    /// As [`Committer::accept`].
    pub fn take_messages(
        &mut self,
        topic: Topic,
        messages: &[OwnedMessage],
    ) -> Result<Vec<DeadLetter>, RuntimeError> {
        let timer = self.metrics.decode_seconds.start_timer();
        let seen = self.seen.entry(topic).or_default();
        let ingested = ingest(topic, messages, seen, &self.codes, self.clock.now())?;
        timer.observe_duration();
        self.batch.messages += messages.len() as u64;
        self.batch.counts.note(&ingested);
        let rows = ingested.rows;
        if rows.num_rows() > 0 {
            self.batch.counts.events += rows.num_rows() as u64;
            if topic == Topic::Deliveries {
                note_income(&rows, &mut self.income_delivered)?;
                self.deliveries.push(rows.clone());
            } else {
                for (key, part) in split_by_group(&rows)? {
                    self.groups.entry(key.clone()).or_default().events.push(part);
                    self.batch.touched.insert(key);
                }
            }
            self.batch.rows.entry(topic).or_default().push(rows);
        }
        if !ingested.dead_letters.is_empty() {
            self.put_aside(&ingested.dead_letters)?;
        }
        Ok(ingested.dead_letters)
    }

    /// Figures that letters are about are expected from now on.
    fn put_aside(&mut self, letters: &[DeadLetter]) -> Result<(), RuntimeError> {
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

    /// What is shown of the indicators of persons with what is added to the cells.
    async fn local_after(
        &mut self,
        added: Option<&mut Added<'_>>,
        with: &Parameters,
        at: DateTime<Utc>,
        epoch: u64,
    ) -> Result<LocalMonths, RuntimeError> {
        let before = self.local.shown();
        let Some(added) = added else { return Ok(before) };
        let timer = self.metrics.local_seconds.start_timer();
        // A new day or a new definition may change any month.
        let mut months: BTreeSet<i64> = match self.is_another_day(with.as_of) || self.is_redefined() {
            true => local_months(with.as_of).collect(),
            false => self.model.months_changed(&added.totals()?, with.as_of),
        };
        months.extend(
            self.local
                .frozen()
                .map(|(month, _)| month)
                .filter(|month| local_months(with.as_of).contains(month)),
        );
        let cells = self.state.totals_with(added)?;
        let derived = self.model.derive_published(&cells, with, &months).await?;
        let when = (at.timestamp_micros(), epoch);
        let local = self.model.continue_local(&derived, &before, &months, with.as_of, when).await?;
        timer.observe_duration();
        for (month, leak) in local.iter().filter_map(|(month, local)| Some((month, local.frozen?))) {
            if !self.local.frozen().any(|frozen| frozen == (*month, leak.key.indicator.as_str())) {
                let month = month_text(*month);
                tracing::error!(month, %leak, "figures of persons would give a hidden number away; this month stays as it was");
            }
        }
        Ok(local)
    }

    /// Whether a manifest was written of which nobody knows yet whether it is there: nothing may be accepted before
    /// [`Committer::commit`] with the same contributions has found out.
    pub fn is_undecided(&self) -> bool {
        self.attempt.is_some()
    }

    /// Commits the open batch and what shards brought as the next epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: nothing is lost, commit again. [`RuntimeError::Superseded`] if
    /// another writer has committed this epoch.
    pub async fn commit(&mut self, brought: Brought<'_>) -> Result<EpochReport, RuntimeError> {
        let timer = self.metrics.commit_seconds.start_timer();
        let redefined = self.is_redefined();
        let mut added = brought.cells.map(|cells| self.state.added(cells, redefined)).transpose()?;
        let contributions = brought.contributions;
        let attempt = match self.attempt.take() {
            Some(attempt) => attempt,
            None => self.prepare(brought, added.as_mut()).await?,
        };
        match attempt.manifest.commit(&self.store).await {
            Ok(true) => {}
            Ok(false) => return Err(RuntimeError::Superseded { epoch: attempt.manifest.epoch }),
            Err(error) => {
                // The manifest may be there although the answer was lost: the same one is put again.
                self.attempt = Some(attempt);
                return Err(error);
            }
        }
        // The epoch is committed: what follows may fail and is done again, but the epoch stands.
        let Attempt { manifest, tables, groups, local, written, figures } = attempt;
        self.state.install(written, added);
        let mut counts = std::mem::take(&mut self.batch).counts;
        contributions.iter().for_each(|contribution| counts.add(&contribution.counts));
        let persons = contributions.iter().map(|contribution| contribution.persons).sum();
        self.metrics.observe_cells(&self.state, persons);
        self.groups = groups;
        self.local = local;
        self.metrics.observe_frozen(self.local.frozen().count());
        self.positions = manifest.positions.clone();
        let (epoch, digest) = (manifest.epoch, sha256_hex(&manifest.to_bytes()));
        self.newest = Some((manifest.clone(), digest));
        self.unpublished = true;
        let monthly = self.monthly(&self.local);
        let labels = Labels::of(&self.model, manifest.as_of);
        self.snapshot.send_replace(Some(Arc::new(Snapshot { manifest, tables, monthly, labels })));
        timer.observe_duration();
        let (events, duplicates) = (counts.events, counts.duplicates);
        let dead_letters = counts.dead_letters.values().sum();
        Ok(EpochReport { epoch, events, duplicates, dead_letters, figures, persons })
    }

    /// Evaluates and writes everything of an epoch but its manifest.
    async fn prepare(
        &mut self,
        brought: Brought<'_>,
        added: Option<&mut Added<'_>>,
    ) -> Result<Attempt, RuntimeError> {
        let Brought { with, contributions, changed, .. } = brought;
        let (as_of, at) = (with.as_of, self.clock.now());
        let (epoch, redefined) = (self.next_epoch(), self.is_redefined());
        if let (true, Some((last, _))) = (redefined, &self.newest) {
            definitions::keep(&self.store, last).await?;
        }
        let keys = if redefined { self.groups.keys().cloned().collect() } else { self.batch.touched.clone() };
        // What is made of the same figures by the same definitions is the same.
        let known = if redefined { BTreeMap::new() } else { self.digests_of(&keys) };
        let (events, aside) = (self.events_of(&keys)?, self.aside_of(&keys)?);
        let evaluated = self.model.evaluate_groups(events, aside, &known).await?;
        let before = self.disclosed_of(&keys)?;
        let changed_groups = self.stamped(&keys, evaluated, &Epochs::of(&before)?, epoch)?;
        let figures = figure_changes(&self.groups, &changed_groups);
        let groups: BTreeMap<GroupKey, Group> = self
            .groups
            .iter()
            .map(|(key, group)| (key.clone(), changed_groups.get(key).unwrap_or(group).clone()))
            .collect();
        let disclosed = disclosed_of(&groups)?;
        let shown = self.local_after(added, with, at, epoch).await?;
        let kept = if redefined { BTreeMap::new() } else { self.kept_tables(&keys, as_of) };
        if self.deliveries.len() > 1 {
            self.deliveries = vec![concat_batches(&delivery::schema(), &self.deliveries)?];
        }
        let (deliveries, when) = (&self.deliveries, (as_of, at));
        let mut tables = evaluate_tables(&self.model, &groups, deliveries, when, kept).await?;
        let arrived = (as_of, tables.get(COMPLETENESS));
        let local = self.local.after(&self.store, &self.model, shown, arrived, !redefined).await?;
        let kept = if redefined { BTreeMap::new() } else { self.kept_after_months(&tables, &local, as_of) };
        let months = self.monthly(&local);
        let timer = self.metrics.after_months_seconds.start_timer();
        tables.extend(self.model.evaluate_after_months(&tables, &months, as_of, &kept).await?);
        timer.observe_duration();
        let mut manifest = self.write(epoch, when, &disclosed, &local, &tables).await?;
        let mut written = self.state.write(epoch, with, contributions).await?;
        written.entry.changed = changed;
        manifest.persons = written.entry.clone();
        for contribution in contributions {
            manifest.counts.add(&contribution.counts);
            for (topic, positions) in &contribution.positions {
                manifest.positions.entry(topic.clone()).or_default().extend(positions.clone());
            }
        }
        // Only here it is known which sources may be named.
        let sources = known_sources(self.model.reference.get("sources"), &self.deliveries);
        let by_source = &mut manifest.counts.dead_letters_by_source;
        *by_source = by_source.only(&sources);
        Ok(Attempt { manifest, tables, groups, local, written, figures })
    }

    /// Brings the files for plain readers to the newest epoch and lets go of files that no kept epoch needs; does nothing if
    /// that is done.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: call it again.
    pub async fn publish(&mut self) -> Result<(), RuntimeError> {
        if let (true, Some((manifest, _))) = (self.unpublished, &self.newest) {
            publish::latest(&self.store, manifest).await?;
            orphans::collect(&self.store, manifest.epoch, self.pinned).await?;
            let now = self.clock.now();
            if self.swept.is_none_or(|at| at + ORPHANS_STAY < now) {
                orphans::sweep(&self.store, manifest.epoch, self.pinned, now - ORPHANS_STAY).await?;
                self.swept = Some(now);
            }
            self.unpublished = false;
        }
        Ok(())
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
