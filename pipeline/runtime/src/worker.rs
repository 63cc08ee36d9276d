//! The worker: messages into the engine, epochs out.
//!
//! Two ways to drive it. [`Worker::catch_up`] reads to the present end of the topics and commits one epoch; the
//! demo, tests and a start use it. [`Worker::run`] goes on until told to stop: it waits for the first message,
//! gathers what follows for a moment, and commits.

use std::collections::BTreeMap;
use std::time::Duration;

use rettidig_event::{DeadLetter, Topic};
use tokio_util::sync::CancellationToken;

use crate::RuntimeError;
use crate::engine::{Engine, EpochReport, TOPICS};
use crate::ingest::OwnedMessage;
use crate::kafka::{KafkaConfig, KafkaSink, KafkaSource};
use crate::persons::AuditReport;

/// How long a batch gathers after its first message.
const GATHER: Duration = Duration::from_millis(30);

/// A burst is taken whole: after that time as long as one message follows the other within [`PAUSE`], up to this.
const GATHER_MAX: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// Messages in one batch of [`Worker::run`].
const BATCH_MESSAGES_MAX: u64 = 200_000;

/// Messages decoded together, and their bytes.
const DECODE_MESSAGES: usize = 8_192;
const DECODE_BYTES: usize = 32 << 20;

/// How often a quiet worker looks whether the day has changed.
const TICK: Duration = Duration::from_secs(1);

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
    pending: BTreeMap<Topic, Vec<OwnedMessage>>,
    pending_bytes: usize,
    /// Put aside but not yet acknowledged by the broker; a batch is committed after its dead letters.
    letters: Vec<DeadLetter>,
    /// The next offset of each partition, messages that wait for decoding included.
    read: BTreeMap<(Topic, i32), i64>,
}

impl Worker {
    /// Connects an engine to its topics.
    ///
    /// # Errors
    /// As [`KafkaSource::connect`].
    pub async fn connect(mut engine: Engine, config: &KafkaConfig) -> Result<Self, RuntimeError> {
        let known = engine.manifest().and_then(|manifest| manifest.cluster_id.clone());
        let source = KafkaSource::connect(config, engine.positions(), known.as_deref()).await?;
        engine.set_cluster_id(source.cluster_id());
        let dead_letters = KafkaSink::connect(config)?;
        let mut read = BTreeMap::new();
        for topic in TOPICS {
            for (partition, position) in engine.positions().get(topic.name()).into_iter().flatten() {
                read.insert((topic, *partition), position.next);
            }
        }
        Ok(Self {
            engine,
            source,
            dead_letters,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            letters: Vec::new(),
            read,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, without its topics.
    pub fn into_engine(self) -> Engine {
        self.engine
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
        let ends = self.source.ends()?;
        while !self.is_at(&ends) {
            let (topic, message) = self.source.next().await?;
            self.take(topic, message).await?;
        }
        self.commit_due().await
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

    async fn step(&mut self, shutdown: &CancellationToken) -> Result<Option<EpochReport>, RuntimeError> {
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
            let begun = tokio::time::Instant::now();
            while self.engine.batch_messages() < BATCH_MESSAGES_MAX {
                let until = (begun + GATHER).max(tokio::time::Instant::now() + PAUSE).min(begun + GATHER_MAX);
                match tokio::time::timeout_at(until, self.source.next()).await {
                    Ok(message) => {
                        let (topic, message) = message?;
                        self.take(topic, message).await?;
                    }
                    Err(_) => break,
                }
            }
        }
        self.commit_due().await
    }

    async fn take(&mut self, topic: Topic, message: OwnedMessage) -> Result<(), RuntimeError> {
        self.read.insert((topic, message.partition), message.offset + 1);
        self.pending_bytes += message.payload.len();
        let waiting = self.pending.entry(topic).or_default();
        waiting.push(message);
        let is_full = waiting.len() >= DECODE_MESSAGES || self.pending_bytes >= DECODE_BYTES;
        if is_full { self.decode_all().await } else { Ok(()) }
    }

    async fn decode_all(&mut self) -> Result<(), RuntimeError> {
        for topic in self.pending.keys().copied().collect::<Vec<_>>() {
            self.decode(topic).await?;
        }
        self.pending_bytes = 0;
        Ok(())
    }

    async fn decode(&mut self, topic: Topic) -> Result<(), RuntimeError> {
        let messages = std::mem::take(self.pending.entry(topic).or_default());
        if !messages.is_empty() {
            self.letters.extend(self.engine.accept(topic, &messages).await?);
        }
        Ok(())
    }

    /// Commits what is due; its dead letters are acknowledged first.
    async fn commit_due(&mut self) -> Result<Option<EpochReport>, RuntimeError> {
        self.decode_all().await?;
        self.engine.publish().await?;
        if self.engine.is_due() {
            self.letters.extend(self.engine.settle().await?);
        }
        if !self.letters.is_empty() {
            self.dead_letters.bury(&self.letters).await?;
            self.letters.clear();
        }
        if self.engine.is_due() { self.engine.commit().await.map(Some) } else { Ok(None) }
    }

    fn is_at(&self, ends: &BTreeMap<(Topic, i32), i64>) -> bool {
        ends.iter()
            .all(|(partition, end)| *end == 0 || self.read.get(partition).is_some_and(|next| next >= end))
    }
}
