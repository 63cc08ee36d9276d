//! Reading the dead-letter topic from its beginning to its present end, without leaving a trace at the broker.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_event::{DeadLetter, Topic};
use tokio::sync::mpsc;

use super::{KafkaConfig, REQUEST_TIMEOUT};
use crate::RuntimeError;

/// Nothing is committed and nobody is joined, but a broker with rules asks for a group that may be read with.
const GROUP: &str = "rettidig-dead-letters";

/// Letters that wait for the reader; each may have the size of the largest message.
const WAITING_MAX: usize = 4;

/// Where a letter lies on the dead-letter topic: partition and offset, written `0/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    /// Reads `0/17`; `17` alone is on partition 0, the only one that the topic is made with.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (partition, offset) = text.split_once('/').unwrap_or(("0", text));
        match (partition.parse(), offset.parse()) {
            (Ok(partition), Ok(offset)) if partition >= 0 && offset >= 0 => Ok(Self { partition, offset }),
            _ => {
                Err("expected partition/offset as `rettidig dead-letters list` shows it, such as 0/17".into())
            }
        }
    }
}

/// A message on the dead-letter topic.
#[derive(Debug)]
pub struct Letter {
    /// Where it lies.
    pub place: Place,
    /// What it says; `None` if somebody else put something else there.
    pub letter: Option<DeadLetter>,
}

/// What [`letters`] gives, one after the other.
pub type Letters = mpsc::Receiver<Result<Letter, RuntimeError>>;

/// Reads the letters that are there now, or the one at a place. Nothing is committed; an error is the last thing given.
///
/// # Errors
/// [`RuntimeError::Stop`] if the settings are wrong.
pub fn letters(config: &KafkaConfig, only: Option<Place>) -> Result<Letters, RuntimeError> {
    let client = config
        .client()?
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A letter that retention deletes while it is being read is gone.
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("fetch.message.max.bytes", (4 << 20).to_string())
        .set("receive.message.max.bytes", (64 << 20).to_string())
        .set("queued.max.messages.kbytes", (64 << 10).to_string())
        .to_owned();
    let (sender, letters) = mpsc::channel(WAITING_MAX);
    // librdkafka's calls block.
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&client, only, &sender) {
            // Nobody is left to tell if the reader went away.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(letters)
}

fn retry(attempt: &str) -> impl FnOnce(KafkaError) -> RuntimeError {
    move |error| RuntimeError::retry(attempt, error)
}

fn read(
    client: &ClientConfig,
    only: Option<Place>,
    sender: &mpsc::Sender<Result<Letter, RuntimeError>>,
) -> Result<(), RuntimeError> {
    let name = Topic::DeadLetter.name();
    let attempt = format!("reading {name}");
    let consumer: BaseConsumer = client.create().map_err(|error| {
        RuntimeError::stop("setting up the consumer", error, "correct the settings under kafka")
    })?;
    let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT).map_err(retry(&attempt))?;
    let found = metadata.topics().iter().find(|topic| topic.name() == name);
    let partitions: Vec<i32> = found
        .into_iter()
        .flat_map(|topic| topic.partitions())
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect();
    if partitions.is_empty() {
        let remedy = "check kafka.brokers; `rettidig run` makes the topics";
        return Err(RuntimeError::stop(attempt, "the broker has no such topic", remedy));
    }
    let mut assignment = TopicPartitionList::new();
    let mut ends = BTreeMap::new();
    for partition in partitions {
        let (low, high) =
            consumer.fetch_watermarks(name, partition, REQUEST_TIMEOUT).map_err(retry(&attempt))?;
        let (first, end) = match only {
            None => (low, high),
            Some(place) if place.partition != partition => continue,
            Some(place) if (low..high).contains(&place.offset) => (place.offset, place.offset + 1),
            Some(_) => continue,
        };
        if first < end {
            assignment
                .add_partition_offset(name, partition, Offset::Offset(first))
                .map_err(retry(&attempt))?;
            ends.insert(partition, end);
        }
    }
    if let (Some(place), true) = (only, ends.is_empty()) {
        let cause = format!("no letter lies at {place}");
        return Err(RuntimeError::stop(attempt, cause, "take a place from `rettidig dead-letters list`"));
    }
    consumer.assign(&assignment).map_err(retry(&attempt))?;
    while !ends.is_empty() {
        match consumer.poll(REQUEST_TIMEOUT) {
            None => return Err(RuntimeError::retry(attempt, "the broker does not answer")),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(error)) => return Err(RuntimeError::retry(attempt, error)),
            Some(Ok(message)) => {
                let place = Place { partition: message.partition(), offset: message.offset() };
                let Some(end) = ends.get(&place.partition).copied() else { continue };
                if place.offset + 1 >= end {
                    ends.remove(&place.partition);
                }
                let letter = message.payload().and_then(|bytes| serde_json::from_slice(bytes).ok());
                if place.offset < end && sender.blocking_send(Ok(Letter { place, letter })).is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_is_written() {
        for (text, partition, offset) in [("0/17", 0, 17), ("3/0", 3, 0), ("5", 0, 5)] {
            assert_eq!(text.parse(), Ok(Place { partition, offset }), "{text}");
        }
        assert_eq!(Place { partition: 1, offset: 2 }.to_string(), "1/2");
        for text in ["", "/", "0/-1", "-1/0", "0/x", "1/2/3"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
