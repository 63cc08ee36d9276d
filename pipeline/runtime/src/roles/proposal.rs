//! What workers and the committer tell each other, on one topic with one partition.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_model::Model;
use rettidig_model::persons::Parameters;
use serde::{Deserialize, Serialize};

use crate::RuntimeError;
use crate::kafka::KafkaConfig;
use crate::persons::{Changed, Contribution};
use crate::store::sha256_hex;

/// The topic; internal, with one partition.
pub const PROPOSALS: &str = "rettidig.proposals";

/// Milliseconds that a message is of use: a proposal that nobody answers is sent again.
pub const RETENTION_MS: i64 = 86_400_000;

/// How long the broker may take to acknowledge a message.
const ACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What a worker brings, to be committed as it is or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The epoch whose state it was computed from; 0 if there was none.
    pub base: u64,
    /// The partitions of the topics about persons that it covers.
    pub partitions: BTreeSet<i32>,
    /// How many partitions these topics have.
    pub partition_count: i32,
    /// Digest of the model.
    pub model: String,
    /// What it brings.
    pub contribution: Contribution,
}

impl Proposal {
    /// What tells it from others: the digest of all it says.
    pub fn id(&self) -> String {
        sha256_hex(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether the persons of its partitions are as they were when it was computed.
    pub fn is_current(&self, changed: &Changed) -> bool {
        self.partitions.iter().all(|partition| changed.epoch_of(*partition) <= self.base)
    }

    /// Whether an epoch brought it to all its partitions, and which.
    pub fn committed_in(&self, changed: &Changed) -> Option<u64> {
        let id = self.id();
        let mut epochs = self.partitions.iter().map(|partition| changed.partitions.get(partition));
        let first = epochs.next()??;
        let is_it = |other: Option<&crate::persons::ChangedPartition>| {
            other.is_some_and(|other| other.proposal == id && other.epoch > changed.whole)
        };
        (is_it(Some(first)) && epochs.all(is_it)).then_some(first.epoch)
    }
}

/// What the committer says of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The committer's term.
    pub term: u64,
    /// The newest epoch; 0 if there is none.
    pub epoch: u64,
    /// What the next cells are to be evaluated with.
    pub with: Parameters,
    /// Digest of the committer's model.
    pub model: String,
    /// Partitions of the topics about persons.
    pub partition_count: i32,
}

/// A message of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// From a worker.
    Proposal(Box<Proposal>),
    /// From the committer.
    Announcement(Announcement),
}

/// Digest of a model: who works together must have the same.
pub fn model_digest(model: &Model) -> String {
    sha256_hex(format!("{}{}", model.sql_sha256, model.reference_sha256).as_bytes())
}

/// Reads and writes the topic.
pub struct Board {
    consumer: StreamConsumer,
    producer: FutureProducer,
}

impl Board {
    /// Connects, with the name of a group that this user may use; what is read begins with what is written from now on.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the settings are wrong, [`RuntimeError::Retry`] if the broker does not answer.
    pub async fn connect(config: &KafkaConfig, group: &str) -> Result<Self, RuntimeError> {
        let (client, group) = (config.client()?, group.to_owned());
        let opened = tokio::task::spawn_blocking(move || {
            let stop = |error| {
                RuntimeError::stop("reading the proposals", error, "correct the settings under kafka")
            };
            let retry = |error| RuntimeError::retry("reading the proposals", error);
            let mut reading = client.clone();
            reading.set("group.id", &group).set("enable.auto.commit", "false");
            // What is gone was of no use any more: proposals and announcements are repeated.
            reading.set("auto.offset.reset", "latest").set("fetch.wait.max.ms", "20");
            let consumer: StreamConsumer = reading.create().map_err(stop)?;
            let (_, end) =
                consumer.fetch_watermarks(PROPOSALS, 0, crate::kafka::REQUEST_TIMEOUT).map_err(retry)?;
            let mut place = TopicPartitionList::new();
            place.add_partition_offset(PROPOSALS, 0, Offset::Offset(end)).map_err(retry)?;
            consumer.assign(&place).map_err(retry)?;
            let mut writing = client;
            writing.set("enable.idempotence", "true").set("acks", "all").set("compression.type", "lz4");
            let producer = writing.set("linger.ms", "0").create().map_err(stop)?;
            Ok(Self { consumer, producer })
        });
        opened.await.map_err(|error| RuntimeError::retry("reading the proposals", error))?
    }

    /// The next message that can be understood.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the broker does not answer.
    pub async fn next(&self) -> Result<Note, RuntimeError> {
        loop {
            let message = self.consumer.recv().await;
            let message = message.map_err(|error| RuntimeError::retry("reading the proposals", error))?;
            match serde_json::from_slice(message.payload().unwrap_or_default()) {
                Ok(note) => return Ok(note),
                Err(error) => {
                    let offset = message.offset();
                    tracing::warn!(%error, offset, "a message on {PROPOSALS} is not of this version; passed over");
                }
            }
        }
    }

    /// Writes a message and waits until the broker has it.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if it does not take it.
    pub async fn post(&self, note: &Note) -> Result<(), RuntimeError> {
        let payload = serde_json::to_vec(note).unwrap_or_default();
        let record = FutureRecord::<str, [u8]>::to(PROPOSALS).partition(0).payload(&payload);
        let sent = self.producer.send(record, ACKNOWLEDGED).await;
        sent.map(drop).map_err(|(error, _)| RuntimeError::retry(format!("writing to {PROPOSALS}"), error))
    }
}
