//! Producing: the sink of connectors and of dead letters.
//!
//! A record is never given up: while the broker is away it stays queued, [`Sink::send`] waits once the queue is full,
//! and [`Sink::flush`] waits until everything is acknowledged, however long that takes. So a connector's cursor stands
//! still until then. Whoever wants to end drops the sink, and with it what is queued: its owner sends it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use prometheus::IntGauge;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rettidig_event::person::{self, parse_person, partition_of};
use rettidig_event::{DeadLetter, Sink, SinkError, Topic};

use super::{KafkaConfig, named};
use crate::RuntimeError;

/// Records in flight before [`Sink::send`] waits.
const IN_FLIGHT_MAX: usize = 50_000;

/// Bytes queued, in kilobytes, before [`Sink::send`] waits: two of the largest dead letters.
const QUEUED_KILOBYTES_MAX: usize = 64 << 10;

/// How long to wait for the broker to tell of a topic before asking again.
const ASK_MAX: Duration = Duration::from_secs(5);

/// How often a sink that waits for the broker says so.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// A producer; the sink of connectors and of dead letters.
pub struct KafkaSink {
    producer: FutureProducer<Told>,
    in_flight: FuturesUnordered<DeliveryFuture>,
    /// Partitions of the topics about persons, as far as they were asked for.
    partitions: HashMap<Topic, i32>,
    unacknowledged: Option<IntGauge>,
    told: Told,
}

/// The last thing the client said of the broker. Without it the client would log each attempt to connect.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl ClientContext for Told {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "librdkafka", facility, text);
    }

    fn error(&self, _: KafkaError, reason: &str) {
        reason.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The settings of a producer.
fn settings(config: &KafkaConfig) -> Result<ClientConfig, RuntimeError> {
    let mut client = config.client()?;
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // No record is given up, however long the broker is away.
        .set("message.timeout.ms", "0")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", (2 * IN_FLIGHT_MAX).to_string())
        .set("queue.buffering.max.kbytes", QUEUED_KILOBYTES_MAX.to_string());
    Ok(client)
}

impl KafkaSink {
    /// Connects.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the settings are wrong.
    pub fn connect(config: &KafkaConfig) -> Result<Self, RuntimeError> {
        let told = Told::default();
        let producer = settings(config)?.create_with_context(told.clone()).map_err(|error| {
            RuntimeError::stop("setting up the producer", named(&error), "correct the settings under kafka")
        })?;
        Ok(Self {
            producer,
            in_flight: FuturesUnordered::new(),
            partitions: HashMap::new(),
            unacknowledged: None,
            told,
        })
    }

    /// The partition of an event about a person; other events may stand on any. Waits for the broker as sending does.
    async fn place(&mut self, topic: Topic, key: &str) -> Result<Option<i32>, SinkError> {
        let Some(person) = parse_person(key).filter(|_| person::TOPICS.contains(&topic)) else {
            return Ok(None);
        };
        loop {
            if let Some(count) = self.partitions.get(&topic) {
                return Ok(Some(partition_of(&person, *count)));
            }
            let producer = self.producer.clone();
            let asked = tokio::task::spawn_blocking(move || {
                let metadata = producer.client().fetch_metadata(Some(topic.name()), ASK_MAX)?;
                Ok(metadata.topics().iter().map(|found| found.partitions().len()).sum::<usize>())
            });
            let failed =
                |cause: String| SinkError(format!("asking for the partitions of {}: {cause}", topic.name()));
            match asked.await.map_err(|error| failed(error.to_string()))? {
                Ok(count) => {
                    let count = i32::try_from(count).ok().filter(|count| *count > 0);
                    let count = count.ok_or_else(|| failed("there is no such topic".to_owned()))?;
                    self.partitions.insert(topic, count);
                }
                Err(KafkaError::MetadataFetch(
                    code @ (RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut),
                )) => tracing::warn!(%code, "the broker does not answer; waiting for it, nothing is lost"),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
    }

    /// Shows in a gauge how many records wait for the broker.
    #[must_use]
    pub fn watched(mut self, unacknowledged: IntGauge) -> Self {
        unacknowledged.set(0);
        self.unacknowledged = Some(unacknowledged);
        self
    }

    fn show(&self) {
        if let Some(gauge) = &self.unacknowledged {
            gauge.set(i64::try_from(self.in_flight.len()).unwrap_or(i64::MAX));
        }
    }

    /// Waits for the answer to one record, and says so now and then if none comes.
    async fn acknowledged(&mut self) -> Result<(), SinkError> {
        let answer = loop {
            if let Ok(answer) = tokio::time::timeout(TELL_EVERY, self.in_flight.next()).await {
                break answer;
            }
            let reason = self.told.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let waiting = self.in_flight.len();
            tracing::warn!(
                waiting,
                reason,
                "the broker does not acknowledge; waiting for it, nothing is lost"
            );
        };
        self.show();
        match answer {
            None | Some(Ok(Ok(_))) => Ok(()),
            Some(Ok(Err((error, _)))) => Err(SinkError(format!("the broker refused a record: {error}"))),
            Some(Err(_)) => Err(SinkError("the producer was closed before the broker answered".to_owned())),
        }
    }

    /// Queues a record without a key for the partition that it came from.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub async fn send_back(&mut self, topic: Topic, partition: i32, payload: &[u8]) -> Result<(), SinkError> {
        self.queue(topic, None, Some(partition), payload).await
    }

    async fn queue(
        &mut self,
        topic: Topic,
        key: Option<&str>,
        partition: Option<i32>,
        payload: &[u8],
    ) -> Result<(), SinkError> {
        while self.in_flight.len() >= IN_FLIGHT_MAX {
            self.acknowledged().await?;
        }
        loop {
            let mut record = FutureRecord::<str, [u8]>::to(topic.name()).payload(payload);
            (record.key, record.partition) = (key, partition);
            match self.producer.send_result(record) {
                Ok(delivery) => {
                    self.in_flight.push(delivery);
                    self.show();
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.acknowledged().await?
                }
                Err((error, _)) => return Err(SinkError(format!("writing to {}: {error}", topic.name()))),
            }
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
        let place = self.place(topic, key).await?;
        self.queue(topic, Some(key), place, &payload).await
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
        self.in_flight.clear();
        self.show();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_outlasts_any_outage_and_its_queue_is_bounded() {
        let settings = settings(&KafkaConfig::default()).expect("settings");
        let native = settings.create_native_config().expect("librdkafka takes them");
        let get = |key: &str| native.get(key).expect(key);
        // 0 is librdkafka's word for ever; with idempotence it tries again as often as it takes.
        assert_eq!((get("message.timeout.ms").as_str(), get("enable.idempotence").as_str()), ("0", "true"));
        assert_eq!((get("message.send.max.retries").as_str(), get("acks").as_str()), ("2147483647", "-1"));
        assert_eq!(get("compression.type"), "lz4");
        assert_eq!(get("queue.buffering.max.messages"), "100000");
        assert_eq!(get("queue.buffering.max.kbytes"), "65536");
    }
}
