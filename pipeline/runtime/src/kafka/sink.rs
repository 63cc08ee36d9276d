//! Producing: the sink of connectors and of dead letters.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rettidig_event::person::{self, parse_person, partition_of};
use rettidig_event::{DeadLetter, Sink, SinkError, Topic};

use super::{KafkaConfig, REQUEST_TIMEOUT};
use crate::RuntimeError;

/// Records in flight before [`Sink::send`] waits.
const IN_FLIGHT_MAX: usize = 50_000;

/// A producer; the sink of connectors and of dead letters.
pub struct KafkaSink {
    producer: FutureProducer,
    in_flight: FuturesUnordered<DeliveryFuture>,
    /// Partitions of the topics about persons, as far as they were asked for.
    partitions: HashMap<Topic, i32>,
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
        Ok(Self { producer, in_flight: FuturesUnordered::new(), partitions: HashMap::new() })
    }

    /// The partition of an event about a person; other events may stand on any.
    async fn place(&mut self, topic: Topic, key: &str) -> Result<Option<i32>, SinkError> {
        let Some(person) = parse_person(key).filter(|_| person::TOPICS.contains(&topic)) else {
            return Ok(None);
        };
        let count = match self.partitions.get(&topic) {
            Some(count) => *count,
            None => {
                let producer = self.producer.clone();
                let asked = tokio::task::spawn_blocking(move || {
                    let metadata = producer.client().fetch_metadata(Some(topic.name()), REQUEST_TIMEOUT)?;
                    Ok(metadata.topics().iter().map(|found| found.partitions().len()).sum::<usize>())
                });
                let failed = |cause: String| {
                    SinkError(format!("asking for the partitions of {}: {cause}", topic.name()))
                };
                let count = asked.await.map_err(|error| failed(error.to_string()))?;
                let count = count.map_err(|error: KafkaError| failed(error.to_string()))?;
                let count = i32::try_from(count).ok().filter(|count| *count > 0);
                let count = count.ok_or_else(|| failed("there is no such topic".to_owned()))?;
                self.partitions.insert(topic, count);
                count
            }
        };
        Ok(Some(partition_of(&person, count)))
    }

    async fn acknowledged(&mut self) -> Result<(), SinkError> {
        match self.in_flight.next().await {
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
    }
}
