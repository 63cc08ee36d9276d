//! The same events give the same tables, byte for byte, whichever broker they come over.

use std::path::Path;

use chrono::NaiveDate;
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock as _, SystemClock, Topic};
use rettidig_runtime::kafka::{KafkaConfig, create_topics};
use rettidig_simulator::{Simulation, SimulationOptions};

use super::support::{Cluster, digests, figure, limited, produce, worker};

/// Topic, key and payload.
pub type Event = (Topic, String, Vec<u8>);

/// A small country's events with everything that goes wrong in them, and official figures; in two halves.
pub fn events() -> [Vec<Event>; 2] {
    let options = SimulationOptions {
        persons: 300,
        months: 6,
        end: NaiveDate::from_ymd_opt(2026, 7, 31).expect("date"),
        runoff_days: 10,
        ..SimulationOptions::default()
    };
    let pseudonym = |cpr: &str| {
        let digits = cpr.bytes().filter(u8::is_ascii_digit);
        digits.fold(0_u128, |number, digit| number * 10 + u128::from(digit - b'0')).to_be_bytes()
    };
    let mut events: Vec<Event> = Vec::new();
    for file in Simulation::new(&options).flat_map(|day| day.files) {
        let mut add = |key: &str, event: &[u8]| events.push((file.topic(), key.to_owned(), event.to_vec()));
        file.for_each_event(&pseudonym, &mut add);
        let mut delivery = Vec::new();
        file.write_delivery(&mut delivery);
        events.push((Topic::Deliveries, file.source(), delivery.trim_ascii_end().to_vec()));
    }
    for (number, (code, _)) in (0..).zip(rettidig_event::municipality::MUNICIPALITIES) {
        events.push((Topic::Official, "y25i01".to_owned(), figure(code, 100 + number)));
    }
    let second = events.split_off(events.len() / 2);
    [events, second]
}

/// Two epochs; before the second everything of the first comes again, and the worker is a new one.
async fn run(folder: &Path, kafka: &KafkaConfig, [first, second]: &[Vec<Event>; 2]) -> u64 {
    create_topics(kafka).await.expect("topics");
    create_topics(kafka).await.expect("those that are there stay");
    produce(kafka, first).await;
    let report = worker(folder, kafka).await.expect("worker").catch_up().await.expect("catch up");
    let report = report.expect("an epoch");
    assert_eq!((report.events + report.duplicates, report.dead_letters), (first.len() as u64, 0));
    produce(kafka, first).await;
    produce(kafka, second).await;
    let report = worker(folder, kafka).await.expect("worker").catch_up().await.expect("catch up");
    report.expect("an epoch").epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_the_same_as_with_the_embedded_broker() {
    limited(async {
        let events = events();
        let (here, there) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let now = || SystemClock.now().timestamp_millis();
        let broker = Broker::start(BrokerConfig::new(here.path().join("broker"), now)).expect("broker");
        let embedded = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
        assert_eq!(run(here.path(), &embedded, &events).await, 2);
        broker.shutdown().await.expect("shutdown");

        let cluster = Cluster::fresh().await;
        assert_eq!(run(there.path(), &cluster.open(), &events).await, 2);
        let tables = digests(here.path());
        assert!(tables.contains_key("indicators.parquet") && tables.contains_key("local_indicators.parquet"));
        assert_eq!(digests(there.path()), tables);
    })
    .await;
}
