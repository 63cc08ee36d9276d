//! The parts together, in one process: broker, worker, HTTP server.
//!
//! Garbage on the topics ends in the dead letter with its bytes while the rest goes on; an event produced by hand
//! shows in table and gauge; the HTTP server gives whole files, ranges and validators; a topic that is not the
//! one read before is refused.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock, DeadLetter, ManualClock, Reason, Sink, SystemClock, Topic};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, RuntimeError, Store, Worker};
use rettidig_serve::access::{Access, Reader};
use rettidig_serve::catalogue::Publisher;
use rettidig_serve::{Door, Ready, Server, Shown};

const LIMIT: Duration = Duration::from_secs(120);

fn broker(folder: &Path) -> (Broker, KafkaConfig) {
    let now = || SystemClock.now().timestamp_millis();
    let broker = Broker::start(BrokerConfig::new(folder.join("broker"), now)).expect("broker");
    let brokers = broker.address().to_string();
    (broker, KafkaConfig { brokers, ..KafkaConfig::default() })
}

async fn worker(folder: &Path, kafka: &KafkaConfig) -> Result<(Worker, Arc<Metrics>), RuntimeError> {
    let store = Store::local(folder)?;
    let model = rettidig_tests::model();
    let now: DateTime<Utc> = "2026-08-22T10:00:00Z".parse().expect("instant");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let engine = Engine::open(store, model, Arc::new(ManualClock::new(now)), Arc::clone(&metrics)).await?;
    Ok((Worker::connect(engine, kafka).await?, metrics))
}

fn event(area: i32, value: &str, day: u32) -> Vec<u8> {
    format!(
        r#"{{"publisher":"jobindsats","table":"y25i01","measure":"full_time_unemployed","area":{area},"period":"2026M07","breakdown":{{}},"value":"{value}","status":"final","published_at":"2026-08-{day:02}T06:00:00Z","retrieved_at":"2026-08-{day:02}T07:00:00Z"}}"#
    )
    .into_bytes()
}

async fn produce(kafka: &KafkaConfig, payloads: &[Vec<u8>]) {
    let mut sink = KafkaSink::connect(kafka).expect("sink");
    for payload in payloads {
        sink.send(Topic::Official, "y25i01", payload.clone()).await.expect("send");
    }
    sink.flush().await.expect("acknowledged");
}

/// Every dead letter on the topic.
fn dead_letters(kafka: &KafkaConfig) -> Vec<DeadLetter> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", "test")
        .set("receive.message.max.bytes", "100000000")
        .create()
        .expect("consumer");
    let name = Topic::DeadLetter.name();
    let (_, end) = consumer.fetch_watermarks(name, 0, Duration::from_secs(10)).expect("watermarks");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(name, 0, Offset::Beginning).expect("assignment");
    consumer.assign(&assignment).expect("assign");
    let mut letters = Vec::new();
    while (letters.len() as i64) < end {
        let message = consumer.poll(Duration::from_secs(20)).expect("a message in time").expect("no error");
        letters.push(serde_json::from_slice(message.payload().expect("payload")).expect("a dead letter"));
    }
    letters
}

async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let client = reqwest::Client::new();
    let request =
        headers.iter().fold(client.get(format!("http://{address}{path}")), |r, (k, v)| r.header(*k, *v));
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_goes_to_the_dead_letter_with_its_bytes_and_the_epoch_goes_on() {
    let test = async {
        let folder = tempfile::tempdir().expect("folder");
        let (broker, kafka) = broker(folder.path());
        create_topics(&kafka).await.expect("topics");
        let good = event(851, "4876", 19);
        let mut wrong_type = String::from_utf8(good.clone()).expect("text");
        wrong_type = wrong_type.replace("\"area\":851", "\"area\":\"Aalborg\"");
        let garbage: Vec<(Vec<u8>, Reason)> = vec![
            (good[..50].to_vec(), Reason::MalformedJson),
            (wrong_type.into_bytes(), Reason::InvalidField),
            (vec![b'x'; 10 << 20], Reason::TooLarge),
            (b"<html><body>Log in</body></html>".to_vec(), Reason::MalformedJson),
            (Vec::new(), Reason::Empty),
            (b"{\"publisher\":\"jobindsats\",\"table\":\"K\xf8benhavn\"}".to_vec(), Reason::WrongEncoding),
        ];
        let mut payloads: Vec<Vec<u8>> = garbage.iter().map(|(payload, _)| payload.clone()).collect();
        payloads.insert(3, good);
        produce(&kafka, &payloads).await;
        let (mut worker, _) = worker(folder.path(), &kafka).await.expect("worker");
        let report = worker.catch_up().await.expect("catch up").expect("an epoch");
        assert_eq!((report.events, report.dead_letters), (1, garbage.len() as u64));
        let letters = dead_letters(&kafka);
        let got: Vec<(Vec<u8>, Reason)> =
            letters.iter().map(|l| (l.original_bytes().expect("bytes"), l.reason)).collect();
        assert!(
            got == garbage,
            "reasons: {:?}",
            letters.iter().map(|l| (l.reason, &l.message)).collect::<Vec<_>>()
        );
        drop(worker);
        broker.shutdown().await.expect("shutdown");
    };
    tokio::time::timeout(LIMIT, test).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_produced_by_hand_shows_in_table_gauge_and_over_http() {
    let test = async {
        let folder = tempfile::tempdir().expect("folder");
        let (broker, kafka) = broker(folder.path());
        create_topics(&kafka).await.expect("topics");
        let (mut worker, metrics) = worker(folder.path(), &kafka).await.expect("worker");
        let shown = Shown {
            snapshots: worker.engine().snapshots(),
            metrics,
            clock: Arc::new(SystemClock),
            folder: folder.path().to_owned(),
            ready: Ready::Shows(Arc::new(AtomicBool::new(true))),
            model: rettidig_tests::model(),
            access: Access::all(Reader::Public),
            publisher: Publisher::default(),
        };
        let server = Server::start(Door::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), shown)
            .await
            .expect("server");
        let address = server.address();
        assert_eq!(get(address, "/healthz", &[]).await.status(), 200);
        assert_eq!(get(address, "/readyz", &[]).await.status(), 503, "no epoch yet");

        produce(&kafka, &[event(851, "4876", 19), event(151, "3", 19)]).await;
        worker.catch_up().await.expect("catch up").expect("an epoch");
        assert_eq!(get(address, "/readyz", &[]).await.status(), 200);
        let text = get(address, "/metrics", &[]).await.text().await.expect("text");
        let series = |area: &str| {
            format!(
                "rettidig_indicator_value{{area=\"{area}\",area_kind=\"municipality\",benefit=\"total\",indicator=\"full_time_unemployed\"}}"
            )
        };
        assert!(text.contains(&format!("{} 4876", series("0851"))), "{text}");
        assert!(!text.contains(&series("0151")), "3 persons are hidden, so there is no series");

        let whole = get(address, "/tables/indicators.parquet", &[]).await;
        let etag = whole.headers()["etag"].to_str().expect("etag").to_owned();
        let bytes = whole.bytes().await.expect("bytes");
        assert_eq!(
            bytes,
            std::fs::read(folder.path().join("tables/latest/indicators.parquet")).expect("file")
        );
        let part =
            get(address, "/tables/indicators.parquet", &[("range", "bytes=0-3"), ("if-range", &etag)]).await;
        assert_eq!(part.status(), 206);
        assert_eq!(part.bytes().await.expect("bytes").as_ref(), b"PAR1");
        let same = get(address, "/tables/indicators.parquet", &[("if-none-match", &etag)]).await;
        assert_eq!(same.status(), 304);

        produce(&kafka, &[event(851, "4900", 20)]).await;
        worker.catch_up().await.expect("catch up").expect("an epoch");
        let text = get(address, "/metrics", &[]).await.text().await.expect("text");
        assert!(text.contains(&format!("{} 4900", series("0851"))), "{text}");
        let torn =
            get(address, "/tables/indicators.parquet", &[("range", "bytes=0-3"), ("if-range", &etag)]).await;
        assert_eq!(torn.status(), 200, "a range of another epoch's file would tear the answer");
        let head =
            reqwest::Client::new().head(format!("http://{address}/tables/targets.parquet")).send().await;
        let head = head.expect("an answer");
        assert_eq!(head.status(), 200);
        assert!(head.headers().contains_key("etag") && head.headers().contains_key("content-length"));
        let unknown = get(address, "/tables/nothing.parquet", &[]).await;
        assert_eq!(unknown.status(), 404);
        assert!(unknown.text().await.expect("text").contains("indicators.parquet"));

        server.stop().await.expect("stop");
        drop(worker);
        broker.shutdown().await.expect("shutdown");
    };
    tokio::time::timeout(LIMIT, test).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_or_another_cluster_is_refused() {
    let test = async {
        let folder = tempfile::tempdir().expect("folder");
        let (old, kafka) = broker(folder.path());
        create_topics(&kafka).await.expect("topics");
        produce(&kafka, &[event(851, "4876", 19), event(151, "300", 19)]).await;
        let (mut first, _) = worker(folder.path(), &kafka).await.expect("worker");
        first.catch_up().await.expect("catch up").expect("an epoch");
        drop(first);

        let admin: rdkafka::admin::AdminClient<_> =
            ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().expect("admin");
        let options = rdkafka::admin::AdminOptions::new();
        let gone = admin.delete_topics(&[Topic::Official.name()], &options).await.expect("deleted");
        assert!(gone.iter().all(Result::is_ok));
        create_topics(&kafka).await.expect("topics");
        let refused = |error: Option<RuntimeError>| error.expect("refused").to_string();
        let error = refused(worker(folder.path(), &kafka).await.err());
        assert!(error.contains("rettidig.official") && error.contains("made again"), "shorter: {error}");
        produce(&kafka, &[event(851, "1", 19), event(151, "2", 19), event(161, "300", 19)]).await;
        let error = refused(worker(folder.path(), &kafka).await.err());
        assert!(error.contains("is not the one that was read"), "as long as before: {error}");
        old.shutdown().await.expect("shutdown");

        let elsewhere = tempfile::tempdir().expect("folder");
        let (other, kafka) = broker(elsewhere.path());
        create_topics(&kafka).await.expect("topics");
        let error = refused(worker(folder.path(), &kafka).await.err());
        assert!(error.contains("this is cluster"), "{error}");
        other.shutdown().await.expect("shutdown");
    };
    tokio::time::timeout(LIMIT, test).await.expect("in time");
}
