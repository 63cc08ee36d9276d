//! Messages a second through the embedded broker: a million of 230 bytes, written by one librdkafka producer
//! and read by one consumer; and how long one message takes. Run with `cargo bench --workspace --bench broker`; under `cargo test` a
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
    latency(&client, messages.min(2_000))?;
    tokio::runtime::Runtime::new()?.block_on(broker.shutdown())?;
    Ok(())
}

/// From handing a message to the producer until the consumer, which waits for it, has it; one at a time.
fn latency(client: &ClientConfig, messages: usize) -> Result<()> {
    let topic = "latency";
    create(client, topic)?;
    let producer: ThreadedProducer<DefaultProducerContext> = client.clone().set("linger.ms", "0").create()?;
    let consumer = read_from_start(client, topic)?;
    let mut times = Vec::with_capacity(messages);
    for _ in 0..messages {
        let start = Instant::now();
        let record = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(&[7; MESSAGE_BYTES]);
        producer.send(record).map_err(|(error, _)| error)?;
        while consumer.poll(Duration::from_secs(1)).transpose()?.is_none() {
            ensure!(start.elapsed() < LIMIT, "no message came");
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let (p50, p99) = (times[messages / 2], times[messages * 99 / 100]);
    println!("producer to waiting consumer: p50 {p50:.1?}, p99 {p99:.1?}");
    Ok(())
}

fn create(client: &ClientConfig, topic: &str) -> Result<()> {
    let admin: rdkafka::admin::AdminClient<_> = client.create()?;
    let topic = rdkafka::admin::NewTopic::new(topic, 1, rdkafka::admin::TopicReplication::Fixed(1));
    let made =
        tokio::runtime::Runtime::new()?.block_on(admin.create_topics([&topic], &Default::default()))?;
    made.into_iter().next().context("one answer")?.map_err(|(_, code)| KafkaError::AdminOp(code))?;
    Ok(())
}

fn read_from_start(client: &ClientConfig, topic: &str) -> Result<BaseConsumer> {
    // By default librdkafka stops fetching for a second whenever 100,000 messages wait in its queue.
    let consumer: BaseConsumer =
        client.clone().set("group.id", "bench").set("fetch.queue.backoff.ms", "5").create()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&place)?;
    Ok(consumer)
}

fn measure(client: &ClientConfig, compression: &str, messages: usize) -> Result<()> {
    create(client, compression)?;
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

    let start = Instant::now();
    let consumer = read_from_start(client, compression)?;
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
