//! The client side of Kafka: topics, producer, consumer; the same code for Apache Kafka and the embedded broker.
//!
//! Producing is idempotent with acks=all; a record counts as handed over when the broker has acknowledged it.
//! Consuming is by explicit assignment and offset from the manifest: group offsets are advisory, and an offset
//! that the broker no longer has is an error, never a silent jump.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_event::{DeadLetter, Sink, SinkError, Topic};

use crate::RuntimeError;
use crate::engine::TOPICS;
use crate::ingest::OwnedMessage;
use crate::manifest::{Position, Positions};
use crate::store::sha256_hex;

/// How long one request to the broker may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Records in flight before [`Sink::send`] waits.
const IN_FLIGHT_MAX: usize = 50_000;

/// Features that librdkafka must have been built with; they go missing silently.
const FEATURES: [&str; 6] = ["ssl", "sasl_scram", "sasl_oauthbearer", "zstd", "gzip", "snappy"];

/// How to reach a cluster.
#[derive(Debug, Clone, Default)]
pub struct KafkaConfig {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka settings, e.g. `security.protocol`.
    pub settings: BTreeMap<String, String>,
    /// File with the SASL password; read at start, never logged.
    pub password_file: Option<PathBuf>,
}

impl KafkaConfig {
    fn client(&self) -> Result<ClientConfig, RuntimeError> {
        let mut config = ClientConfig::new();
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers).set("client.id", "rettidig");
        config.set("message.max.bytes", Topic::DeadLetter.max_message_bytes().to_string());
        if let Some(file) = &self.password_file {
            let password = std::fs::read_to_string(file).map_err(|error| {
                let remedy = "make the file readable for this user, or correct kafka.password_file";
                RuntimeError::stop(
                    format!("reading the Kafka password from {}", file.display()),
                    error,
                    remedy,
                )
            })?;
            config.set("sasl.password", password.trim_end_matches(['\r', '\n']));
        }
        Ok(config)
    }
}

/// Asserts that TLS, SASL and the codecs are really compiled in.
///
/// # Errors
/// [`RuntimeError::Stop`] naming what is missing.
pub fn assert_features() -> Result<(), RuntimeError> {
    let attempt = "checking librdkafka's built-in features";
    let remedy = "build with the features ssl-vendored, curl-static and zstd of rdkafka";
    let features = ClientConfig::new()
        .create_native_config()
        .and_then(|config| config.get("builtin.features"))
        .map_err(|error| RuntimeError::stop(attempt, error, remedy))?;
    let features: Vec<&str> = features.split(',').map(str::trim).collect();
    match FEATURES.iter().find(|feature| !features.contains(feature)) {
        Some(missing) => Err(RuntimeError::stop(attempt, format!("{missing} is not there"), remedy)),
        None => Ok(()),
    }
}

/// Creates the topics of the contract that are not there yet.
///
/// # Errors
/// [`RuntimeError::Retry`] if the broker does not answer, [`RuntimeError::Stop`] if it refuses.
pub async fn create_topics(config: &KafkaConfig) -> Result<(), RuntimeError> {
    let attempt = || format!("creating topics at {}", config.brokers);
    let admin: AdminClient<DefaultClientContext> =
        config.client()?.create().map_err(|error| RuntimeError::retry(attempt(), error))?;
    let settings: Vec<(Topic, String, String)> = Topic::ALL
        .into_iter()
        .map(|topic| (topic, topic.retention_ms().to_string(), topic.max_message_bytes().to_string()))
        .collect();
    let topics: Vec<NewTopic<'_>> = settings
        .iter()
        .map(|(topic, retention, bytes)| {
            NewTopic::new(topic.name(), topic.partitions(), TopicReplication::Fixed(-1))
                .set("retention.ms", retention)
                .set("max.message.bytes", bytes)
        })
        .collect();
    let options =
        AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT)).request_timeout(Some(REQUEST_TIMEOUT));
    let results = admin.create_topics(&topics, &options).await;
    for result in results.map_err(|error| RuntimeError::retry(attempt(), error))? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let remedy = "create the topic by hand, or give this user the right to create topics";
                return Err(RuntimeError::stop(format!("creating the topic {topic}"), code, remedy));
            }
        }
    }
    Ok(())
}

/// A producer; the sink of connectors and of dead letters.
pub struct KafkaSink {
    producer: FutureProducer,
    in_flight: FuturesUnordered<DeliveryFuture>,
}

impl KafkaSink {
    /// Connects.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the settings are wrong.
    pub fn connect(config: &KafkaConfig) -> Result<Self, RuntimeError> {
        let producer = config
            .client()?
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", (2 * IN_FLIGHT_MAX).to_string())
            .create()
            .map_err(|error| {
                RuntimeError::stop("setting up the producer", error, "correct the settings under kafka")
            })?;
        Ok(Self { producer, in_flight: FuturesUnordered::new() })
    }

    async fn acknowledged(&mut self) -> Result<(), SinkError> {
        match self.in_flight.next().await {
            None | Some(Ok(Ok(_))) => Ok(()),
            Some(Ok(Err((error, _)))) => Err(SinkError(format!("the broker refused a record: {error}"))),
            Some(Err(_)) => Err(SinkError("the producer was closed before the broker answered".to_owned())),
        }
    }

    /// Hands dead letters over and waits until they are acknowledged.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if one was not.
    pub async fn bury(&mut self, letters: &[DeadLetter]) -> Result<(), RuntimeError> {
        for letter in letters {
            let sent = self.send(Topic::DeadLetter, letter.reason.code(), letter.to_json()).await;
            sent.map_err(|error| RuntimeError::retry("writing dead letters", error))?;
        }
        self.flush().await.map_err(|error| RuntimeError::retry("writing dead letters", error))
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        while self.in_flight.len() >= IN_FLIGHT_MAX {
            self.acknowledged().await?;
        }
        loop {
            let record = FutureRecord::to(topic.name()).key(key).payload(&payload);
            match self.producer.send_result(record) {
                Ok(delivery) => {
                    self.in_flight.push(delivery);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.acknowledged().await?
                }
                Err((error, _)) => return Err(SinkError(format!("writing to {}: {error}", topic.name()))),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let mut failed = None;
        while !self.in_flight.is_empty() {
            if let Err(error) = self.acknowledged().await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        // What was not acknowledged is sent again by its owner; do not wait for it here.
        let _ = self.producer.flush(Duration::ZERO);
    }
}

/// A consumer of the engine's topics, standing where the manifest says.
pub struct KafkaSource {
    consumer: StreamConsumer,
    cluster_id: Option<String>,
    partitions: Vec<(Topic, i32)>,
}

/// A message with its topic.
pub type TopicMessage = (Topic, OwnedMessage);

impl KafkaSource {
    /// Connects and stands at `positions`; partitions without a position start at their beginning.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the topics are not the ones that were read before: truncated by retention,
    /// deleted and made again, or on another cluster.
    pub async fn connect(
        config: &KafkaConfig,
        positions: &Positions,
        known_cluster: Option<&str>,
    ) -> Result<Self, RuntimeError> {
        let client = config
            .client()?
            .set("group.id", "rettidig")
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
        // librdkafka's metadata calls block.
        let checked =
            tokio::task::spawn_blocking(move || Self::assign(&client, &positions, known.as_deref()));
        checked.await.map_err(|error| RuntimeError::retry("connecting to Kafka", error))?
    }

    fn assign(
        client: &ClientConfig,
        positions: &Positions,
        known_cluster: Option<&str>,
    ) -> Result<Self, RuntimeError> {
        let consumer: StreamConsumer = client.create().map_err(|error| {
            RuntimeError::stop("setting up the consumer", error, "correct the settings under kafka")
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
        for topic in TOPICS {
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
            for partition in 0..i32::try_from(count).unwrap_or(i32::MAX) {
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
        Ok(Self { consumer, cluster_id, partitions })
    }

    /// Id of the cluster, if it tells.
    pub fn cluster_id(&self) -> Option<String> {
        self.cluster_id.clone()
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
                    OwnedMessage { partition: message.partition(), offset: message.offset(), payload },
                ))
            }
            Err(KafkaError::MessageConsumption(
                code @ (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange),
            )) => Err(RuntimeError::stop(
                "reading the topics",
                code,
                "messages were deleted before they were read: see the topic's retention; start with an empty data \
                 folder and let the connectors send again",
            )),
            Err(error) => Err(RuntimeError::retry("reading the topics", error)),
        }
    }

    /// The offset after the newest message of each partition.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the broker does not answer.
    pub fn ends(&self) -> Result<BTreeMap<(Topic, i32), i64>, RuntimeError> {
        let mut ends = BTreeMap::new();
        for (topic, partition) in &self.partitions {
            let (_, end) =
                self.consumer.fetch_watermarks(topic.name(), *partition, REQUEST_TIMEOUT).map_err(
                    |error| RuntimeError::retry(format!("asking for the end of {}", topic.name()), error),
                )?;
            ends.insert((*topic, *partition), end);
        }
        Ok(ends)
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
