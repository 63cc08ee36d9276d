//! Poison, a fix, a replay: the tables are those of a run in which all had been right at first.
//!
//! Goal: nothing that was put aside is lost, and sending it again after a fix leaves no trace in the tables. Method: a
//! stream of figures, payments, wages and deliveries is broken in the ways that happen: cut-off and foreign bytes, fields
//! that are new, fields that are missing until the producer sends the event right, content that contradicts a row that is
//! there, and a benefit that the program's reference table does not know yet. It goes through broker and worker in random
//! batches with restarts. Then the program gets the reference table with the benefit, and the letters are sent again. The
//! other run has that table and the right events from the start, in another order and other batches. Every published table
//! is compared whole. People come in cohorts of ten with the same history, so that no count is ever small enough to be
//! hidden; a hidden cell stays hidden, which would be a difference of another kind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Utc};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock as _, DeadLetter, ManualClock, Reason, Sink, SystemClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics, letters};
use rettidig_runtime::letters::{Replayed, Selection, replay, replay_of};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Store, Worker};
use rettidig_tests::{Tables, tables_of, without_epoch};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(240);

/// Persons with one history.
const COHORT: u32 = 10;

/// What the older program's reference table does not know, and how many payments of it there are.
const NEW_BENEFIT: &str = "flex_job";
const NEW_PAYMENTS: u64 = 80;

fn now() -> DateTime<Utc> {
    "2026-08-22T10:00:00Z".parse().expect("instant")
}

/// Events that arrive together.
#[derive(Debug, Clone)]
struct Unit {
    topic: Topic,
    events: Vec<(String, Vec<u8>)>,
}

impl Unit {
    fn of(topic: Topic, key: &str, event: &Value) -> Self {
        Self { topic, events: vec![(key.to_owned(), event.to_string().into_bytes())] }
    }

    /// The same with every event changed.
    fn with(&self, change: impl Fn(&mut serde_json::Map<String, Value>)) -> Self {
        let events = self.events.iter().map(|(key, event)| {
            let mut event: Value = serde_json::from_slice(event).expect("JSON");
            change(event.as_object_mut().expect("an object"));
            (key.clone(), event.to_string().into_bytes())
        });
        Self { topic: self.topic, events: events.collect() }
    }

    fn is_new_benefit(&self) -> bool {
        self.events.iter().any(|(_, event)| String::from_utf8_lossy(event).contains(NEW_BENEFIT))
    }
}

fn person(number: u32) -> String {
    format!("{:08x}", number.wrapping_mul(2_654_435_761)).repeat(4)
}

/// Payments and wages of one cohort, a month a unit.
fn cohort(number: u32, municipality: i32, benefit: &str, months: std::ops::RangeInclusive<u32>) -> Vec<Unit> {
    let event = |member: u32, source: &str, id: String, op: &str, own: Value| {
        let person = person(number * COHORT + member);
        let mut event = json!({
            "source": format!("{source}-{municipality}"), "id": id, "op": op, "revision": 1,
            "recorded_at": "2026-08-01T06:00:00Z", "person": person, "birth": "1988-02", "sex": "female",
            "municipality": municipality,
        });
        event.as_object_mut().expect("an object").extend(own.as_object().expect("an object").clone());
        (person, event.to_string().into_bytes())
    };
    let last = *months.end();
    let paid = months.map(|month| {
        let own = json!({
            "benefit": benefit, "from": format!("2026-{month:02}-01"), "to": format!("2026-{month:02}-28"),
            "minutes": null, "amount_oere": 1_200_000, "refund_oere": 0,
        });
        let events = (0..COHORT).map(|member| {
            event(member, "yr", format!("{number}-{benefit}/{member}/{month}"), "add", own.clone())
        });
        Unit { topic: Topic::Payments, events: events.collect() }
    });
    let wages = json!({ "month": format!("2026-{:02}", last + 1), "wage_oere": 2_500_000, "minutes": 9_000 });
    let wages = (0..COHORT)
        .map(|member| {
            event(member, "income", format!("{number}-{benefit}/{member}"), "upsert", wages.clone())
        })
        .collect();
    paid.chain([Unit { topic: Topic::Income, events: wages }]).collect()
}

fn figure(area: i32, month: u32, value: &str) -> Unit {
    let event = json!({
        "publisher": "jobindsats", "table": "y25i01", "measure": "full_time_unemployed", "area": area,
        "period": format!("2026M{month:02}"), "breakdown": {}, "value": value, "status": "final",
        "published_at": "2026-08-19T06:00:00Z", "retrieved_at": "2026-08-19T07:00:00Z",
    });
    Unit::of(Topic::Official, "y25i01", &event)
}

fn delivery(source: &str, municipality: i32) -> Unit {
    let event = json!({
        "source": source, "municipality": municipality, "period": "2026M07", "records": 10, "control_sum": null,
        "delivered_at": "2026-08-20T06:00:00Z",
    });
    Unit::of(Topic::Deliveries, source, &event)
}

/// Everything as it is right, the deliveries first.
fn right() -> Vec<Unit> {
    let mut units = vec![
        delivery("yr-101", 101),
        delivery("yr-851", 851),
        delivery("income-101", 101),
        delivery("jobindsats-y25i01", 0),
    ];
    units.extend(cohort(1, 101, "cash", 1..=4));
    units.extend(cohort(2, 101, "sickness", 3..=6));
    units.extend(cohort(3, 851, "cash", 2..=3));
    units.extend(cohort(4, 101, NEW_BENEFIT, 1..=3));
    units.extend(cohort(5, 851, NEW_BENEFIT, 4..=6));
    units.extend(cohort(1, 101, NEW_BENEFIT, 5..=6));
    for (area, value) in [(0, 90_000), (101, 12_000), (851, 4_876)] {
        for month in 5..=7 {
            units.push(figure(area, month, &(value + month * 10).to_string()));
        }
    }
    units
}

/// The same as it came: what was sent at first, and what the producers sent later to put it right.
struct Broken {
    first: Vec<Unit>,
    later: Vec<Unit>,
    /// Letters that the first part makes, by source and reason.
    letters: BTreeMap<(&'static str, &'static str), u64>,
}

fn broken(random: &mut fastrand::Rng) -> Broken {
    let mut broken = Broken { first: Vec::new(), later: Vec::new(), letters: BTreeMap::new() };
    let mut count = |source, reason: Reason, letters: usize| {
        *broken.letters.entry((source, reason.code())).or_default() += letters as u64;
    };
    for unit in right() {
        let is_101 =
            unit.events.iter().any(|(_, event)| String::from_utf8_lossy(event).contains("\"yr-101\""));
        let yr = if is_101 { "yr-101" } else { "yr-851" };
        match unit.topic {
            Topic::Payments if unit.is_new_benefit() => {
                count(yr, Reason::InvalidValue, unit.events.len());
                broken.first.push(unit);
            }
            // A release of the source renamed a column: a field is missing, another one is new.
            Topic::Payments if random.u32(..3) == 0 => {
                broken.first.push(unit.with(|event| {
                    let amount = event.remove("amount_oere").expect("an amount");
                    event.insert("amount".to_owned(), amount);
                }));
                count(yr, Reason::InvalidField, unit.events.len());
                broken.later.push(unit);
            }
            Topic::Official if random.u32(..3) == 0 => {
                broken
                    .first
                    .push(unit.with(|event| drop(event.insert("value".to_owned(), json!("4.112,0")))));
                count("jobindsats-y25i01", Reason::InvalidValue, 1);
                broken.later.push(unit);
            }
            // New fields alone change nothing.
            Topic::Payments | Topic::Income => {
                broken.first.push(unit.with(|event| drop(event.insert("new".to_owned(), json!([1])))));
            }
            _ => broken.first.push(unit),
        }
    }
    // One figure is missing for certain, and is known to have been sent.
    let figure = figure(101, 4, "12040");
    broken.first.push(figure.with(|event| drop(event.remove("published_at"))));
    count("jobindsats-y25i01", Reason::InvalidField, 1);
    broken.later.push(figure);
    let garbage: [(Topic, &[u8], Reason, &str); 4] = [
        (Topic::Payments, b"{\"source\":\"yr-101\",\"id\":\"7", Reason::MalformedJson, "yr-101"),
        (Topic::Official, b"<html>Log in</html>", Reason::MalformedJson, "unknown"),
        (Topic::Official, b"{\"publisher\":\"dst\",\"table\":\"K\xf8n\"}", Reason::WrongEncoding, "unknown"),
        (Topic::Deliveries, b"", Reason::Empty, "unknown"),
    ];
    for (topic, bytes, reason, source) in garbage {
        broken.first.push(Unit { topic, events: vec![("garbage".to_owned(), bytes.to_vec())] });
        count(source, reason, 1);
    }
    // What contradicts a row that is there comes after it, and the row stays.
    let of = |topic: Topic| right().into_iter().find(|unit| unit.topic == topic).expect("a unit");
    broken.later.push(of(Topic::Official).with(|event| drop(event.insert("value".to_owned(), json!("1")))));
    broken.later.push(of(Topic::Income).with(|event| drop(event.insert("wage_oere".to_owned(), json!(1)))));
    broken
}

/// The right events of [`broken`], which adds a figure.
fn right_at_first() -> Vec<Unit> {
    let mut units = right();
    units.push(figure(101, 4, "12040"));
    units
}

/// The model of the program before the fix.
fn older() -> Arc<Model> {
    let mut files = Model::embedded_files();
    for file in files.iter_mut().filter(|file| file.path == "reference/benefits.csv") {
        let known = |line: &&str| !line.starts_with(&format!("{NEW_BENEFIT},"));
        file.text = file.text.lines().filter(known).map(|line| format!("{line}\n")).collect();
    }
    rettidig_tests::model_of(files)
}

pub(super) fn broker(folder: &Path) -> (Broker, KafkaConfig) {
    let now = || SystemClock.now().timestamp_millis();
    let broker = Broker::start(BrokerConfig::new(folder.join("broker"), now)).expect("broker");
    let brokers = broker.address().to_string();
    (broker, KafkaConfig { brokers, ..KafkaConfig::default() })
}

async fn worker(folder: &Path, kafka: &KafkaConfig, model: &Arc<Model>) -> (Worker, Arc<Metrics>) {
    let store = Store::local(folder).expect("store");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let clock = Arc::new(ManualClock::new(now()));
    let engine =
        Engine::open(store, Arc::clone(model), clock, Arc::clone(&metrics)).await.expect("an engine");
    (Worker::connect(engine, kafka).await.expect("a worker"), metrics)
}

async fn produce(kafka: &KafkaConfig, units: &[Unit]) {
    let mut sink = KafkaSink::connect(kafka).expect("sink");
    for unit in units {
        for (key, event) in &unit.events {
            sink.send(unit.topic, key, event.clone()).await.expect("sent");
        }
    }
    sink.flush().await.expect("acknowledged");
}

/// Sends units in random batches and takes each in, now and then by a worker that was started anew.
async fn follow(
    folder: &Path,
    kafka: &KafkaConfig,
    model: &Arc<Model>,
    mut units: &[Unit],
    random: &mut fastrand::Rng,
) -> (Worker, Arc<Metrics>) {
    let (mut running, mut metrics) = worker(folder, kafka, model).await;
    while !units.is_empty() {
        let (batch, rest) = units.split_at(random.usize(1..=units.len().min(16)));
        produce(kafka, batch).await;
        running.catch_up().await.expect("caught up");
        units = rest;
        if random.u32(..4) == 0 {
            drop(running);
            (running, metrics) = worker(folder, kafka, model).await;
        }
    }
    (running, metrics)
}

fn tables(worker: &Worker) -> Tables {
    tables_of(&worker.engine().snapshots().borrow().clone().expect("an epoch"))
}

/// Tables that the events of this test fill.
const FILLED: [&str; 8] = [
    "comparisons",
    "completeness",
    "freshness",
    "indicators",
    "local_indicators",
    "revisions",
    "rhythms",
    "vintages",
];

fn assert_same(seed: u64, when: &str, found: &Tables, expected: &Tables) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, batch) in expected {
        assert!(batch.num_rows() > 0 || !FILLED.contains(name), "{name} has no rows");
        let (found, expected) = (without_epoch(&found[name]), without_epoch(batch));
        let text = |batch: &RecordBatch| {
            arrow::util::pretty::pretty_format_batches(std::slice::from_ref(batch)).expect("text").to_string()
        };
        assert!(found == expected, "seed {seed}, {when}: {name}\n{}\n{}", text(&found), text(&expected));
    }
}

fn local(tables: &Tables, column: &str, value: &str) -> bool {
    let column = tables["local_indicators"].column_by_name(column).expect(column).as_string::<i32>();
    column.iter().flatten().any(|found| found == value)
}

fn shows_new_benefit(tables: &Tables) -> bool {
    local(tables, "benefit", NEW_BENEFIT)
}

fn hides_something(tables: &Tables) -> bool {
    local(tables, "status", "hidden")
}

/// Expected, received and state of a figure's area and period.
fn completeness(tables: &Tables, area: &str, period: &str) -> Option<(i64, i64, String)> {
    let rows = &tables["completeness"];
    let text = |name: &str, row: usize| {
        rows.column_by_name(name).expect(name).as_string::<i32>().value(row).to_owned()
    };
    let count = |name: &str, row: usize| {
        rows.column_by_name(name).expect(name).as_primitive::<Int64Type>().value(row)
    };
    let row =
        (0..rows.num_rows()).find(|row| text("area", *row) == area && text("period", *row) == period)?;
    Some((count("expected", row), count("received", row), text("state", row)))
}

/// The gauge as it is shown, without zeros.
fn shown(worker: &Worker, metrics: &Metrics) -> BTreeMap<(String, String), u64> {
    let snapshot = worker.engine().snapshots().borrow().clone();
    let text = metrics.exposition(snapshot.as_deref(), now()).expect("text");
    let series = text.lines().filter_map(|line| line.strip_prefix("rettidig_dead_letters{reason=\""));
    let series = series.filter_map(|line| {
        let (reason, rest) = line.split_once("\",source=\"")?;
        let (source, value) = rest.split_once("\"} ")?;
        Some(((source.to_owned(), reason.to_owned()), value.parse().expect("a count")))
    });
    series.filter(|(_, count)| *count > 0).collect()
}

async fn on_the_topic(kafka: &KafkaConfig) -> Vec<DeadLetter> {
    let mut found = Vec::new();
    let mut all = letters(kafka, None).expect("letters");
    while let Some(letter) = all.recv().await {
        found.push(letter.expect("read").letter.expect("a dead letter"));
    }
    found
}

/// Messages that a replay sent to a topic.
fn sent(replayed: &Replayed, topic: Topic) -> u64 {
    replayed.sent.get(topic.name()).copied().unwrap_or(0)
}

async fn a_replay_converges(seed: u64, selection: Selection) {
    let mut random = fastrand::Rng::with_seed(seed);
    let newer = rettidig_tests::model();
    let whole = tempfile::tempdir().expect("folder");
    let (whole_broker, kafka) = broker(whole.path());
    create_topics(&kafka).await.expect("topics");
    let mut units = right_at_first();
    random.shuffle(&mut units);
    let (worker_of_whole, _) = follow(whole.path(), &kafka, &newer, &units, &mut random).await;
    let expected = tables(&worker_of_whole);
    assert!(shows_new_benefit(&expected) && !hides_something(&expected), "seed {seed}");
    drop(worker_of_whole);
    whole_broker.shutdown().await.expect("shutdown");

    let folder = tempfile::tempdir().expect("folder");
    let (broker, kafka) = broker(folder.path());
    create_topics(&kafka).await.expect("topics");
    let Broken { mut first, later, letters } = broken(&mut random);
    // The sources are known by their deliveries.
    let (deliveries, rest) = first.split_at_mut(4);
    random.shuffle(rest);
    produce(&kafka, deliveries).await;
    let (mut older_worker, _) = worker(folder.path(), &kafka, &older()).await;
    older_worker.catch_up().await.expect("caught up");
    drop(older_worker);
    let (poisoned, metrics) = follow(folder.path(), &kafka, &older(), rest, &mut random).await;
    let total: u64 = letters.values().sum();
    assert_eq!(on_the_topic(&kafka).await.len() as u64, total, "seed {seed}");
    let counted: BTreeMap<(String, String), u64> = letters
        .iter()
        .map(|((source, reason), count)| ((source.to_string(), reason.to_string()), *count))
        .collect();
    assert_eq!(shown(&poisoned, &metrics), counted, "seed {seed}");
    let state = completeness(&tables(&poisoned), "0101", "2026-04");
    assert_eq!(state, Some((1, 0, "incomplete".to_owned())), "seed {seed}: the figure was sent");
    drop(poisoned);
    let (restarted, metrics) = worker(folder.path(), &kafka, &older()).await;
    assert_eq!(shown(&restarted, &metrics), counted, "seed {seed}: after a restart");
    drop(restarted);

    // The producers send right what they sent wrong; the program learns the benefit; the letters go back.
    drop(follow(folder.path(), &kafka, &older(), &later, &mut random).await);
    let (mut fixed, _) = worker(folder.path(), &kafka, &newer).await;
    fixed.catch_up().await.expect("caught up");
    let open = on_the_topic(&kafka).await.len();
    let dry = replay(&kafka, &selection, (false, true), now()).await.expect("a dry run");
    assert_eq!(fixed.catch_up().await.expect("caught up"), None, "a dry run sends nothing");
    assert_eq!(on_the_topic(&kafka).await.len(), open, "a dry run notes nothing");
    let done = replay(&kafka, &selection, (false, false), now()).await.expect("a replay");
    assert_eq!(done, dry, "seed {seed}");
    assert!(sent(&done, Topic::Payments) >= NEW_PAYMENTS, "seed {seed}: {done:?}");
    assert!(
        !shows_new_benefit(&tables(&fixed)),
        "seed {seed}: the benefit is missing until the letters go back"
    );
    fixed.catch_up().await.expect("caught up").expect("an epoch");
    assert_same(seed, "after the replay", &tables(&fixed), &expected);
    assert_eq!(completeness(&tables(&fixed), "0101", "2026-04"), Some((1, 1, "complete".to_owned())));

    // Once more: only what was refused again is open.
    let again = replay(&kafka, &selection, (false, false), now()).await.expect("a second replay");
    let noted = on_the_topic(&kafka).await.iter().filter(|letter| replay_of(letter).is_some()).count() as u64;
    let of = |replayed: &Replayed| replayed.sent.values().sum::<u64>() + replayed.same_bytes;
    assert_eq!(again.before, of(&done), "seed {seed}: {again:?}");
    assert_eq!(noted, of(&done) + of(&again), "seed {seed}");
    assert_eq!(of(&again) + NEW_PAYMENTS, of(&done), "seed {seed}: {again:?}");
    fixed.catch_up().await.expect("caught up");
    assert_same(seed, "after a second replay", &tables(&fixed), &expected);
    drop(fixed);
    let store = Store::local(folder.path()).expect("store");
    let comparison = recompute(&store, &newer).await.expect("recomputed");
    assert_eq!(comparison.mismatches, 0, "seed {seed}: {:?}", comparison.by_table);
    broker.shutdown().await.expect("shutdown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_everything_ends_in_the_tables_of_a_run_that_was_right_at_first() {
    let test = a_replay_converges(1, Selection::default());
    tokio::time::timeout(LIMIT, test).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_one_reason_is_enough_if_that_was_what_the_fix_was_for() {
    let selection = Selection { reason: Some(Reason::InvalidValue), ..Selection::default() };
    tokio::time::timeout(LIMIT, a_replay_converges(2, selection)).await.expect("in time");
}
