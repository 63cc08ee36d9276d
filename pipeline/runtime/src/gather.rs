//! From single messages to batches: what is decoded together, and how long a burst is waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use rettidig_event::Topic;
use tokio::time::Instant;

use crate::RuntimeError;
use crate::ingest::OwnedMessage;
use crate::kafka::{KafkaSource, TopicMessage};
use crate::manifest::Positions;

/// How long a batch gathers after its first message.
const GATHER: Duration = Duration::from_millis(30);

/// A burst is taken whole: after that time as long as one message follows the other within [`PAUSE`], up to this.
const GATHER_MAX: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// Messages in one batch.
const BATCH_MESSAGES_MAX: u64 = 200_000;

/// Messages decoded together, and their bytes.
const DECODE_MESSAGES: usize = 8_192;
const DECODE_BYTES: usize = 32 << 20;

/// Messages that wait to be decoded, by topic.
pub(crate) type Waiting = Vec<(Topic, Vec<OwnedMessage>)>;

/// Messages that were read and wait to be decoded.
#[derive(Debug)]
pub(crate) struct Gathering {
    waiting: BTreeMap<Topic, Vec<OwnedMessage>>,
    bytes: usize,
    /// The next offset of each partition, messages that wait included.
    read: BTreeMap<(Topic, i32), i64>,
    /// When Kafka got what is in no epoch yet.
    stamps: Vec<i64>,
}

impl Gathering {
    /// Nothing yet, from these positions on.
    pub(crate) fn new(positions: &Positions) -> Self {
        let mut read = BTreeMap::new();
        for (name, partitions) in positions {
            if let Some(topic) = Topic::from_name(name) {
                read.extend(partitions.iter().map(|(partition, place)| ((topic, *partition), place.next)));
            }
        }
        Self { waiting: BTreeMap::new(), bytes: 0, read, stamps: Vec::new() }
    }

    /// Takes a message; gives all that wait if they are enough to be decoded.
    pub(crate) fn take(&mut self, topic: Topic, message: OwnedMessage) -> Option<Waiting> {
        self.read.insert((topic, message.partition), message.offset + 1);
        self.bytes += message.payload.len();
        self.stamps.extend(message.stamp);
        let waiting = self.waiting.entry(topic).or_default();
        waiting.push(message);
        let is_full = waiting.len() >= DECODE_MESSAGES || self.bytes >= DECODE_BYTES;
        is_full.then(|| self.drain())
    }

    /// All that wait.
    pub(crate) fn drain(&mut self) -> Waiting {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_iter().collect()
    }

    /// When Kafka got what was taken since the last call; call it when an epoch with all of it is committed.
    pub(crate) fn committed(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.stamps)
    }

    /// Whether everything before some ends was read.
    pub(crate) fn is_at(&self, ends: &BTreeMap<(Topic, i32), i64>) -> bool {
        ends.iter()
            .all(|(partition, end)| *end == 0 || self.read.get(partition).is_some_and(|next| next >= end))
    }
}

/// A burst of messages, taken as one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    begun: Instant,
}

impl Burst {
    /// Begins to wait for what follows a first message.
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    /// The next message of the burst; `None` if it is over. `messages`: how many were taken in so far.
    ///
    /// # Errors
    /// As [`KafkaSource::next`].
    pub(crate) async fn next(
        &self,
        source: &KafkaSource,
        messages: u64,
    ) -> Result<Option<TopicMessage>, RuntimeError> {
        if messages >= BATCH_MESSAGES_MAX {
            return Ok(None);
        }
        let until = (self.begun + GATHER).max(Instant::now() + PAUSE).min(self.begun + GATHER_MAX);
        tokio::time::timeout_at(until, source.next()).await.ok().transpose()
    }
}
