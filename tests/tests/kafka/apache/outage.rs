//! The broker goes away in the middle of a poll and comes back: no record is lost or doubled, and the cursor stood still.
//!
//! Goal: an outage of any length costs time and nothing else (`kafka/sink.rs` asserts the settings that outlast it).
//! Method: a source sends the first part of what it has; the broker is killed, or stopped, which leaves its connections
//! open; the source sends the rest, and the test looks at the gauge and at the cursor; then the broker goes on, at the
//! same ports and on the same folder.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use prometheus::IntGauge;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_connectors::driver::{CursorStore, RunLimits, poll_once, run};
use rettidig_connectors::http::tokio_pause;
use rettidig_event::{Clock, PollOutcome, Sink, Source, SourceError, SystemClock, Topic};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};
use rettidig_tests::apache::Apache;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::support::{CALL, LIMIT, limited, limited_to};

/// Records of one poll, and how many of them are sent before the outage begins.
const RECORDS: u64 = 3_000;
const BEFORE: u64 = 1_000;

/// Emits numbers, on from its cursor; in the middle of a poll it says so and waits.
struct Numbers {
    middle: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
}

#[async_trait]
impl Source for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    async fn poll(
        &mut self,
        cursor: &serde_json::Value,
        clock: &dyn Clock,
        sink: &mut dyn Sink,
    ) -> Result<PollOutcome, SourceError> {
        let first = cursor["next"].as_u64().unwrap_or(0);
        for number in first..first + RECORDS {
            if number == first + BEFORE
                && let Some((reached, go)) = self.middle.take()
            {
                let _ = reached.send(());
                let _ = go.await;
            }
            sink.send(Topic::Deliveries, "numbers", number.to_string().into_bytes()).await?;
        }
        let cursor = serde_json::json!({ "next": first + RECORDS });
        let next_poll = clock.now() + Duration::from_secs(3_600);
        Ok(PollOutcome { cursor, records: RECORDS, dead_letters: 0, next_poll, failures: Vec::new() })
    }
}

/// Every number on the topic, in order of arrival.
fn arrived(kafka: &KafkaConfig) -> Vec<u64> {
    let name = Topic::Deliveries.name();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", "test")
        .create()
        .expect("consumer");
    let (_, end) = consumer.fetch_watermarks(name, 0, CALL).expect("watermarks");
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(name, 0, Offset::Beginning).expect("a place");
    consumer.assign(&place).expect("assigned");
    let mut numbers = Vec::new();
    while i64::try_from(numbers.len()).expect("few") < end {
        let message = consumer.poll(CALL).expect("a message in time").expect("no error");
        let text = std::str::from_utf8(message.payload().expect("payload")).expect("text");
        numbers.push(text.parse().expect("a number"));
    }
    numbers
}

/// Waits until the gauge is at least this high.
async fn at_least(waiting: &IntGauge, count: u64) {
    let deadline = tokio::time::Instant::now() + CALL;
    while waiting.get() < i64::try_from(count).expect("few") {
        assert!(tokio::time::Instant::now() < deadline, "{} records wait, not {count}", waiting.get());
        tokio::task::yield_now().await;
    }
}

/// How long a broker stays away after everything waits for it: no longer in `make test`, minutes in `make faults`.
fn outage() -> Duration {
    let seconds = std::env::var("RETTIDIG_OUTAGE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(0, |text| text.parse().expect("RETTIDIG_OUTAGE_SECONDS: seconds")))
}

struct Bench {
    broker: Apache,
    kafka: KafkaConfig,
    cursors: CursorStore,
    waiting: IntGauge,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let broker = tokio::task::spawn_blocking(Apache::start).await.expect("started").expect("a broker");
        let kafka = KafkaConfig { brokers: broker.bootstrap(), ..KafkaConfig::default() };
        create_topics(&kafka).await.expect("topics");
        let folder = tempfile::tempdir().expect("folder");
        let cursors = CursorStore::new(folder.path().join("cursors"));
        let waiting = IntGauge::new("waiting", "records").expect("gauge");
        Self { broker, kafka, cursors, waiting, _folder: folder }
    }

    /// One poll with an outage in its middle: the broker goes, the rest is sent, the broker comes.
    async fn poll(&mut self, goes: impl Fn(&mut Apache), comes: impl Fn(&mut Apache)) {
        let cursor = self.cursors.load("numbers").expect("cursor");
        let ((reached, middle), (go, gone)) = (oneshot::channel(), oneshot::channel());
        let (kafka, cursors, waiting) = (self.kafka.clone(), self.cursors.clone(), self.waiting.clone());
        let polling = tokio::spawn(async move {
            let mut source = Numbers { middle: Some((reached, gone)) };
            let mut sink = KafkaSink::connect(&kafka).expect("sink").watched(waiting);
            poll_once(&mut source, &cursors, &SystemClock, &mut sink).await
        });
        middle.await.expect("the middle of the poll");
        goes(&mut self.broker);
        go.send(()).expect("the source waits");
        at_least(&self.waiting, RECORDS - BEFORE).await;
        assert!(!polling.is_finished(), "a poll ends when everything is acknowledged");
        tokio::time::sleep(outage()).await;
        assert!(!polling.is_finished(), "nothing is given up, however long it lasts");
        at_least(&self.waiting, RECORDS - BEFORE).await;
        assert_eq!(self.cursors.load("numbers").expect("cursor"), cursor, "the cursor stands still");
        comes(&mut self.broker);
        let outcome = polling.await.expect("no panic").expect("the poll ends well");
        assert_eq!(self.cursors.load("numbers").expect("cursor"), outcome.cursor);
        assert_eq!(self.waiting.get(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_or_stands_still_in_a_poll_costs_no_record_and_doubles_none() {
    limited_to(LIMIT + 2 * outage(), async {
        let mut bench = Bench::start().await;
        bench.poll(|broker| broker.kill(0), |broker| broker.run(0).expect("starts again")).await;
        let stop = |broker: &mut Apache| broker.pause(0).expect("stopped");
        bench.poll(stop, |broker| broker.resume(0).expect("goes on")).await;
        let arrived = arrived(&bench.kafka);
        let distinct: BTreeSet<u64> = arrived.iter().copied().collect();
        assert_eq!(arrived.len(), distinct.len(), "a record came twice");
        assert_eq!(distinct, (0..2 * RECORDS).collect());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_waits_for_the_broker_can_be_told_to_stop() {
    limited(async {
        let mut bench = Bench::start().await;
        bench.broker.kill(0);
        let stop = CancellationToken::new();
        let (kafka, cursors) = (bench.kafka.clone(), bench.cursors.clone());
        let (waiting, told) = (bench.waiting.clone(), stop.clone());
        let running = tokio::spawn(async move {
            let mut sink = KafkaSink::connect(&kafka).expect("sink").watched(waiting);
            let (mut source, limits) = (Numbers { middle: None }, RunLimits::default());
            let (pause, clock) = (tokio_pause(), SystemClock);
            run(&mut source, &cursors, &clock, &mut sink, limits, &pause, &told, &mut |_| {}).await
        });
        at_least(&bench.waiting, RECORDS).await;
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), running).await.expect("it ends soon");
        ended.expect("no panic").expect("no error");
        assert!(bench.cursors.load("numbers").expect("cursor").is_null(), "everything will be sent again");
        assert_eq!(bench.waiting.get(), 0, "nothing waits any more");
    })
    .await;
}
