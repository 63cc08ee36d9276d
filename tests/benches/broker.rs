//! Messages a second through the embedded broker: a million of 230 bytes, written by one librdkafka producer
//! and read by one consumer. Run with `cargo bench -p rettidig-tests --bench broker`; under `cargo test` a
//! few thousand only show that it still works.
#![allow(clippy::print_stdout, reason = "the figures are the output")]

use anyhow::{Context, Result, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use rettidig_broker::{Broker, BrokerConfig};
use std::time::{Duration, Instant};

const MESSAGE_BYTES: usize = 230;
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let messages = if std::env::args().any(|arg| arg == "--bench") { 1_000_000 } else { 5_000 };
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerConfig::new(dir.path(), || 1_700_000_000_000))?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker.address().to_string());
    for compression in ["none", "lz4", "zstd"] {
        measure(&client, compression, messages)?;
    }
    tokio::runtime::Runtime::new()?.block_on(broker.shutdown())?;
    Ok(())
}

fn measure(client: &ClientConfig, compression: &str, messages: usize) -> Result<()> {
    let admin: rdkafka::admin::AdminClient<_> = client.create()?;
    let topic = rdkafka::admin::NewTopic::new(compression, 1, rdkafka::admin::TopicReplication::Fixed(1));
    let made =
        tokio::runtime::Runtime::new()?.block_on(admin.create_topics([&topic], &Default::default()))?;
    made.into_iter().next().context("one answer")?.map_err(|(_, code)| KafkaError::AdminOp(code))?;

    let producer: ThreadedProducer<DefaultProducerContext> = client
        .clone()
        .set("enable.idempotence", "true")
        .set("compression.type", compression)
        .set("linger.ms", "5")
        .create()?;
    let value: Vec<u8> = (0..MESSAGE_BYTES).map(|at| b"{\"person\":\"0123456789\"}"[at % 23]).collect();
    let start = Instant::now();
    for _ in 0..messages {
        let mut record = BaseRecord::<(), [u8]>::to(compression).partition(0).payload(&value);
        while let Err((error, again)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            std::thread::yield_now();
            record = again;
        }
    }
    producer.flush(LIMIT)?;
    let produced = start.elapsed();

    // By default librdkafka stops fetching for a second whenever 100,000 messages wait in its queue.
    let consumer: BaseConsumer =
        client.clone().set("group.id", "bench").set("fetch.queue.backoff.ms", "5").create()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(compression, 0, Offset::Beginning)?;
    let start = Instant::now();
    consumer.assign(&place)?;
    let mut received = 0;
    while received < messages {
        // Nothing may also mean that the client served an event of its own.
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            message?;
            received += 1;
        }
        ensure!(start.elapsed() < LIMIT, "{received} of {messages} messages came");
    }
    let consumed = start.elapsed();
    let rate = |time: Duration| messages as f64 / time.as_secs_f64() / 1e6;
    println!("{compression}: {:.2} M produced/s, {:.2} M consumed/s", rate(produced), rate(consumed));
    Ok(())
}
