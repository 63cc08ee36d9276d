//! `rettidig dead-letters` through the binary, on the embedded broker of a data folder.
//!
//! Goal: an operator sees what was put aside and sends it back, whether the process that owns the broker runs or not, and
//! no number of a person is ever printed. Method: letters as ingest and connectors write them are put on the topic by hand;
//! the broker is this test's while it "runs" and the command's while it does not.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock as _, DeadLetter, Origin, Reason, SystemClock, Topic};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};

const PERSON: &str = "00ff00ff00ff00ff00ff00ff00ff00ff";

fn rettidig(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rettidig"));
    command.env_remove("RETTIDIG_PSEUDONYM_KEY").env("RETTIDIG_LOG", "warn").args(arguments);
    command.output().expect("the binary runs")
}

/// Runs `dead-letters` on a data folder; what it prints never holds the number of [`letters`].
fn on(data: &Path, arguments: &[&str]) -> String {
    let data = data.to_str().expect("path");
    let output = rettidig(&[&["dead-letters"], arguments, &["--data", data]].concat());
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {stdout}{stderr}");
    for number in ["610170-1234", "6101701234"] {
        assert!(!stdout.contains(number) && !stderr.contains(number), "{arguments:?}: {stdout}{stderr}");
    }
    stdout.into_owned()
}

fn start(data: &Path) -> (Broker, KafkaConfig) {
    let now = || SystemClock.now().timestamp_millis();
    let broker = Broker::start(BrokerConfig::new(data.join("broker"), now)).expect("broker");
    let brokers = broker.address().to_string();
    (broker, KafkaConfig { brokers, ..KafkaConfig::default() })
}

fn message(topic: Topic, partition: i32) -> Origin {
    Origin::Message { topic: topic.name().to_owned(), partition, offset: 3 }
}

fn letters() -> Vec<DeadLetter> {
    let at = |text: &str| -> DateTime<Utc> { text.parse().expect("instant") };
    let payment = format!(r#"{{"source":"yr-101","person":"{PERSON}","benefit":"new"}}"#);
    let (early, late) = (at("2026-08-19T07:00:00Z"), at("2026-08-20T07:00:00Z"));
    let invalid = Reason::InvalidValue;
    let file = Origin::File { file: "yr-101.csv".to_owned(), line: Some(7) };
    vec![
        DeadLetter::new(
            message(Topic::Payments, 9),
            payment.as_bytes(),
            "ingest",
            invalid,
            "benefit: new",
            early,
        ),
        DeadLetter::new(
            message(Topic::Payments, 9),
            payment.as_bytes(),
            "ingest",
            invalid,
            "benefit: new",
            late,
        ),
        DeadLetter::new(
            message(Topic::Cases, 6),
            b"{\"source\":\"amanda-851\",\"person\":\"610170-1234\xf8\"}",
            "ingest",
            Reason::WrongEncoding,
            "person: got 6101701234\u{1b}[2J",
            late,
        ),
        DeadLetter::new(file, b"2026-07-06;**********;new", "yr", invalid, "Ydelse: new", late),
        DeadLetter::new(
            message(Topic::Income, 0),
            b"{\"source\":\"income-101\"}",
            "ingest",
            Reason::ConflictingRevision,
            "the first one stays",
            late,
        ),
    ]
}

/// Partition, key and payload of every message on a topic.
fn messages(kafka: &KafkaConfig, topic: Topic) -> Vec<(i32, Option<Vec<u8>>, Vec<u8>)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .create()
        .expect("consumer");
    let wait = Duration::from_secs(20);
    let (mut assignment, mut expected) = (TopicPartitionList::new(), 0);
    for partition in 0..topic.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic.name(), partition, wait).expect("watermarks");
        expected += high - low;
        assignment.add_partition_offset(topic.name(), partition, Offset::Beginning).expect("partition");
    }
    consumer.assign(&assignment).expect("assign");
    let mut found = Vec::new();
    for _ in 0..expected {
        let message = consumer.poll(wait).expect("a message in time").expect("a message");
        let payload = message.payload().unwrap_or_default().to_vec();
        found.push((message.partition(), message.key().map(<[u8]>::to_vec), payload));
    }
    found
}

#[test]
fn letters_are_listed_shown_and_sent_again_whether_the_process_runs_or_not() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path();
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let broker = runtime.block_on(async {
        let (broker, kafka) = start(data);
        create_topics(&kafka).await.expect("topics");
        KafkaSink::connect(&kafka).expect("sink").bury(&letters()).await.expect("buried");
        broker
    });

    // The process runs: its broker is reached.
    let list = on(data, &["list"]);
    assert!(!list.contains('\u{1b}') && list.contains("\\u{1b}"), "{list}");
    for text in ["| 0/0 ", "| 0/4 ", "yr-101.csv line 7", "rettidig.payments 9/3", "amanda-851", "| open"] {
        assert!(list.contains(text), "{text}: {list}");
    }
    let totals = list.split("| letters |").nth(1).expect("totals");
    let total = |reason: &str, source: &str, count: &str| {
        let mut rows = totals.lines().map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        rows.any(|row| row.len() == 5 && row[1..4] == [reason, source, count])
    };
    assert!(total("invalid_value", "yr-101", "2") && total("invalid_value", "yr", "1"), "{list}");
    let selected =
        on(data, &["list", "--reason", "invalid_value", "--since", "2026-08-20T00:00:00Z", "--json"]);
    let places: Vec<String> = selected
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object")["place"].to_string())
        .collect();
    assert_eq!(places, ["\"0/1\"", "\"0/3\""], "{selected}");
    runtime.block_on(broker.shutdown()).expect("shutdown");

    // It does not run: the command starts the broker for itself.
    let shown = on(data, &["show", "0/0"]);
    assert!(
        shown.contains(&format!(r#"{{"source":"yr-101","person":"{PERSON}","benefit":"new"}}"#)),
        "{shown}"
    );
    assert!(shown.contains(&format!("goes to rettidig.payments with key {PERSON}")), "{shown}");
    let shown = on(data, &["show", "0/2"]);
    assert!(
        shown.contains("what looks like a CPR number masked") && shown.contains("00000000  7b"),
        "{shown}"
    );
    assert!(on(data, &["show", "0/3"]).contains("no: a record of its source"), "what to do instead");

    let dry = on(data, &["replay", "--dry-run"]);
    assert!(
        dry.contains("would send 1 to rettidig.payments") && dry.contains("would send 1 to rettidig.cases"),
        "{dry}"
    );
    let replayed = on(data, &["replay"]);
    assert_eq!(replayed.replace("sent 1 to", "would send 1 to"), dry);
    assert!(
        replayed.contains("1 with the same bytes") && replayed.contains("1 of conflicting_revision left"),
        "{replayed}"
    );
    let again = on(data, &["replay"]);
    assert!(again.starts_with("nothing to send\n3 sent before"), "{again}");
    let once_more = on(data, &["replay", "--again", "--source", "amanda-851"]);
    assert!(once_more.starts_with("sent 1 to rettidig.cases"), "{once_more}");
    let list = on(data, &["list"]);
    assert_eq!((list.matches("| sent again").count(), list.matches("| open").count()), (3, 2), "{list}");

    let (broker, kafka) = runtime.block_on(async { start(data) });
    let bytes = |place: usize| letters()[place].original_bytes().expect("bytes");
    let payments = messages(&kafka, Topic::Payments);
    assert_eq!(payments.len(), 1, "equal bytes are sent once");
    assert_eq!((payments[0].1.as_deref(), &payments[0].2), (Some(PERSON.as_bytes()), &bytes(0)));
    let cases = messages(&kafka, Topic::Cases);
    assert_eq!(cases, vec![(6, None, bytes(2)); 2], "without a key it goes back to its partition");
    runtime.block_on(broker.shutdown()).expect("shutdown");
}

#[test]
fn what_cannot_be_reached_says_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let nothing = folder.path().join("nothing");
    let failed = |arguments: &[&str]| {
        let output = rettidig(&[&["dead-letters"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = failed(&["list", "--data", nothing.to_str().expect("path")]);
    assert!(error.contains("holds no broker") && error.contains("--brokers"), "{error}");
    let error = failed(&["list", "--reason", "no_reason"]);
    assert!(error.contains("conflicting_revision"), "the reasons are named: {error}");
    assert!(failed(&["show", "first"]).contains("such as 0/17"));

    // Sources of persons are configured, but this command needs neither their key nor their files.
    let config = folder.path().join("rettidig.yaml");
    let text =
        format!("data: {}\nfeeds:\n  yr:\n    place: /nowhere\n    enabled: true\n", nothing.display());
    std::fs::write(&config, text).expect("configuration");
    let error = failed(&["list", "--config", config.to_str().expect("path")]);
    assert!(error.contains("holds no broker") && !error.contains("key"), "{error}");

    let data = folder.path().join("data");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let broker = runtime.block_on(async {
        let (broker, kafka) = start(&data);
        create_topics(&kafka).await.expect("topics");
        broker
    });
    let data = data.to_str().expect("path");
    assert!(failed(&["show", "0/0", "--data", data]).contains("no letter lies at 0/0"));
    assert_eq!(on(Path::new(data), &["list"]).trim(), "no letters");
    runtime.block_on(broker.shutdown()).expect("shutdown");
}
