//! A cluster of three loses the leader under load, then all of its brokers: nothing is lost, and the tables are those
//! of a quiet run.
//!
//! Goal: acks=all with two copies in sync holds what it says. Method: events are produced without a pause while the
//! node that leads a partition is killed and comes back, and then all three; a worker is connected all the time. At
//! the end the topics hold every event once, and the worker's epoch is, byte for byte, that of a worker on an embedded
//! broker that nothing happened to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock as _, Sink as _, SystemClock, Topic};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};
use rettidig_runtime::{EpochReport, RuntimeError, Worker};
use rettidig_tests::apache::{Apache, Settings};

use super::pipeline::{Event, events};
use super::support::{CALL, digests, limited, produce, worker};

/// Events between two flushes of the producer, so that it is still at work when the brokers go.
const AT_ONCE: usize = 20;

fn consumer(kafka: &KafkaConfig) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", "test")
        .create()
        .expect("consumer")
}

/// The node that leads the first partition of the payments, from 0.
fn leader(kafka: &KafkaConfig) -> usize {
    let metadata = consumer(kafka).fetch_metadata(Some(Topic::Payments.name()), CALL).expect("metadata");
    usize::try_from(metadata.topics()[0].partitions()[0].leader()).expect("a leader") - 1
}

/// Messages on all topics.
fn messages(kafka: &KafkaConfig) -> i64 {
    let consumer = consumer(kafka);
    let places =
        Topic::ALL.into_iter().flat_map(|topic| (0..topic.partitions()).map(move |at| (topic.name(), at)));
    places.map(|(topic, at)| consumer.fetch_watermarks(topic, at, CALL).expect("watermarks").1).sum()
}

/// Waits until this many events are acknowledged.
async fn until(acknowledged: &AtomicUsize, count: usize) {
    // Three brokers need these cores more than this loop does.
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
    while acknowledged.load(Ordering::Acquire) < count {
        assert!(tokio::time::Instant::now() < deadline, "not {count} events are acknowledged");
        tick.tick().await;
    }
}

/// As a running worker does: what may pass is tried again.
async fn catch_up(worker: &mut Worker) -> EpochReport {
    loop {
        match worker.catch_up().await {
            Ok(report) => return report.expect("an epoch"),
            Err(RuntimeError::Retry { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_change_and_all_brokers_down_under_load_change_no_table() {
    limited(async {
        let events: Vec<Event> = events().concat();
        let here = tempfile::tempdir().expect("folder");
        let now = || SystemClock.now().timestamp_millis();
        let broker = Broker::start(BrokerConfig::new(here.path().join("broker"), now)).expect("broker");
        let embedded = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
        create_topics(&embedded).await.expect("topics");
        produce(&embedded, &events).await;
        catch_up(&mut worker(here.path(), &embedded).await.expect("worker")).await;
        broker.shutdown().await.expect("shutdown");

        let start = || Apache::start_with(3, &Settings::default());
        let mut cluster = tokio::task::spawn_blocking(start).await.expect("started").expect("three brokers");
        let kafka = KafkaConfig { brokers: cluster.bootstrap(), ..KafkaConfig::default() };
        create_topics(&kafka).await.expect("topics");
        cluster.wait_until_ready().expect("leaders");
        let there = tempfile::tempdir().expect("folder");
        let mut worker = worker(there.path(), &kafka).await.expect("worker");

        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (to, count, sent) = (kafka.clone(), Arc::clone(&acknowledged), events.clone());
        // The second half is produced when the first fault is over, so that the load outlasts it.
        let (gate, mut open) = tokio::sync::watch::channel(events.len() / 2);
        let producing = tokio::spawn(async move {
            let mut sink = KafkaSink::connect(&to).expect("sink");
            for some in sent.chunks(AT_ONCE) {
                let done = count.load(Ordering::Acquire);
                open.wait_for(|open| done < *open).await.expect("the test goes on");
                for (topic, key, payload) in some {
                    sink.send(*topic, key, payload.clone()).await.expect("sent");
                }
                sink.flush().await.expect("acknowledged");
                count.fetch_add(some.len(), Ordering::Release);
            }
        });

        until(&acknowledged, events.len() / 8).await;
        assert!(acknowledged.load(Ordering::Acquire) < events.len() / 2, "the load is over before the fault");
        let leader = leader(&kafka);
        cluster.kill(leader);
        until(&acknowledged, events.len() / 2).await;
        cluster.run(leader).expect("starts again");
        cluster.wait_until_ready().expect("three brokers");

        gate.send_replace(events.len());
        until(&acknowledged, events.len() / 2 + 2 * AT_ONCE).await;
        (0..3).for_each(|node| cluster.kill(node));
        assert!(acknowledged.load(Ordering::Acquire) < events.len(), "the load is over before the fault");
        (0..3).for_each(|node| cluster.run(node).expect("starts again"));
        cluster.wait_until_ready().expect("three brokers");
        producing.await.expect("everything is acknowledged");
        assert_eq!(messages(&kafka), i64::try_from(events.len()).expect("few"), "every event once");

        let report = catch_up(&mut worker).await;
        assert_eq!((report.epoch, report.dead_letters), (1, 0));
        assert_eq!(digests(there.path()), digests(here.path()));
    })
    .await;
}
