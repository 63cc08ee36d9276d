//! Events of random rows on their way to the topics, and where the topics end.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rettidig_event::{Topic, person};
use rettidig_runtime::engine::TOPICS;
use rettidig_runtime::kafka::KafkaConfig;

/// A row about a person as it stands on its topic.
///
/// # Panics
/// If it is no such row.
pub fn event(rows: &RecordBatch, row: usize) -> (Topic, Vec<u8>) {
    let topic = rows.column_by_name("topic").expect("topic").as_primitive::<Int32Type>().value(row);
    (person::TOPICS[usize::try_from(topic).expect("topic")], person::to_json(rows, row))
}

/// The key of a row about a person.
///
/// # Panics
/// If it is no such row.
pub fn key(rows: &RecordBatch, row: usize) -> String {
    let person = rows.column(0).as_fixed_size_binary().value(row);
    person.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the topics end that the engine reads.
///
/// # Panics
/// If the broker does not answer.
pub fn ends(kafka: &KafkaConfig) -> BTreeMap<(Topic, i32), i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().expect("consumer");
    let mut ends = BTreeMap::new();
    for topic in TOPICS {
        for partition in 0..topic.partitions() {
            let marks = consumer.fetch_watermarks(topic.name(), partition, Duration::from_secs(20));
            ends.insert((topic, partition), marks.expect("watermarks").1);
        }
    }
    ends
}
