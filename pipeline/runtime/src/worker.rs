//! The worker: messages into the engine, epochs out.
//!
//! Two ways to drive it. [`Worker::catch_up`] reads to the present end of the topics and commits one epoch; the
//! demo, tests and a start use it. [`Worker::run`] goes on until told to stop: it waits for the first message,
//! gathers what follows for a moment, and commits.

use std::time::Duration;

use rettidig_event::{DeadLetter, Topic};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::RuntimeError;
use crate::committer::EpochReport;
use crate::engine::{Engine, TOPICS};
use crate::gather::{Burst, Gathering, Waiting};
use crate::ingest::OwnedMessage;
use crate::kafka::{GROUP, KafkaConfig, KafkaSink, KafkaSource};
use crate::persons::AuditReport;

/// How often a quiet worker looks whether the day has changed.
const TICK: Duration = Duration::from_secs(1);

/// How often it looks whether the topics are still the same.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long to wait after a failure that may pass.
const BACK_OFF: Duration = Duration::from_millis(500);

/// How long a stop waits for a commit. Dead letters wait for the broker, which may be away for longer.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Ends some time after `shutdown`.
async fn patience(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(STOP_WITHIN).await;
}

/// Reads, evaluates, commits.
pub struct Worker {
    engine: Engine,
    source: KafkaSource,
    dead_letters: KafkaSink,
    gathering: Gathering,
    /// Put aside but not yet acknowledged by the broker; a batch is committed after its dead letters.
    letters: Vec<DeadLetter>,
    /// When the topics were last looked at.
    looked_at: Instant,
}

impl Worker {
    /// Connects an engine to its topics.
    ///
    /// # Errors
    /// As [`KafkaSource::connect`].
    pub async fn connect(mut engine: Engine, config: &KafkaConfig) -> Result<Self, RuntimeError> {
        let known = engine.manifest().and_then(|manifest| manifest.cluster_id.clone());
        let source =
            KafkaSource::connect(config, GROUP, &TOPICS, None, engine.positions(), known.as_deref()).await?;
        engine.set_cluster_id(source.cluster_id());
        let dead_letters = KafkaSink::connect(config)?;
        let gathering = Gathering::new(engine.positions());
        Ok(Self { engine, source, dead_letters, gathering, letters: Vec::new(), looked_at: Instant::now() })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, without its topics.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Looks whether the topics still have as many partitions as are read.
    ///
    /// # Errors
    /// As [`KafkaSource::check_partitions`].
    pub async fn check_partitions(&self) -> Result<(), RuntimeError> {
        self.source.check_partitions().await
    }

    /// Lets the auditor recompute a few more buckets; the report of a round that is over.
    ///
    /// # Errors
    /// As [`Engine::audit_step`].
    pub async fn audit_step(&mut self) -> Result<Option<AuditReport>, RuntimeError> {
        self.engine.audit_step().await
    }

    /// Reads to the present end of the topics and commits what came as one epoch; `None` if nothing came.
    ///
    /// # Errors
    /// As [`Engine::commit`] and [`KafkaSource::next`].
    pub async fn catch_up(&mut self) -> Result<Option<EpochReport>, RuntimeError> {
        self.decide().await?;
        let ends = self.source.ends()?;
        while !self.gathering.is_at(&ends) {
            let (topic, message) = self.source.next().await?;
            self.take(topic, message).await?;
        }
        let report = self.commit_due().await?;
        self.engine.observe_lag(&ends);
        Ok(report)
    }

    /// Goes on until `shutdown`; commits what has been read before it returns, unless that takes too long.
    ///
    /// # Errors
    /// Only those that a person must mend; what may pass is tried again and told to `watch`.
    pub async fn run(
        &mut self,
        shutdown: &CancellationToken,
        watch: &mut (dyn FnMut(Result<&EpochReport, &RuntimeError>) + Send),
    ) -> Result<(), RuntimeError> {
        tokio::select! {
            ended = self.steps(shutdown, watch) => ended,
            () = patience(shutdown) => Err(RuntimeError::retry(
                "committing what has been read",
                format!("not done {} s after being told to stop; it is read again at the next start", STOP_WITHIN.as_secs()),
            )),
        }
    }

    async fn steps(
        &mut self,
        shutdown: &CancellationToken,
        watch: &mut (dyn FnMut(Result<&EpochReport, &RuntimeError>) + Send),
    ) -> Result<(), RuntimeError> {
        while !shutdown.is_cancelled() {
            match self.step(shutdown).await {
                Ok(Some(report)) => watch(Ok(&report)),
                Ok(None) => {}
                Err(error @ RuntimeError::Retry { .. }) => {
                    watch(Err(&error));
                    tokio::select! {
                        () = tokio::time::sleep(BACK_OFF) => {}
                        () = shutdown.cancelled() => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(report) = self.commit_due().await? {
            watch(Ok(&report));
        }
        Ok(())
    }

    /// Finds out whether the last manifest was written, if nobody knows: nothing else may happen before.
    async fn decide(&mut self) -> Result<Option<EpochReport>, RuntimeError> {
        if self.engine.is_undecided() { self.engine.commit().await.map(Some) } else { Ok(None) }
    }

    async fn step(&mut self, shutdown: &CancellationToken) -> Result<Option<EpochReport>, RuntimeError> {
        if let Some(report) = self.decide().await? {
            return Ok(Some(report));
        }
        if self.looked_at.elapsed() > LOOK_EVERY {
            self.looked_at = Instant::now();
            self.source.check_partitions().await?;
            self.engine.observe_lag(&self.source.ends()?);
        }
        let first = tokio::select! {
            message = self.source.next() => Some(message?),
            () = tokio::time::sleep(TICK) => None,
            () = shutdown.cancelled() => None,
        };
        if first.is_none() && !self.engine.is_due() && !shutdown.is_cancelled() {
            // Nothing to do: the auditor goes on.
            self.audit_step().await?;
        }
        if let Some((topic, message)) = first {
            self.take(topic, message).await?;
            let burst = Burst::begin();
            while let Some((topic, message)) = burst.next(&self.source, self.engine.batch_messages()).await? {
                self.take(topic, message).await?;
            }
        }
        self.commit_due().await
    }

    async fn take(&mut self, topic: Topic, message: OwnedMessage) -> Result<(), RuntimeError> {
        match self.gathering.take(topic, message) {
            Some(full) => self.accept(full).await,
            None => Ok(()),
        }
    }

    async fn accept(&mut self, batches: Waiting) -> Result<(), RuntimeError> {
        for (topic, messages) in batches {
            self.letters.extend(self.engine.accept(topic, &messages).await?);
        }
        Ok(())
    }

    /// Commits what is due; its dead letters are acknowledged first.
    async fn commit_due(&mut self) -> Result<Option<EpochReport>, RuntimeError> {
        let rest = self.gathering.drain();
        self.accept(rest).await?;
        self.engine.publish().await?;
        if self.engine.is_due() {
            self.letters.extend(self.engine.settle().await?);
        }
        if !self.letters.is_empty() {
            self.dead_letters.bury(&self.letters).await?;
            self.letters.clear();
        }
        if !self.engine.is_due() {
            return Ok(None);
        }
        let report = self.engine.commit().await?;
        self.engine.observe_committed(&self.gathering.committed());
        Ok(Some(report))
    }
}
