//! Consuming: the topics of the engine from where the manifest stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_event::Topic;
use rettidig_event::person::{self, BUCKETS};

use super::{KafkaConfig, REQUEST_TIMEOUT, named};
use crate::RuntimeError;
use crate::ingest::OwnedMessage;
use crate::manifest::{Position, Positions};
use crate::store::sha256_hex;

/// A consumer of the engine's topics, standing where the manifest says.
pub struct KafkaSource {
    consumer: Arc<StreamConsumer>,
    cluster_id: Option<String>,
    partitions: Vec<(Topic, i32)>,
    /// Of all topics.
    partition_counts: BTreeMap<String, usize>,
}

/// A message with its topic.
pub type TopicMessage = (Topic, OwnedMessage);

impl KafkaSource {
    /// Connects to some topics, or to some partitions of them, and stands at `positions`; partitions without a position
    /// start at their beginning. Nothing is shared out in the group; its name is what this user may use.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the topics are not the ones that were read before: truncated by retention,
    /// deleted and made again, or on another cluster.
    pub async fn connect(
        config: &KafkaConfig,
        group: &str,
        topics: &[Topic],
        only: Option<&BTreeSet<i32>>,
        positions: &Positions,
        known_cluster: Option<&str>,
    ) -> Result<Self, RuntimeError> {
        let client = config
            .client()?
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20")
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.message.max.bytes", (4 << 20).to_string())
            .set("receive.message.max.bytes", (64 << 20).to_string())
            .set("queued.max.messages.kbytes", (64 << 10).to_string())
            .to_owned();
        let (positions, known) = (positions.clone(), known_cluster.map(str::to_owned));
        let (topics, only) = (topics.to_vec(), only.cloned());
        // librdkafka's metadata calls block.
        let checked = tokio::task::spawn_blocking(move || {
            Self::assign(&client, &topics, only.as_ref(), &positions, known.as_deref())
        });
        checked.await.map_err(|error| RuntimeError::retry("connecting to Kafka", error))?
    }

    fn assign(
        client: &ClientConfig,
        topics: &[Topic],
        only: Option<&BTreeSet<i32>>,
        positions: &Positions,
        known_cluster: Option<&str>,
    ) -> Result<Self, RuntimeError> {
        let consumer: StreamConsumer = client.create().map_err(|error| {
            RuntimeError::stop("setting up the consumer", named(&error), "correct the settings under kafka")
        })?;
        let retry = |attempt: &str, error: KafkaError| RuntimeError::retry(attempt.to_owned(), error);
        let metadata = consumer
            .fetch_metadata(None, REQUEST_TIMEOUT)
            .map_err(|error| retry("asking the broker for its topics", error))?;
        let cluster_id = consumer.client().fetch_cluster_id(REQUEST_TIMEOUT);
        if let (Some(known), Some(found)) = (known_cluster, cluster_id.as_deref())
            && known != found
        {
            return Err(RuntimeError::stop(
                "connecting to Kafka",
                format!("this is cluster {found}, the data folder was filled from cluster {known}"),
                "correct kafka.brokers, or start with an empty data folder",
            ));
        }
        let mut assignment = TopicPartitionList::new();
        let mut partitions = Vec::new();
        for topic in topics.iter().copied() {
            let found = metadata.topics().iter().find(|found| found.name() == topic.name());
            let count = found.map_or(0, |found| found.partitions().len());
            let known = positions.get(topic.name());
            let known_count = known.map_or(0, BTreeMap::len);
            if count < known_count || count == 0 {
                return Err(RuntimeError::stop(
                    format!("reading {}", topic.name()),
                    format!("it has {count} partitions, {known_count} were read before"),
                    "the topic was deleted: start with an empty data folder and let the connectors send again",
                ));
            }
            let all = 0..i32::try_from(count).unwrap_or(i32::MAX);
            for partition in all.filter(|partition| only.is_none_or(|only| only.contains(partition))) {
                let position = known.and_then(|known| known.get(&partition));
                let offset = match position {
                    Some(position) => Offset::Offset(check(&consumer, client, topic, partition, position)?),
                    None => Offset::Beginning,
                };
                assignment
                    .add_partition_offset(topic.name(), partition, offset)
                    .map_err(|error| retry("assigning partitions", error))?;
                partitions.push((topic, partition));
            }
        }
        consumer.assign(&assignment).map_err(|error| retry("assigning partitions", error))?;
        let partition_counts =
            metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len()));
        let partition_counts = partition_counts.collect();
        Ok(Self { consumer: Arc::new(consumer), cluster_id, partitions, partition_counts })
    }

    /// Id of the cluster, if it tells.
    pub fn cluster_id(&self) -> Option<String> {
        self.cluster_id.clone()
    }

    /// How many partitions the topics about persons have.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if not each the same number, one that divides the buckets of persons.
    pub fn person_partitions(&self) -> Result<i32, RuntimeError> {
        let counts: BTreeMap<&str, usize> = person::TOPICS
            .iter()
            .map(|topic| (topic.name(), self.partition_counts.get(topic.name()).copied().unwrap_or(0)))
            .collect();
        let count = counts.values().copied().max().unwrap_or(0);
        if count == 0 || !BUCKETS.is_multiple_of(count) || counts.values().any(|other| *other != count) {
            return Err(RuntimeError::stop(
                "sharing out the persons",
                format!("the partitions are {counts:?}"),
                format!("give these topics the same number of partitions, one that divides {BUCKETS}"),
            ));
        }
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// Looks whether the topics still have as many partitions as when they were connected to: what stands on others would
    /// not be read.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if they have not, [`RuntimeError::Retry`] if the broker does not answer.
    pub async fn check_partitions(&self) -> Result<(), RuntimeError> {
        let consumer = Arc::clone(&self.consumer);
        let asked = tokio::task::spawn_blocking(move || consumer.fetch_metadata(None, REQUEST_TIMEOUT));
        let attempt = "asking the broker for its topics";
        let metadata = asked.await.map_err(|error| RuntimeError::retry(attempt, error))?;
        let metadata = metadata.map_err(|error| RuntimeError::retry(attempt, error))?;
        for topic in self.partitions.iter().map(|(topic, _)| topic).collect::<BTreeSet<_>>() {
            let known = self.partition_counts.get(topic.name()).copied().unwrap_or(0);
            let found = metadata.topics().iter().find(|found| found.name() == topic.name());
            let found = found.map_or(0, |found| found.partitions().len());
            // None at all: it is being deleted, or the broker does not know yet; reading fails by itself then.
            if found != known && found > 0 {
                return Err(RuntimeError::stop(
                    format!("reading {}", topic.name()),
                    format!("it has {found} partitions now, {known} are read"),
                    "start again: what stands on the new ones is read from their beginning",
                ));
            }
        }
        Ok(())
    }

    /// The next message.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if an offset is gone, [`RuntimeError::Retry`] otherwise.
    pub async fn next(&self) -> Result<TopicMessage, RuntimeError> {
        match self.consumer.recv().await {
            Ok(message) => {
                let topic = Topic::from_name(message.topic()).unwrap_or(Topic::Official);
                let payload = message.payload().unwrap_or_default().to_vec();
                Ok((
                    topic,
                    OwnedMessage {
                        partition: message.partition(),
                        offset: message.offset(),
                        stamp: message.timestamp().to_millis(),
                        payload,
                    },
                ))
            }
            Err(KafkaError::MessageConsumption(
                code @ (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange),
            )) => Err(RuntimeError::stop(
                "reading the topics",
                code,
                "the topic was deleted and made again, or messages were deleted before they were read (see its \
                 retention): start with an empty data folder and let the connectors send again",
            )),
            Err(error) => Err(RuntimeError::retry("reading the topics", error)),
        }
    }

    /// The offset after the newest message of each partition.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the broker does not answer.
    pub fn ends(&self) -> Result<BTreeMap<(Topic, i32), i64>, RuntimeError> {
        self.partitions.iter().map(|place| Ok((*place, self.end(*place)?))).collect()
    }

    /// The same of every partition of some topics, whoever reads them.
    ///
    /// # Errors
    /// As [`KafkaSource::ends`].
    pub fn ends_of(&self, topics: &[Topic]) -> Result<BTreeMap<(Topic, i32), i64>, RuntimeError> {
        let count = |topic: &Topic| self.partition_counts.get(topic.name()).copied().unwrap_or(0);
        let partitions = |topic: &Topic| 0..i32::try_from(count(topic)).unwrap_or(i32::MAX);
        let places = topics.iter().flat_map(|topic| partitions(topic).map(|partition| (*topic, partition)));
        places.map(|place| Ok((place, self.end(place)?))).collect()
    }

    fn end(&self, (topic, partition): (Topic, i32)) -> Result<i64, RuntimeError> {
        let attempt = || format!("asking for the end of {}", topic.name());
        let found = self.consumer.fetch_watermarks(topic.name(), partition, REQUEST_TIMEOUT);
        found.map(|(_, end)| end).map_err(|error| RuntimeError::retry(attempt(), error))
    }
}

/// Checks that a partition is the one that was read before; returns the offset to go on from.
fn check(
    consumer: &StreamConsumer,
    client: &ClientConfig,
    topic: Topic,
    partition: i32,
    position: &Position,
) -> Result<i64, RuntimeError> {
    let name = topic.name();
    let attempt = format!("going on in {name}, partition {partition}, at offset {}", position.next);
    let (low, high) = consumer
        .fetch_watermarks(name, partition, REQUEST_TIMEOUT)
        .map_err(|error| RuntimeError::retry(&attempt, error))?;
    let remedy = "start with an empty data folder and let the connectors send again, or restore the topic";
    if position.next < low {
        let cause = format!("the oldest message is {low}: {} were deleted unread", low - position.next);
        return Err(RuntimeError::stop(attempt, cause, remedy));
    }
    if position.next > high {
        let cause = format!("the topic ends at {high}: it was deleted and made again, or truncated");
        return Err(RuntimeError::stop(attempt, cause, remedy));
    }
    let last = position.next - 1;
    if let (Some(expected), true) = (&position.last_sha256, last >= low) {
        let found =
            peek(client, name, partition, last).map_err(|error| RuntimeError::retry(&attempt, error))?;
        if found.is_some_and(|found| &found != expected) {
            let cause = format!("message {last} is not the one that was read: the topic was made again");
            return Err(RuntimeError::stop(attempt, cause, remedy));
        }
    }
    Ok(position.next)
}

/// Digest of one message; `None` if it does not come in time.
fn peek(
    client: &ClientConfig,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<String>, KafkaError> {
    let consumer: rdkafka::consumer::BaseConsumer = client.create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&assignment)?;
    match consumer.poll(REQUEST_TIMEOUT) {
        Some(Ok(message)) => Ok(Some(sha256_hex(message.payload().unwrap_or_default()))),
        Some(Err(error)) => Err(error),
        None => Ok(None),
    }
}
