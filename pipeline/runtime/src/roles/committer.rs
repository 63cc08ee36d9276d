//! The committer: takes what workers propose into epochs, with the figures it reads itself.

use std::sync::Arc;
use std::time::Duration;

use rettidig_event::{DeadLetter, person};
use rettidig_model::persons::Parameters;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::proposal::{Announcement, Board, Note, PROPOSALS, Proposal, model_digest};
use super::{BACK_OFF, Setting, Watch, listed, not_a_member};
use crate::committer::{Brought, Committer, Snapshot, TOPICS};
use crate::gather::{Burst, Gathering, Waiting};
use crate::kafka::{KafkaSink, KafkaSource, Membership, TopicMessage};
use crate::persons::{AuditReport, CellStore, ChangedPartition, parameters_of};
use crate::recompute::recompute_persons;
use crate::{EpochReport, RuntimeError};

/// The group that elects the committer: whoever has the partition of the proposals.
pub const GROUP: &str = "rettidig-committer";

/// How often the state is announced when nothing happens, and the clock is looked at.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked what waits at the broker.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Time between two audits.
const AUDIT_EVERY: Duration = Duration::from_secs(600);

/// Waits to be elected and commits, until `shutdown`; what is committed goes to `snapshots`.
///
/// # Errors
/// Only those that a person must mend; what may pass is tried again and told to `watch`.
pub async fn run_committer(
    setting: &Setting,
    snapshots: &watch::Sender<Option<Arc<Snapshot>>>,
    shutdown: &CancellationToken,
    watch: &mut Watch<'_>,
) -> Result<(), RuntimeError> {
    let instance = setting.instance.as_deref();
    let membership =
        Membership::join(&setting.kafka, GROUP, PROPOSALS, instance, Arc::clone(&setting.joined))?;
    let mut share = membership.share();
    let mut was_elected = false;
    loop {
        let is_elected = !share.borrow_and_update().clone().map_err(not_a_member)?.is_empty();
        if !is_elected {
            // What another commits from now on is not known here.
            snapshots.send_replace(None);
            if was_elected {
                setting.metrics.stand_down();
            }
        }
        was_elected = is_elected;
        // A commit that is given up in the middle is as if the process had been killed.
        let ended = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = share.changed() => continue,
            ended = commit(setting, snapshots, watch), if is_elected => ended,
        };
        match ended {
            Ok(()) => {}
            // Another committer was quicker: if the election is still ours, what it committed is opened.
            Err(error @ (RuntimeError::Retry { .. } | RuntimeError::Superseded { .. })) => {
                watch(Err(&error));
                tokio::time::sleep(BACK_OFF).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Commits until something fails, or the caller gives it up.
async fn commit(
    setting: &Setting,
    snapshots: &watch::Sender<Option<Arc<Snapshot>>>,
    watch: &mut Watch<'_>,
) -> Result<(), RuntimeError> {
    let mut elected = Elected::open(setting, snapshots).await?;
    elected.begin(watch).await?;
    let mut tick = tokio::time::interval(ANNOUNCE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            note = elected.board.next() => elected.hear(note?).await?,
            message = elected.source.next() => elected.gather(message?).await?,
            _ = tick.tick() => {
                elected.look_at_clock();
                elected.look_at_lag()?;
                elected.announce().await?;
                elected.audit().await;
            }
        }
        elected.commit_due(watch).await?;
    }
}

/// A proposal that waits for its epoch.
struct Held {
    id: String,
    proposal: Proposal,
    cells: CellStore,
}

/// The committer that was elected.
struct Elected<'a> {
    setting: &'a Setting,
    committer: Committer,
    board: Board,
    source: KafkaSource,
    sink: KafkaSink,
    gathering: Gathering,
    letters: Vec<DeadLetter>,
    model: String,
    partition_count: i32,
    /// What the next cells are to be evaluated with. If that is not what the newest epoch's were, all partitions change
    /// over in one epoch, and it stays as it is until then.
    target: Parameters,
    held: Vec<Held>,
    /// When it was last looked what waits at the broker.
    looked_at: Option<Instant>,
    /// The audit that runs beside, of the epoch that is pinned.
    audit: Option<JoinHandle<Result<u64, RuntimeError>>>,
    audited_at: Option<Instant>,
}

impl Drop for Elected<'_> {
    fn drop(&mut self) {
        if let Some(audit) = &self.audit {
            audit.abort();
        }
    }
}

impl<'a> Elected<'a> {
    /// Notes now and then how many messages are in no epoch; those of persons too, which wait also if there is no worker to tell it.
    fn look_at_lag(&mut self) -> Result<(), RuntimeError> {
        if self.looked_at.is_none_or(|at| at.elapsed() > LOOK_EVERY) {
            self.looked_at = Some(Instant::now());
            let mut ends = self.source.ends()?;
            ends.extend(self.source.ends_of(&person::TOPICS)?);
            self.setting.metrics.observe_lag(&ends, self.committer.positions());
        }
        Ok(())
    }

    async fn open(
        setting: &'a Setting,
        snapshots: &watch::Sender<Option<Arc<Snapshot>>>,
    ) -> Result<Self, RuntimeError> {
        // Before the state is opened, so that no proposal to it is missed.
        let board = Board::connect(&setting.kafka, GROUP).await?;
        let (store, model) = (setting.store.clone(), setting.model.clone());
        let (clock, metrics) = (setting.clock.clone(), setting.metrics.clone());
        let mut committer =
            Committer::open(store, model, clock, metrics, setting.limits, snapshots.clone()).await?;
        let known_cluster = committer.manifest().and_then(|manifest| manifest.cluster_id.clone());
        let positions = committer.positions();
        let source =
            KafkaSource::connect(&setting.kafka, GROUP, &TOPICS, None, positions, known_cluster.as_deref())
                .await?;
        let gathering = Gathering::new(positions);
        committer.set_cluster_id(source.cluster_id());
        let partition_count = source.person_partitions()?;
        let target = committer.parameters();
        Ok(Self {
            setting,
            committer,
            board,
            source,
            sink: KafkaSink::connect(&setting.kafka)?,
            gathering,
            letters: Vec::new(),
            model: model_digest(&setting.model),
            partition_count,
            target,
            held: Vec::new(),
            audit: None,
            looked_at: None,
            audited_at: None,
        })
    }

    /// Takes over with an epoch of a higher term, which whoever committed before can no longer commit.
    async fn begin(&mut self, watch: &mut Watch<'_>) -> Result<(), RuntimeError> {
        let term = self.committer.begin_term();
        tracing::info!(term, epoch = self.committer.next_epoch() - 1, "elected to commit");
        if self.committer.manifest().is_some() && !self.committer.is_redefined() {
            self.commit_held(watch).await?;
        }
        self.announce().await
    }

    /// What the cells of the newest epoch were evaluated with.
    fn current(&self) -> Option<Parameters> {
        self.committer.manifest().map(parameters_of)
    }

    /// Whether all partitions have to change over together.
    fn is_changing_over(&self) -> bool {
        self.committer.is_redefined() || self.current().as_ref() != Some(&self.target)
    }

    /// Asks for another day, or for other wages, unless all partitions are changing over already.
    fn look_at_clock(&mut self) {
        if !self.is_changing_over() {
            self.target = self.committer.parameters();
        }
    }

    /// Recomputes the persons of an epoch from their log beside the work, again and again, and tells what differs.
    async fn audit(&mut self) {
        if let Some(audit) = self.audit.take_if(|audit| audit.is_finished()) {
            self.committer.pin(None);
            self.audited_at = Some(Instant::now());
            match audit.await {
                Ok(Ok(mismatch_cells)) => {
                    let report = AuditReport { mismatch_cells, finished_at: self.setting.clock.now() };
                    self.setting.metrics.observe_audit(&report);
                }
                Ok(Err(error)) => tracing::warn!(%error, "the audit did not come to its end"),
                Err(error) => tracing::warn!(%error, "the audit did not come to its end"),
            }
        }
        let is_due = self.audited_at.is_none_or(|at| at.elapsed() > AUDIT_EVERY);
        if let (true, None, false) = (is_due, &self.audit, self.committer.is_redefined())
            && let Some(manifest) = self.committer.manifest().cloned()
        {
            self.committer.pin(Some(manifest.epoch));
            let (store, model) = (self.setting.store.clone(), self.setting.model.clone());
            self.audit = Some(tokio::spawn(async move {
                let (_, mismatches) = recompute_persons(&store, &model, &manifest, None).await?;
                Ok(mismatches.values().sum())
            }));
        }
    }

    async fn announce(&self) -> Result<(), RuntimeError> {
        let announcement = Announcement {
            term: self.committer.term(),
            epoch: self.committer.next_epoch() - 1,
            with: self.target.clone(),
            model: self.model.clone(),
            partition_count: self.partition_count,
        };
        self.board.post(&Note::Announcement(announcement)).await
    }

    /// Takes messages of figures and deliveries in, as long as one follows the other.
    async fn gather(&mut self, first: TopicMessage) -> Result<(), RuntimeError> {
        let mut next = Some(first);
        let burst = Burst::begin();
        while let Some((topic, message)) = next {
            let full = self.gathering.take(topic, message);
            self.accept(full.unwrap_or_default())?;
            next = burst.next(&self.source, self.committer.messages()).await?;
        }
        let rest = self.gathering.drain();
        self.accept(rest)
    }

    fn accept(&mut self, batches: Waiting) -> Result<(), RuntimeError> {
        for (topic, messages) in batches {
            self.letters.extend(self.committer.accept(topic, &messages)?);
        }
        Ok(())
    }

    /// Keeps a proposal that can be committed.
    async fn hear(&mut self, note: Note) -> Result<(), RuntimeError> {
        let proposal = match note {
            Note::Proposal(proposal) => *proposal,
            Note::Announcement(other) => {
                if other.term > self.committer.term() {
                    return Err(RuntimeError::Superseded { epoch: other.epoch });
                }
                return Ok(());
            }
        };
        let id = proposal.id();
        if self.held.iter().any(|held| held.id == id) {
            return Ok(());
        }
        if let Err(why) = self.check(&proposal) {
            let partitions = listed(&proposal.partitions);
            tracing::info!(base = proposal.base, partitions, why, "a proposal was refused");
            self.setting.metrics.proposals_refused_total.inc();
            // Whoever proposed it may not know the newest epoch.
            return self.announce().await;
        }
        let files = proposal.contribution.cells.iter();
        let files = files.map(|(measure, file)| (measure.clone(), vec![file.clone()])).collect();
        let mut cells = self.committer.state().no_cells()?;
        match cells.read(&self.setting.store, &files).await {
            Ok(()) => {}
            Err(error @ RuntimeError::Stop { .. }) => {
                // Its files are gone: it was computed long ago by somebody who has lost the partitions.
                tracing::warn!(%error, "a proposal was refused");
                self.setting.metrics.proposals_refused_total.inc();
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        // Partitions that have passed to another worker meanwhile: what the one before proposed is as good, but the two may
        // not cover the same partitions.
        self.held.retain(|held| held.proposal.partitions.is_disjoint(&proposal.partitions));
        self.held.push(Held { id, proposal, cells });
        Ok(())
    }

    /// Why a proposal cannot be committed.
    fn check(&self, proposal: &Proposal) -> Result<(), &'static str> {
        if proposal.model != self.model {
            return Err("it was made with another model");
        }
        if proposal.partition_count != self.partition_count {
            return Err("the topics had another number of partitions");
        }
        if proposal.contribution.with != self.target {
            return Err("it was evaluated for another day, or without wages that are delivered");
        }
        if proposal.contribution.redefined != self.committer.is_redefined() {
            return Err("its cells are not what is asked for");
        }
        match proposal.is_current(&self.committer.state().entry().changed) {
            true => Ok(()),
            false => Err("the persons of its partitions have changed since"),
        }
    }

    /// Commits what can be committed now.
    async fn commit_due(&mut self, watch: &mut Watch<'_>) -> Result<(), RuntimeError> {
        if !self.letters.is_empty() {
            self.sink.bury(&self.letters).await?;
            self.letters.clear();
        }
        let covered = self.held.iter().map(|held| held.proposal.partitions.len()).sum::<usize>();
        let all = usize::try_from(self.partition_count).unwrap_or(usize::MAX);
        let is_ready = match self.is_changing_over() {
            true => covered == all,
            false => covered > 0 || self.committer.messages() > 0,
        };
        if is_ready {
            self.commit_held(watch).await?;
        } else if self.committer.messages() > 0
            && !self.committer.is_redefined()
            && self.committer.manifest().is_some()
        {
            // Figures do not wait for the persons of all partitions to change over.
            let held = std::mem::take(&mut self.held);
            let ended = self.commit_held(watch).await;
            self.held = held;
            ended?;
        }
        Ok(())
    }

    /// Commits the open batch of figures and what is held; without it, nothing of the persons changes.
    async fn commit_held(&mut self, watch: &mut Watch<'_>) -> Result<(), RuntimeError> {
        let current = self.current();
        let with = match (self.held.is_empty(), current) {
            (true, Some(current)) => current,
            _ => self.target.clone(),
        };
        let epoch = self.committer.next_epoch();
        let mut changed = self.committer.state().entry().changed.clone();
        if changed.partition_count != self.partition_count {
            // Of other partitions than these: what was computed before is refused.
            (changed.whole, changed.partition_count) = (epoch - 1, self.partition_count);
            changed.partitions.clear();
        }
        for held in &self.held {
            for partition in &held.proposal.partitions {
                changed.partitions.insert(*partition, ChangedPartition { epoch, proposal: held.id.clone() });
            }
        }
        let mut cells = self.committer.state().no_cells()?;
        self.held.iter().for_each(|held| cells.merge(&held.cells, 1));
        let contributions: Vec<_> = self.held.iter().map(|held| held.proposal.contribution.clone()).collect();
        let report: EpochReport = loop {
            let cells = (!self.held.is_empty()).then_some(&cells);
            let (with, contributions, changed) = (&with, contributions.as_slice(), changed.clone());
            match self.committer.commit(Brought { with, contributions, cells, changed }).await {
                Ok(report) => break report,
                // It may be committed although the answer was lost: nothing else before that is known.
                Err(error @ RuntimeError::Retry { .. }) => {
                    watch(Err(&error));
                    tokio::time::sleep(BACK_OFF).await;
                }
                Err(error) => return Err(error),
            }
        };
        self.held.clear();
        self.setting.metrics.observe_committed(&self.gathering.committed());
        self.committer.publish().await?;
        watch(Ok(&report));
        self.look_at_clock();
        self.announce().await
    }
}
