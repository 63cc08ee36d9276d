//! The engine of one process: a committer, and one shard that holds all persons.
//!
//! [`Engine::accept`] takes messages into the batch; [`Engine::settle`] tells what must go to the dead letter;
//! [`Engine::commit`] makes the next epoch of it. The same parts work in several processes when they are given roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use rettidig_event::{Clock, DeadLetter, Topic, person};
use rettidig_model::Model;
use tokio::sync::watch;

use crate::RuntimeError;
use crate::committer::{Brought, Committer, EpochReport, Snapshot};
use crate::ingest::OwnedMessage;
use crate::manifest::{Manifest, Positions};
use crate::metrics::Metrics;
use crate::persons::{
    Audit, AuditReport, Changed, Limits, Owned, PersonsEntry, Shard, ShardOptions, State, parameters_of,
};
use crate::store::Store;

/// Topics that the engine reads.
pub const TOPICS: [Topic; 5] =
    [Topic::Official, Topic::Deliveries, Topic::Payments, Topic::Cases, Topic::Income];

/// Folder for what is put aside while a backlog is read.
const SPILL: &str = "spill";

/// The engine of one data folder.
pub struct Engine {
    committer: Committer,
    shard: Shard,
    audit: Audit,
    model: Arc<Model>,
    metrics: Arc<Metrics>,
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
        let options = ShardOptions {
            store: store.clone(),
            model: Arc::clone(&model),
            metrics: Arc::clone(&metrics),
            limits,
            spill_folder: SPILL.to_owned(),
            partition_count: None,
        };
        let snapshot = watch::Sender::new(None);
        let committer =
            Committer::open(store, Arc::clone(&model), clock, Arc::clone(&metrics), limits, snapshot).await?;
        let nothing = PersonsEntry::default();
        let entry = committer.manifest().map_or(&nothing, |manifest| &manifest.persons);
        let (with, same) = (committer.manifest().map(parameters_of), !committer.is_redefined());
        let shard = Shard::open(options, Owned::all(), entry, with, same).await?;
        Ok(Self { committer, shard, audit: Audit::default(), model, metrics })
    }

    /// The newest committed epoch as readers see it; changes with every commit.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.committer.snapshots()
    }

    /// The newest manifest.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.committer.manifest()
    }

    /// Where the topics stand after the newest epoch.
    pub fn positions(&self) -> &Positions {
        self.committer.positions()
    }

    /// Notes the cluster that the messages come from.
    pub fn set_cluster_id(&mut self, cluster_id: Option<String>) {
        self.committer.set_cluster_id(cluster_id);
    }

    /// The persons.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The cells.
    pub fn state(&self) -> &State {
        self.committer.state()
    }

    /// The auditor.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Messages in the open batch.
    pub fn batch_messages(&self) -> u64 {
        self.committer.messages() + self.shard.messages()
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
        match person::TOPICS.contains(&topic) {
            true => {
                let accepted = self.shard.accept(topic, messages, self.committer.clock().now()).await?;
                Ok(accepted.letters)
            }
            false => self.committer.accept(topic, messages),
        }
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
        match person::TOPICS.contains(&topic) {
            true => {
                let accepted =
                    self.shard.take_messages(topic, messages, self.committer.clock().now()).await?;
                Ok(accepted.letters)
            }
            false => self.committer.take_messages(topic, messages),
        }
    }

    /// Takes decoded rows about persons into the open batch; duplicates among them are told later.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if a backlog cannot be spilled.
    pub async fn take_rows(&mut self, rows: RecordBatch) -> Result<(), RuntimeError> {
        self.shard.take_rows(rows).await
    }

    /// Evaluates the persons that the open batch touches; returns what contradicts rows that are there already and must
    /// go to the dead letter before the batch is committed. Calling it again without new messages does nothing.
    ///
    /// # Errors
    /// As [`Shard::change`].
    pub async fn settle(&mut self) -> Result<Vec<DeadLetter>, RuntimeError> {
        self.evaluate().await?;
        self.shard.tell_conflicts(self.committer.clock().now())
    }

    /// Evaluates the persons of the open batch, unless that is done.
    async fn evaluate(&mut self) -> Result<(), RuntimeError> {
        if self.committer.is_undecided() {
            return Ok(());
        }
        let (with, redefine) = (self.committer.parameters(), self.committer.is_redefined());
        self.shard.settle(&with, redefine, self.audit.passed()).await
    }

    /// Whether a commit would do anything: messages have come, the day has changed, or the model has.
    pub fn is_due(&self) -> bool {
        !self.shard.is_idle() || self.committer.is_due()
    }

    /// Whether nobody knows yet whether the newest manifest was written: nothing may be accepted before
    /// [`Engine::commit`] has found out.
    pub fn is_undecided(&self) -> bool {
        self.committer.is_undecided()
    }

    /// Commits the open batch as the next epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: nothing is lost, commit again. [`RuntimeError::Superseded`] if
    /// another writer owns the folder. [`RuntimeError::Stop`] if nobody has taken the batch's dead letters from
    /// [`Engine::settle`].
    pub async fn commit(&mut self) -> Result<EpochReport, RuntimeError> {
        let bug = |cause: &str| {
            RuntimeError::stop(
                "committing a batch",
                cause,
                "report this as a bug: settle comes before commit",
            )
        };
        self.evaluate().await?;
        if self.shard.has_untold_conflicts() {
            return Err(bug("its dead letters were not taken"));
        }
        let epoch = self.committer.next_epoch();
        let contribution = self.shard.contribution().await?;
        let (Some(contribution), Some(change)) = (contribution, self.shard.settled()) else {
            return Err(bug("nothing was settled"));
        };
        let changed = Changed { whole: epoch, ..Changed::default() };
        let contributions = [contribution];
        let with = &contributions[0].with;
        let brought = Brought { with, contributions: &contributions, cells: Some(&change.delta), changed };
        let report = self.committer.commit(brought).await?;
        match self.shard.install(epoch).await? {
            Some(change) if change.redefined || change.is_bulk() => self.audit.restart(),
            Some(change) => self.audit.follow(&change.audited),
            None => {}
        }
        self.metrics.observe_shard(&self.shard);
        self.committer.publish().await?;
        Ok(report)
    }

    /// Notes that messages of these times, milliseconds since 1970, are in a committed epoch.
    pub(crate) fn observe_committed(&self, stamps: &[i64]) {
        self.metrics.observe_committed(stamps);
    }

    /// Notes what waits at the broker, by the ends of its partitions.
    pub(crate) fn observe_lag(&self, ends: &BTreeMap<(Topic, i32), i64>) {
        self.metrics.observe_lag(ends, self.committer.positions());
    }

    /// Brings the files for plain readers to the newest epoch; does nothing if they are there.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: call it again.
    pub async fn publish(&mut self) -> Result<(), RuntimeError> {
        self.committer.publish().await
    }

    /// Recomputes a few more buckets of the log in comparison with the committed cells.
    ///
    /// # Errors
    /// As [`Audit::step`].
    pub async fn audit_step(&mut self) -> Result<Option<AuditReport>, RuntimeError> {
        let (now, state) = (self.committer.clock().now(), self.committer.state());
        let Some(with) = state.parameters() else { return Ok(None) };
        let report = self.audit.step(self.shard.log(), &self.model, with, state.cells(), now).await?;
        if let Some(report) = &report {
            self.metrics.observe_audit(report);
        }
        Ok(report)
    }
}
