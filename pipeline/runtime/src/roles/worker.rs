//! A worker: evaluates the persons of the partitions it was given and proposes what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rettidig_event::person::TOPICS;
use rettidig_event::{DeadLetter, Sink as _, Topic};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::proposal::{Announcement, Board, Note, Proposal, model_digest};
use super::{BACK_OFF, Setting, Watch, listed, not_a_member};
use crate::gather::{Burst, Gathering, Waiting};
use crate::kafka::{KafkaSink, KafkaSource, Membership};
use crate::manifest::{Manifest, Positions};
use crate::persons::{Owned, PersonsEntry, Shard, ShardOptions, parameters_of};
use crate::{EpochReport, RuntimeError};

/// The group that shares out the partitions.
pub const GROUP: &str = "rettidig-worker";

/// After that time without an answer a proposal is sent again.
const SEND_AGAIN: Duration = Duration::from_secs(5);

/// How often a quiet worker looks whether the topics are still the same.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Messages evaluated at once when much is waiting.
const BACKLOG_MESSAGES_MAX: u64 = 20_000_000;

/// Works until `shutdown`.
///
/// # Errors
/// Only those that a person must mend; what may pass is tried again and told to `watch`.
pub async fn run_worker(
    setting: &Setting,
    shutdown: &CancellationToken,
    watch: &mut Watch<'_>,
) -> Result<(), RuntimeError> {
    let instance = setting.instance.as_deref();
    let membership = Membership::join(
        &setting.kafka,
        GROUP,
        Topic::Payments.name(),
        instance,
        Arc::clone(&setting.joined),
    )?;
    let mut share = membership.share();
    loop {
        let partitions = share.borrow_and_update().clone().map_err(not_a_member)?;
        // Work that is given up in the middle is as if the process had been killed: the next begins at an epoch.
        let ended = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = share.changed() => continue,
            ended = work(setting, &partitions, watch), if !partitions.is_empty() => ended,
        };
        match ended {
            Ok(()) => {}
            Err(error @ RuntimeError::Retry { .. }) => {
                watch(Err(&error));
                tokio::time::sleep(BACK_OFF).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Works on some partitions until what it knows of them is no longer so.
async fn work(
    setting: &Setting,
    partitions: &BTreeSet<i32>,
    watch: &mut Watch<'_>,
) -> Result<(), RuntimeError> {
    let board = Board::connect(&setting.kafka, GROUP).await?;
    let model = model_digest(&setting.model);
    let target = loop {
        if let Some(target) = announced(board.next().await?, &model) {
            break target;
        }
    };
    let mut worker = Worker::open(setting, partitions.clone(), board, model, target).await?;
    worker.catch_up().await?;
    loop {
        worker.gather().await?;
        let proposal = worker.propose().await?;
        match worker.decision(&proposal).await? {
            Decision::Committed(epoch) => {
                worker.shard.install(epoch).await?;
                setting.metrics.observe_shard(&worker.shard);
                setting.metrics.observe_committed(&worker.gathering.committed());
                let (counts, persons) = (proposal.contribution.counts, proposal.contribution.persons);
                watch(Ok(&EpochReport {
                    epoch,
                    events: counts.events,
                    duplicates: counts.duplicates,
                    dead_letters: counts.dead_letters.values().sum(),
                    figures: BTreeMap::new(),
                    persons,
                }));
            }
            // Evaluated again with what is asked for now.
            Decision::OtherParameters => {}
            Decision::Refused => {
                tracing::info!(partitions = listed(partitions), "a proposal was refused: beginning again");
                return Ok(());
            }
        }
    }
}

/// An announcement by a committer with the same model.
fn announced(note: Note, model: &str) -> Option<Announcement> {
    match note {
        Note::Announcement(announcement) if announcement.model == model => Some(announcement),
        Note::Announcement(announcement) => {
            let epoch = announcement.epoch;
            tracing::warn!(
                epoch,
                "the committer has another model than this worker: waiting for one with the same"
            );
            None
        }
        Note::Proposal(_) => None,
    }
}

/// What became of a proposal.
enum Decision {
    /// It is in this epoch.
    Committed(u64),
    /// It will not be: the persons of its partitions have changed since.
    Refused,
    /// The committer asks for another day, or other wages are delivered.
    OtherParameters,
}

/// A worker with some partitions, from a state that an epoch names.
struct Worker<'a> {
    setting: &'a Setting,
    partitions: BTreeSet<i32>,
    partition_count: i32,
    board: Board,
    model: String,
    /// The newest announcement.
    target: Announcement,
    /// The epoch whose state this is.
    base: u64,
    /// The newest epoch was made with another model.
    redefine: bool,
    shard: Shard,
    source: KafkaSource,
    sink: KafkaSink,
    gathering: Gathering,
    letters: Vec<DeadLetter>,
}

impl<'a> Worker<'a> {
    async fn open(
        setting: &'a Setting,
        partitions: BTreeSet<i32>,
        board: Board,
        model: String,
        target: Announcement,
    ) -> Result<Self, RuntimeError> {
        let newest = Manifest::newest(&setting.store).await?.map(|(manifest, _)| manifest);
        let nothing = (PersonsEntry::default(), Positions::new());
        let (entry, positions) = newest
            .as_ref()
            .map_or((&nothing.0, &nothing.1), |manifest| (&manifest.persons, &manifest.positions));
        let same = newest.as_ref().is_none_or(|manifest| manifest.is_of(&setting.model));
        let known_cluster = newest.as_ref().and_then(|manifest| manifest.cluster_id.as_deref());
        let source =
            KafkaSource::connect(&setting.kafka, GROUP, &TOPICS, Some(&partitions), positions, known_cluster)
                .await?;
        let partition_count = source.person_partitions()?;
        let name = setting.instance.clone().unwrap_or_else(|| format!("process-{}", std::process::id()));
        let options = ShardOptions {
            store: setting.store.clone(),
            model: setting.model.clone(),
            metrics: setting.metrics.clone(),
            limits: setting.limits,
            spill_folder: format!("spill/{name}"),
            partition_count: Some(partition_count),
        };
        let owned = Owned::of_partitions(partitions.iter().copied(), partition_count);
        let shard = Shard::open(options, owned, entry, newest.as_ref().map(parameters_of), same).await?;
        let base = newest.as_ref().map_or(0, |manifest| manifest.epoch);
        tracing::info!(partitions = listed(&partitions), epoch = base, "working");
        let sink = KafkaSink::connect(&setting.kafka)?;
        let gathering = Gathering::new(positions);
        Ok(Self {
            setting,
            partitions,
            partition_count,
            board,
            model,
            target,
            base,
            redefine: !same,
            shard,
            source,
            sink,
            gathering,
            letters: Vec::new(),
        })
    }

    /// Whether there is something to propose: messages, or another day.
    fn is_due(&self) -> bool {
        !self.shard.is_idle() || self.redefine || self.shard.parameters() != Some(&self.target.with)
    }

    /// Takes decoded messages in; those of persons of other partitions are sent to where they belong.
    async fn accept(&mut self, batches: Waiting) -> Result<(), RuntimeError> {
        for (topic, messages) in batches {
            let accepted = self.shard.accept(topic, &messages, self.setting.clock.now()).await?;
            self.letters.extend(accepted.letters);
            for misplaced in accepted.misplaced {
                let sent = self.sink.send(topic, &misplaced.person, misplaced.payload).await;
                sent.map_err(|error| RuntimeError::retry("sending a message to its partition", error))?;
            }
        }
        Ok(())
    }

    /// Reads to the present end of the partitions: what has waited is evaluated at once.
    async fn catch_up(&mut self) -> Result<(), RuntimeError> {
        let ends = self.source.ends()?;
        while !self.gathering.is_at(&ends) && self.shard.messages() < BACKLOG_MESSAGES_MAX {
            let (topic, message) = self.source.next().await?;
            if let Some(full) = self.gathering.take(topic, message) {
                self.accept(full).await?;
            }
        }
        let rest = self.gathering.drain();
        self.accept(rest).await
    }

    /// Waits until there is something to propose, and gathers what follows.
    async fn gather(&mut self) -> Result<(), RuntimeError> {
        let first = loop {
            if self.is_due() {
                break None;
            }
            tokio::select! {
                message = self.source.next() => break Some(message?),
                () = tokio::time::sleep(LOOK_EVERY) => self.source.check_partitions().await?,
                note = self.board.next() => if let Some(announcement) = announced(note?, &self.model) {
                    self.target = announcement;
                },
            }
        };
        if let Some((topic, message)) = first {
            let mut next = self.gathering.take(topic, message);
            let burst = Burst::begin();
            loop {
                if let Some(full) = next {
                    self.accept(full).await?;
                }
                let messages = self.shard.messages();
                match burst.next(&self.source, messages).await? {
                    Some((topic, message)) => next = self.gathering.take(topic, message),
                    None => break,
                }
            }
            let rest = self.gathering.drain();
            self.accept(rest).await?;
        }
        Ok(())
    }

    /// Evaluates and writes what has come, and proposes it; dead letters and messages sent on are acknowledged before.
    async fn propose(&mut self) -> Result<Proposal, RuntimeError> {
        self.shard.settle(&self.target.with, self.redefine, 0).await?;
        self.letters.extend(self.shard.tell_conflicts(self.setting.clock.now())?);
        self.sink.bury(&self.letters).await?;
        self.letters.clear();
        let contribution = self.shard.contribution().await?;
        let contribution = contribution
            .ok_or_else(|| RuntimeError::stop("proposing", "nothing was settled", "report this as a bug"))?;
        let proposal = Proposal {
            base: self.base,
            partitions: self.partitions.clone(),
            partition_count: self.partition_count,
            model: self.model.clone(),
            contribution,
        };
        self.board.post(&Note::Proposal(Box::new(proposal.clone()))).await?;
        Ok(proposal)
    }

    /// Waits until the proposal is in an epoch, or can no longer be.
    async fn decision(&mut self, proposal: &Proposal) -> Result<Decision, RuntimeError> {
        let mut again = Instant::now() + SEND_AGAIN;
        loop {
            let announcement = tokio::select! {
                note = self.board.next() => announced(note?, &self.model),
                () = tokio::time::sleep_until(again) => {
                    self.board.post(&Note::Proposal(Box::new(proposal.clone()))).await?;
                    again = Instant::now() + SEND_AGAIN;
                    None
                }
            };
            let Some(announcement) = announcement else { continue };
            if announcement.epoch > self.base
                && let Some((manifest, _)) = Manifest::newest(&self.setting.store).await?
            {
                let changed = &manifest.persons.changed;
                if let Some(epoch) = proposal.committed_in(changed) {
                    (self.base, self.redefine) = (manifest.epoch, false);
                    self.target = announcement;
                    return Ok(Decision::Committed(epoch));
                }
                if !proposal.is_current(changed) {
                    return Ok(Decision::Refused);
                }
            }
            self.target = announcement;
            if self.target.with != proposal.contribution.with {
                return Ok(Decision::OtherParameters);
            }
        }
    }
}
