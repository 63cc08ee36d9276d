//! The cluster under test and its clients. Topics and groups get a random suffix: a cluster may be shared and old.

use anyhow::{Context, Result, anyhow, bail, ensure};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::Offset;
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_tests::apache::{Apache, Settings};
use rettidig_tests::wire;
use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// Limit of one call to a client.
pub const CALL: Duration = Duration::from_secs(20);
/// Limit of one test.
const TEST: Duration = Duration::from_secs(90);

/// Runs a test with its time limit.
pub async fn limited(test: impl Future<Output = Result<()>>) -> Result<()> {
    timeout(TEST, test).await.context("the test took longer than its limit")?
}

/// Repeats a check until it gives something; it does its own waiting.
pub async fn until<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + CALL;
    loop {
        if let Some(found) = check().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited too long: {what}");
        }
        tokio::task::yield_now().await;
    }
}

/// The embedded broker's clock stands still: no test depends on the time of day.
fn now_ms() -> i64 {
    1_700_000_000_000
}

/// The cluster under test.
pub struct Cluster {
    bootstrap: String,
    embedded: Option<(Broker, TempDir)>,
}

impl Cluster {
    /// An embedded broker, started for the one test.
    pub fn embedded() -> Result<Self> {
        Self::embedded_in(tempfile::tempdir()?)
    }

    /// Apache Kafka: one broker for all tests of the process, or the cluster at `KAFKA_BROKERS`.
    pub fn apache() -> Result<Self> {
        static BROKER: OnceLock<Result<Apache, String>> = OnceLock::new();
        if let Ok(bootstrap) = std::env::var("KAFKA_BROKERS") {
            return Ok(Self::at(bootstrap));
        }
        let start = || Apache::start_for_the_process(&Settings::default());
        let started = BROKER.get_or_init(|| start().map_err(|error| format!("{error:#}")));
        Ok(Self::at(started.as_ref().map_err(|error| anyhow!("{error}"))?.bootstrap()))
    }

    /// A cluster that somebody else started.
    pub fn at(bootstrap: String) -> Self {
        Self { bootstrap, embedded: None }
    }

    /// An embedded broker on a folder that may hold data.
    pub fn embedded_in(dir: TempDir) -> Result<Self> {
        Self::embedded_with(embedded_config(dir.path()), dir)
    }

    fn embedded_with(config: BrokerConfig, dir: TempDir) -> Result<Self> {
        let broker = Broker::start(config)?;
        Ok(Self { bootstrap: broker.address().to_string(), embedded: Some((broker, dir)) })
    }

    /// Stops the embedded broker and starts it at the same address, as its clients expect.
    pub async fn restart(self) -> Result<Self> {
        let listen = self.bootstrap.parse()?;
        let dir = self.stop().await?;
        let mut config = embedded_config(dir.path());
        config.listen = listen;
        Self::embedded_with(config, dir)
    }

    /// Stops the embedded broker and returns its folder.
    pub async fn stop(self) -> Result<TempDir> {
        let (broker, dir) = self.embedded.context("not an embedded broker")?;
        broker.shutdown().await?;
        Ok(dir)
    }

    /// Ends the embedded broker without any goodbye and returns its folder.
    pub fn kill(self) -> Result<TempDir> {
        let (broker, dir) = self.embedded.context("not an embedded broker")?;
        drop(broker);
        Ok(dir)
    }

    /// Client settings: those every client has, then `settings`.
    fn client(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("topic.metadata.refresh.interval.ms", "500");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }

    /// A client for topics and configuration.
    pub fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client(&[]).create()?)
    }

    /// A producer.
    pub fn producer(&self, settings: &[(&str, &str)]) -> Result<FutureProducer> {
        let mut config = self.client(&[("linger.ms", "5"), ("message.timeout.ms", "20000")]);
        for (key, value) in settings {
            config.set(*key, *value);
        }
        Ok(config.create()?)
    }

    /// A consumer.
    pub fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> Result<StreamConsumer> {
        let mut config = self.client(&[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
            ("fetch.wait.max.ms", "100"),
        ]);
        for (key, value) in settings {
            config.set(*key, *value);
        }
        Ok(config.create()?)
    }

    /// Makes a topic of an unused name.
    pub async fn topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<String> {
        let topic = unique(name);
        ensure!(self.create(&topic, partitions, settings).await?.is_none(), "the new topic exists");
        Ok(topic)
    }

    /// Makes a topic; the answer is the broker's refusal, if any.
    pub async fn create(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<Option<RDKafkaErrorCode>> {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let results = self.admin()?.create_topics([&new], &AdminOptions::new()).await?;
        Ok(results.into_iter().find_map(|result| result.err().map(|(_, code)| code)))
    }

    /// The topic's id, and its number of partitions, as Metadata version 12 tells them; `None` when there is
    /// no such topic. librdkafka knows the id but does not hand it out.
    pub async fn topic_id(&self, topic: &str) -> Result<Option<(u128, usize)>> {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let asked = MetadataRequestTopic::default().with_name(Some(name));
        let request =
            MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
        let answer = wire::ask(&self.bootstrap, &request, 12).await?;
        let found = answer.topics.into_iter().find(|topic| topic.error_code == 0);
        Ok(found.map(|topic| (topic.topic_id.as_u128(), topic.partitions.len())))
    }
}

/// How the embedded broker is started.
pub fn embedded_config(dir: &Path) -> BrokerConfig {
    BrokerConfig::new(dir, now_ms)
}

/// A name that nothing had before.
pub fn unique(name: &str) -> String {
    format!("conformance.{name}.{:016x}", fastrand::u64(..))
}

/// One partition at an offset.
pub fn place(topic: &str, partition: i32, offset: Offset) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset)?;
    Ok(list)
}

/// Sends one message and waits until it is acknowledged.
pub async fn send(
    producer: &FutureProducer,
    topic: &str,
    partition: i32,
    timestamp_ms: Option<i64>,
    value: &[u8],
) -> Result<i64, RDKafkaErrorCode> {
    let mut record = FutureRecord::<(), [u8]>::to(topic).partition(partition).payload(value);
    record.timestamp = timestamp_ms;
    match producer.send(record, CALL).await {
        Ok(delivery) => Ok(delivery.offset),
        Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
    }
}

/// Reads this many messages.
pub async fn receive(consumer: &StreamConsumer, count: usize) -> Result<Vec<OwnedMessage>> {
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let read = messages.len();
        let received = timeout(CALL, consumer.recv()).await;
        let message = received.with_context(|| format!("{read} of {count} messages came"))??;
        messages.push(message.detach());
    }
    Ok(messages)
}
