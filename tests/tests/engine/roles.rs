//! Several workers and a committer: whoever comes, goes, or is given other partitions, the cells are those of one
//! evaluation of everything.
//!
//! Goal: nothing lost and nothing twice, whatever happens to the processes. Method: random histories are produced in
//! random pieces, some to the wrong partition and some twice; between them workers are started and given up in the middle
//! of what they do, committers too, the day changes and wages are delivered. At the end the cells are compared with an
//! implementation of their own kind (`tests/oracle`) and with a recomputation from the log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::{DateTime, Days, NaiveDate, Utc};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock, DeliveryEvent, ManualClock, Sink, SystemClock, Topic};
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics_of_roles};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::roles::proposal::{Note, PROPOSALS};
use rettidig_runtime::roles::{Setting, run_committer, run_worker};
use rettidig_runtime::{Manifest, Snapshot, Store};
use rettidig_tests::apache::{Apache, Settings};
use rettidig_tests::cells::{by_oracle, comparable, differences, of_epoch};
use rettidig_tests::events::{ends, event, key};
use rettidig_tests::{SMALL, seeds};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for all to be committed.
const LIMIT: Duration = Duration::from_secs(120);

/// Processes on one folder and one cluster, as tasks.
struct Fleet {
    setting: Setting,
    clock: Arc<ManualClock>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    workers: Vec<JoinHandle<()>>,
    committers: Vec<JoinHandle<()>>,
    started: usize,
}

fn instant(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(10, 0, 0).expect("time").and_utc()
}

impl Fleet {
    async fn new(folder: &Path, kafka: KafkaConfig, today: NaiveDate) -> Self {
        create_topics_of_roles(&kafka).await.expect("topics");
        let clock = Arc::new(ManualClock::new(instant(today)));
        let setting = Setting {
            store: Store::local(folder).expect("store"),
            model: rettidig_tests::model(),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new().expect("metrics")),
            limits: SMALL,
            kafka,
            instance: None,
            joined: Arc::default(),
        };
        let snapshots = watch::Sender::new(None);
        Self { setting, clock, snapshots, workers: Vec::new(), committers: Vec::new(), started: 0 }
    }

    /// The setting of one more process: its files of the moment are its own.
    fn next(&mut self) -> Setting {
        self.started += 1;
        let instance = Some(format!("process-{}", self.started));
        Setting { instance, joined: Arc::default(), ..self.setting.clone() }
    }

    fn start_worker(&mut self) {
        let setting = self.next();
        self.workers.push(tokio::spawn(async move {
            let ended = run_worker(&setting, &CancellationToken::new(), &mut |_| {}).await;
            ended.expect("a worker goes on for ever");
        }));
    }

    /// Starts one more; what is given is set once it has its place in the group.
    fn start_committer(&mut self) -> Arc<AtomicBool> {
        let (setting, snapshots) = (self.next(), self.snapshots.clone());
        let joined = Arc::clone(&setting.joined);
        self.committers.push(tokio::spawn(async move {
            let ended = run_committer(&setting, &snapshots, &CancellationToken::new(), &mut |_| {}).await;
            ended.expect("a committer goes on for ever");
        }));
        joined
    }

    /// Gives a process up wherever it is.
    async fn end(process: JoinHandle<()>) {
        process.abort();
        if let Err(error) = process.await {
            assert!(error.is_cancelled(), "a process ended by itself: {error}");
        }
    }

    /// Waits until somebody has committed.
    async fn one_more_epoch(&self) {
        let waited = tokio::time::timeout(LIMIT, self.snapshots.subscribe().changed()).await;
        waited.expect("an epoch in time").expect("somebody commits");
    }

    /// Waits until an epoch stands at the ends of the topics and fits the clock.
    async fn settled(&self, ends: &BTreeMap<(Topic, i32), i64>) -> Manifest {
        let mut snapshots = self.snapshots.subscribe();
        let today = self.clock.today();
        let is_there = |snapshot: &Option<Arc<Snapshot>>| {
            let Some(snapshot) = snapshot else { return false };
            let positions = &snapshot.manifest.positions;
            let next =
                |topic: Topic, partition: &i32| Some(positions.get(topic.name())?.get(partition)?.next);
            let read =
                ends.iter().all(|((topic, partition), end)| next(*topic, partition).unwrap_or(0) >= *end);
            read && snapshot.manifest.as_of == today
        };
        let waited = tokio::time::timeout(LIMIT, snapshots.wait_for(is_there)).await;
        let snapshot = waited.expect("everything is committed in time").expect("somebody commits").clone();
        snapshot.expect("an epoch").manifest.clone()
    }
}

/// What producers do: most events stand where they belong, some where the key's hash says, some twice.
struct Producers {
    sink: KafkaSink,
    careless: FutureProducer,
    random: fastrand::Rng,
}

impl Producers {
    fn new(kafka: &KafkaConfig, seed: u64) -> Self {
        let careless =
            ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().expect("producer");
        let sink = KafkaSink::connect(kafka).expect("sink");
        Self { sink, careless, random: fastrand::Rng::with_seed(seed) }
    }

    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) {
        for _ in 0..=u32::from(self.random.u32(..20) == 0) {
            if self.random.u32(..10) == 0 {
                let record = FutureRecord::to(topic.name()).key(key).payload(&payload);
                let sent = self.careless.send(record, LIMIT).await;
                sent.map_err(|(error, _)| error).expect("acknowledged");
            } else {
                self.sink.send(topic, key, payload.clone()).await.expect("sent");
            }
        }
    }
}

fn wages_delivered(municipality: i32, month: i32) -> Vec<u8> {
    let event = DeliveryEvent {
        source: format!("income-{municipality:03}").into(),
        municipality,
        period: format!("2026M{month:02}").into(),
        records: 1,
        control_sum: None,
        delivered_at: "2026-08-10T06:00:00Z".into(),
    };
    event.to_json()
}

/// Settings with which a broker soon misses who dies.
fn impatient() -> KafkaConfig {
    let settings = [("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "300")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    KafkaConfig { settings, ..KafkaConfig::default() }
}

/// An embedded broker.
fn cluster(folder: &Path) -> (Broker, KafkaConfig) {
    let now = || SystemClock.now().timestamp_millis();
    let broker = Broker::start(BrokerConfig::new(folder.join("broker"), now)).expect("broker");
    let brokers = broker.address().to_string();
    (broker, KafkaConfig { brokers, ..impatient() })
}

/// Writes every proposal of the past once more, as somebody would who has slept through what came after.
async fn propose_all_again(kafka: &KafkaConfig) -> usize {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &kafka.brokers).set("group.id", "sleeper");
    let consumer: BaseConsumer = client.create().expect("consumer");
    let producer: FutureProducer = client.create().expect("producer");
    let (start, end) = consumer.fetch_watermarks(PROPOSALS, 0, LIMIT).expect("watermarks");
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(PROPOSALS, 0, Offset::Offset(start)).expect("a place");
    consumer.assign(&place).expect("assigned");
    let mut count = 0;
    loop {
        let message = consumer.poll(LIMIT).expect("a message").expect("a message").detach();
        let payload = message.payload().expect("a payload");
        if matches!(serde_json::from_slice(payload).expect("a note"), Note::Proposal(_)) {
            let record = FutureRecord::<str, [u8]>::to(PROPOSALS).partition(0).payload(payload);
            producer.send(record, LIMIT).await.map_err(|(error, _)| error).expect("acknowledged");
            count += 1;
        }
        if message.offset() + 1 >= end {
            return count;
        }
    }
}

/// One history, and what happens to the processes meanwhile.
async fn run(seed: u64, persons: usize) {
    let folder = tempfile::tempdir().expect("folder");
    let (broker, kafka) = cluster(folder.path());
    let mut today: NaiveDate = "2026-02-20".parse().expect("date");
    let mut fleet = Fleet::new(&folder.path().join("data"), kafka.clone(), today).await;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut producers = Producers::new(&kafka, seed);
    let rows = shuffled(&random_rows(seed, persons, &Options::default()), seed);
    let mut delivered: BTreeMap<i32, i32> = BTreeMap::new();
    fleet.start_committer();
    fleet.start_worker();
    let (pieces, mut proposed_again) = (12, 0);
    for piece in 0..pieces {
        for row in piece * rows.num_rows() / pieces..(piece + 1) * rows.num_rows() / pieces {
            let (topic, payload) = event(&rows, row);
            producers.send(topic, &key(&rows, row), payload).await;
        }
        producers.sink.flush().await.expect("acknowledged");
        if piece % 3 == 1 {
            fleet.one_more_epoch().await;
        }
        match piece {
            1 | 2 => fleet.start_worker(),
            3 => drop(fleet.start_committer()),
            // In the middle of what they do.
            5 => Fleet::end(fleet.workers.remove(0)).await,
            // Somebody has slept through what came after.
            4 | 10 => proposed_again += propose_all_again(&kafka).await,
            6 => Fleet::end(fleet.committers.remove(0)).await,
            8 => {
                fleet.start_worker();
                Fleet::end(fleet.workers.remove(0)).await;
            }
            _ => {}
        }
        if random.u32(..3) == 0 {
            let (code, month) = (random.choice([0, 101, 751]).expect("code"), random.i32(1..=8));
            producers.send(Topic::Deliveries, "income", wages_delivered(code, month)).await;
            let known = delivered.entry(code).or_insert(i32::MIN);
            *known = (*known).max(56 * 12 + month - 1);
        }
        if random.u32(..3) == 0 {
            today = today + Days::new(random.u64(1..25));
            fleet.clock.set(instant(today));
        }
    }
    let metrics = Arc::clone(&fleet.setting.metrics);
    let what = format!("seed {seed}");
    let manifest = finish(fleet, &kafka, producers, &rows, (&delivered, today), &what).await;
    assert!(manifest.term >= 2, "{what}: a standby has taken over");
    let told = metrics.exposition(None, instant(today)).expect("metrics");
    assert!(told.lines().any(|line| line == "rettidig_audit_mismatch_cells 0"), "{what}: audited\n{told}");
    // What waits of all topics is told by whoever commits, those of persons too; how fresh they were by the workers.
    for topic in Topic::ALL.iter().filter(|topic| **topic != Topic::DeadLetter) {
        let name = topic.name();
        let lag = format!("rettidig_consumer_lag_messages{{topic=\"{name}\"}} ");
        assert!(told.lines().any(|line| line.starts_with(&lag)), "{what}: {name} is told\n{told}");
    }
    let refused = metrics.proposals_refused_total.get();
    assert!(proposed_again > 0 && refused > 0, "{what}: {proposed_again} old proposals, {refused} refused");
    broker.shutdown().await.expect("broker");
}

/// Waits until all is committed, and compares.
async fn finish(
    mut fleet: Fleet,
    kafka: &KafkaConfig,
    mut producers: Producers,
    rows: &RecordBatch,
    (delivered, today): (&BTreeMap<i32, i32>, NaiveDate),
    what: &str,
) -> Manifest {
    producers.sink.flush().await.expect("acknowledged");
    // Messages that were sent on are read again elsewhere, so the ends move until nothing is sent on any more.
    let mut known = BTreeMap::new();
    let manifest = loop {
        let now = ends(kafka);
        let manifest = fleet.settled(&now).await;
        if now == known {
            break manifest;
        }
        known = now;
    };
    let changed: BTreeSet<i32> = manifest.persons.changed.partitions.keys().copied().collect();
    assert_eq!(changed.len(), 16, "{what}: every partition was evaluated by a worker");
    let incremental = of_epoch(&fleet.setting.store, &fleet.setting.model, &manifest).await;
    let found = differences(&comparable(incremental), &by_oracle(rows, delivered, today));
    let first = found[..found.len().min(20)].join("\n");
    assert!(found.is_empty(), "{what}: {} differ\n{first}", found.len());
    for process in fleet.workers.drain(..).chain(fleet.committers.drain(..)) {
        Fleet::end(process).await;
    }
    let comparison = recompute(&fleet.setting.store, &fleet.setting.model).await.expect("recomputed");
    assert_eq!(comparison.mismatches, 0, "{what}: {:?}", comparison.by_table);
    manifest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_and_committers_come_and_go_and_the_cells_are_those_of_one_evaluation() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().init();
    for seed in seeds(2) {
        run(seed, 30).await;
    }
}

/// Goal: partitions that pass on all the time cost time, and nothing else. Method: every second a worker comes or goes,
/// first up to three, then down to two.
async fn rebalance_every_second(kafka: KafkaConfig, what: &str) {
    let seconds = if std::env::var_os("RETTIDIG_SEEDS").is_some() { 120 } else { 8 };
    let folder = tempfile::tempdir().expect("folder");
    let today: NaiveDate = "2026-02-20".parse().expect("date");
    let mut fleet = Fleet::new(&folder.path().join("data"), kafka.clone(), today).await;
    let rows = shuffled(&random_rows(7, 40, &Options::default()), 7);
    let mut producers = Producers::new(&kafka, 7);
    fleet.start_committer();
    fleet.start_worker();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for piece in 0..seconds {
        second.tick().await;
        for row in piece * rows.num_rows() / seconds..(piece + 1) * rows.num_rows() / seconds {
            let (topic, payload) = event(&rows, row);
            producers.send(topic, &key(&rows, row), payload).await;
        }
        let fewest = if piece < seconds / 2 { 3 } else { 2 };
        match fleet.workers.len() < fewest {
            true => fleet.start_worker(),
            false => Fleet::end(fleet.workers.remove(0)).await,
        }
    }
    finish(fleet, &kafka, producers, &rows, (&BTreeMap::new(), today), what).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_rebalance_every_second_nothing_is_lost_and_nothing_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let (broker, kafka) = cluster(folder.path());
    rebalance_every_second(kafka, "a rebalance every second").await;
    broker.shutdown().await.expect("broker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_rebalance_every_second_of_apache_kafka_nothing_is_lost_and_nothing_twice() {
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "1000".to_owned())];
    let broker =
        Apache::start_with(1, &Settings { properties, ..Settings::default() }).expect("Apache Kafka");
    rebalance_every_second(KafkaConfig { brokers: broker.bootstrap(), ..impatient() }, "on Apache Kafka")
        .await;
}

/// Goal: a committer that waits is ready, as the elected one is, so that they can be replaced one by one. Method: two of them; each is told
/// once that it has its place in the group, and one of them only has something to commit.
async fn who_waits_has_its_place(kafka: KafkaConfig, what: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let today: NaiveDate = "2026-02-20".parse().expect("date");
    let mut fleet = Fleet::new(&folder.path().join("data"), kafka, today).await;
    let joined = [fleet.start_committer(), fleet.start_committer()];
    let both = async {
        while !joined.iter().all(|joined| joined.load(Ordering::Acquire)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, both)
        .await
        .unwrap_or_else(|_| panic!("{what}: {joined:?} have their places"));
    assert!(fleet.committers.iter().all(|committer| !committer.is_finished()), "{what}: both go on");
    for committer in fleet.committers.drain(..) {
        Fleet::end(committer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committer_that_waits_has_its_place_in_the_group() {
    let folder = tempfile::tempdir().expect("folder");
    let (broker, kafka) = cluster(folder.path());
    who_waits_has_its_place(kafka, "embedded broker").await;
    broker.shutdown().await.expect("broker");
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "1000".to_owned())];
    let apache =
        Apache::start_with(1, &Settings { properties, ..Settings::default() }).expect("Apache Kafka");
    who_waits_has_its_place(KafkaConfig { brokers: apache.bootstrap(), ..impatient() }, "Apache Kafka").await;
}
