//! Municipalities that fall silent, and partitions on which nothing is.
//!
//! Goal: what is missing is told as missing: the figures of an area whose system is silent, or delivers a hundredth of
//! what it usually does, say `incomplete`, the source says that it is late, and neither holds anybody else up. Method: a
//! year of deliveries of every working day; then one municipality stops, another goes on with a hundredth of its records;
//! at last all that was missing comes at once.

use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};
use rettidig_event::{DeliveryEvent, ManualClock, Sink, Topic};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::persons::Limits;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::worker::Worker;
use rettidig_runtime::{Engine, Store};
use rettidig_simulator::{Simulation, SimulationOptions, SourceFile};
use rettidig_tests::{Bench, Tables, tables_of};
use serde_json::json;

use super::dead_letters::broker;
use super::golden::shown;

/// Delivers as ever.
const USUAL: i32 = 101;
/// Stops on the 14th of July.
const SILENT: i32 = 751;
/// Delivers a hundredth from the first of July.
const HUNDREDTH: i32 = 851;

const RECORDS: i64 = 40;

fn date(text: &str) -> NaiveDate {
    text.parse().expect("date")
}

fn evening(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(18, 0, 0).expect("time").and_utc()
}

/// A delivery of a day; `None` on a weekend.
fn delivery(municipality: i32, day: NaiveDate, records: i64) -> Option<(Topic, Vec<u8>)> {
    let event = DeliveryEvent {
        source: format!("ky-{municipality}").into(),
        municipality,
        period: format!("{}M{:02}", day.year(), day.month()).into(),
        records,
        control_sum: None,
        delivered_at: evening(day).to_rfc3339().into(),
    };
    let is_weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
    (!is_weekend).then(|| (Topic::Deliveries, event.to_json()))
}

/// What all three deliver from one day to another, both included.
fn deliveries(from: &str, to: &str) -> Vec<(Topic, Vec<u8>)> {
    let days = date(from).iter_days().take_while(|day| *day <= date(to));
    let of_day = |day: NaiveDate| {
        let silent = (day < date("2026-07-14")).then_some((SILENT, RECORDS));
        // A hundredth of 40 a day: one record every hundredth day would be less than the file of a day, so most are empty.
        let few = if day < date("2026-07-01") { RECORDS } else { i64::from(day.day().is_multiple_of(10)) };
        [Some((USUAL, RECORDS)), silent, Some((HUNDREDTH, few))]
            .into_iter()
            .flatten()
            .filter_map(move |(municipality, records)| delivery(municipality, day, records))
    };
    days.flat_map(of_day).collect()
}

/// Ten persons of each municipality on cash benefit, paid from the first of January to the end of a month.
fn payments(until: &str) -> Vec<(Topic, Vec<u8>)> {
    let mut events = Vec::new();
    for municipality in [USUAL, SILENT, HUNDREDTH] {
        for number in 0..10 {
            let event = json!({
                "source": format!("ky-{municipality}"), "id": format!("{number}"), "op": "upsert",
                "revision": date(until).month(), "recorded_at": format!("{until}T06:00:00Z"),
                "person": format!("{municipality:016x}{number:016x}"), "birth": "1980-05", "municipality": municipality,
                "benefit": "cash", "from": "2026-01-01", "to": until, "minutes": null, "amount_oere": 1_000_000,
                "refund_oere": 0,
            });
            events.push((Topic::Payments, event.to_string().into_bytes()));
        }
    }
    events
}

async fn states(tables: &Tables) -> String {
    let query = "SELECT source, period, expected, received, state FROM completeness WHERE period >= '2026-06' \
                 ORDER BY source, period";
    shown(tables, query).await + "\n"
}

async fn late(tables: &Tables) -> String {
    shown(tables, "SELECT source, next_due, late FROM freshness ORDER BY source").await + "\n"
}

async fn statuses(tables: &Tables) -> String {
    let query = "SELECT area_kind, area, period, value, status FROM local_indicators \
                 WHERE indicator = 'local_recipients' AND breakdown = 'total' AND period >= '2026-06' AND area_kind IN ('municipality', 'country') \
                 ORDER BY area_kind, area, period";
    shown(tables, query).await + "\n"
}

#[tokio::test]
async fn who_is_silent_is_told_to_be_incomplete_and_nobody_else_waits() {
    let folder = tempfile::tempdir().expect("folder");
    let model = rettidig_tests::model();
    let clock = Arc::new(ManualClock::new(evening(date("2026-07-13"))));
    let mut bench = Bench::open_with(folder.path(), &model, &clock, Limits::default()).await;
    bench.accept(&deliveries("2025-07-01", "2026-07-13")).await;
    bench.accept(&payments("2026-07-31")).await;
    bench.engine().commit().await.expect("commit");
    let before = bench.tables();
    // The hundredth is noticed within two weeks, the two others are as ever.
    assert_eq!(
        states(&before).await,
        "source,period,expected,received,state\n\
         ky-101,2026-06,880,880,complete\nky-101,2026-07,160,360,complete\n\
         ky-751,2026-06,880,880,complete\nky-751,2026-07,160,360,complete\n\
         ky-851,2026-06,880,880,complete\nky-851,2026-07,160,0,incomplete\n"
    );
    assert_eq!(
        statuses(&before).await,
        "area_kind,area,period,value,status\n\
         country,0000,2026-06,30.0,provisional\ncountry,0000,2026-07,30.0,incomplete\n\
         municipality,0101,2026-06,10.0,provisional\nmunicipality,0101,2026-07,10.0,provisional\n\
         municipality,0751,2026-06,10.0,provisional\nmunicipality,0751,2026-07,10.0,provisional\n\
         municipality,0851,2026-06,10.0,provisional\nmunicipality,0851,2026-07,10.0,incomplete\n"
    );

    clock.set(evening(date("2026-08-25")));
    bench.accept(&deliveries("2026-07-14", "2026-08-25")).await;
    bench.engine().commit().await.expect("commit");
    let silent = bench.tables();
    assert_eq!(
        states(&silent).await,
        "source,period,expected,received,state\n\
         ky-101,2026-06,880,880,complete\nky-101,2026-07,880,920,complete\nky-101,2026-08,520,680,complete\n\
         ky-751,2026-06,880,880,complete\nky-751,2026-07,880,360,incomplete\nky-751,2026-08,520,0,incomplete\n\
         ky-851,2026-06,880,880,complete\nky-851,2026-07,880,0,incomplete\nky-851,2026-08,520,0,incomplete\n"
    );
    assert_eq!(
        late(&silent).await,
        "source,next_due,late\nky-101,2026-09-03,false\nky-751,2026-07-22,true\nky-851,2026-09-03,false\n"
    );
    // The figures stay as they are: what is missing is not zero.
    let text = statuses(&silent).await;
    for line in [
        "country,0000,2026-07,30.0,incomplete",
        "municipality,0101,2026-07,10.0,provisional",
        "municipality,0751,2026-06,10.0,final",
        "municipality,0751,2026-07,10.0,incomplete",
        "municipality,0851,2026-07,10.0,incomplete",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let drifting = shown(&silent, "SELECT count(*) AS n FROM targets WHERE state = 'drifting'").await;
    assert_eq!(drifting, "n\n0");
    let metrics = Metrics::new().expect("metrics");
    let snapshot = bench.engine().snapshots().borrow().clone();
    let told = metrics.exposition(snapshot.as_deref(), evening(date("2026-08-25"))).expect("metrics");
    for line in ["rettidig_source_late{source=\"ky-751\"} 1", "rettidig_source_late{source=\"ky-101\"} 0"] {
        assert!(told.lines().any(|found| found == line), "{line}");
    }

    // A restart makes the same of it, and so does a recomputation.
    drop(bench);
    let mut bench = Bench::open_with(folder.path(), &model, &clock, Limits::default()).await;
    assert_eq!(bench.tables()["local_indicators"], silent["local_indicators"]);
    let store = Store::local(folder.path()).expect("store");
    let comparison = recompute(&store, &model).await.expect("recomputed");
    assert_eq!(comparison.mismatches, 0, "{:?}", comparison.by_table);

    // All that was missing comes at once.
    for (day, municipality, records) in [
        ("2026-07-31", SILENT, 560),
        ("2026-08-25", SILENT, 680),
        ("2026-07-31", HUNDREDTH, 920),
        ("2026-08-25", HUNDREDTH, 680),
    ] {
        bench.accept(&Vec::from_iter(delivery(municipality, date(day), records))).await;
    }
    bench.engine().commit().await.expect("commit");
    let whole = bench.tables();
    let text = states(&whole).await;
    assert!(!text.contains("incomplete"), "{text}");
    let text = late(&whole).await;
    assert!(!text.contains("true"), "{text}");
    let text = statuses(&whole).await;
    assert!(!text.contains("incomplete"), "{text}");
    let comparison = recompute(&store, &model).await.expect("recomputed");
    assert_eq!(comparison.mismatches, 0, "{:?}", comparison.by_table);
}

/// Goal: who delivers as ever is not told to be incomplete or late, however little it delivers. Method: the deliveries of two
/// years of a simulated country, in which systems deliver late and twice but none falls silent, are looked at on ten days.
#[tokio::test]
async fn a_country_in_which_nobody_is_silent_is_complete() {
    for persons in [2_000, 20_000] {
        let folder = tempfile::tempdir().expect("folder");
        let model = rettidig_tests::model();
        let options = SimulationOptions { persons, months: 24, ..SimulationOptions::default() };
        let mut files: Vec<SourceFile> = Simulation::new(&options).flat_map(|day| day.files).collect();
        files.sort_by_key(SourceFile::delivered_at);
        let last = files.last().expect("files").delivered_at().date_naive();
        let clock = Arc::new(ManualClock::new(evening(last - Days::new(60))));
        let mut bench = Bench::open_with(folder.path(), &model, &clock, Limits::default()).await;
        let (mut areas, mut short, mut late) = (0, 0, 0);
        for days in (0..60).step_by(6) {
            let today = last - Days::new(60 - days);
            let come = files.partition_point(|file| file.delivered_at() <= evening(today));
            let told: Vec<(Topic, Vec<u8>)> = files
                .drain(..come)
                .map(|file| {
                    let mut event = Vec::new();
                    file.write_delivery(&mut event);
                    (Topic::Deliveries, event.trim_ascii_end().to_vec())
                })
                .collect();
            clock.set(evening(today));
            bench.accept(&told).await;
            bench.engine().commit().await.expect("commit");
            let tables = bench.tables();
            let query = "SELECT count(*) AS n, sum(CASE WHEN state = 'incomplete' THEN 1 ELSE 0 END) AS short FROM completeness";
            let counts = shown(&tables, query).await;
            let counts: Vec<u32> =
                counts.lines().nth(1).expect("a row").split(',').map(|n| n.parse().expect("n")).collect();
            (areas, short) = (areas + counts[0], short + counts[1]);
            let overdue = shown(&tables, "SELECT count(*) AS n FROM freshness WHERE late").await;
            late += overdue.lines().nth(1).expect("a row").parse::<u32>().expect("n");
        }
        assert!(areas > 10_000, "{persons} persons: {areas} months of sources");
        assert!(
            short * 1_000 <= areas,
            "{persons} persons: {short} of {areas} months of sources are incomplete"
        );
        assert!(late <= 10, "{persons} persons: {late} late");
    }
}

async fn worker(folder: &Path, kafka: &KafkaConfig, clock: &Arc<ManualClock>) -> Worker {
    let store = Store::local(folder).expect("store");
    let model = rettidig_tests::model();
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let engine = Engine::open(store, model, clock.clone(), metrics).await.expect("an engine");
    Worker::connect(engine, kafka).await.expect("a worker")
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_and_topics_on_which_nothing_is_hold_nothing_up() {
    let folder = tempfile::tempdir().expect("folder");
    let (broker, kafka) = broker(folder.path());
    let clock = Arc::new(ManualClock::new(evening(date("2026-08-20"))));
    create_topics(&kafka).await.expect("topics");
    let data = folder.path().join("data");
    let mut worker = worker(&data, &kafka, &clock).await;
    let mut sink = KafkaSink::connect(&kafka).expect("sink");
    // All is about one person, so on one partition of one topic; deliveries come on one other.
    for day in 0..4_u64 {
        let today = date("2026-08-20") + Days::new(day);
        clock.set(evening(today));
        let (topic, mut payload) = payments("2026-07-31").swap_remove(0);
        let text = String::from_utf8(payload)
            .expect("JSON")
            .replace("\"revision\":7", &format!("\"revision\":{}", 7 + day));
        payload = text.replace("1000000", &format!("{}", 1_000_000 + day)).into_bytes();
        sink.send(topic, &format!("{USUAL:016x}{:016x}", 0), payload).await.expect("sent");
        let told = Vec::from_iter(delivery(USUAL, today, RECORDS));
        for (topic, payload) in &told {
            sink.send(*topic, "ky-101", payload.clone()).await.expect("sent");
        }
        sink.flush().await.expect("acknowledged");
        let report = worker.catch_up().await.expect("caught up").expect("an epoch");
        assert_eq!(report.persons, 1, "the day is evaluated although all else is silent");
        let snapshot = worker.engine().snapshots().borrow().clone().expect("an epoch");
        let manifest = &snapshot.manifest;
        assert_eq!(manifest.as_of, today);
        let read: usize = manifest.positions.values().map(std::collections::BTreeMap::len).sum();
        assert_eq!(read, 2, "one partition of payments, one of deliveries; nothing waits for the others");
        if !told.is_empty() {
            assert_eq!(
                manifest.frontiers["ky-101"],
                evening(today),
                "the frontier of who delivers has moved on"
            );
        }
    }
    // A day on which nothing comes at all is a day nevertheless.
    clock.set(evening(date("2026-08-30")));
    worker.catch_up().await.expect("caught up").expect("an epoch");
    let snapshot = worker.engine().snapshots().borrow().clone().expect("an epoch");
    assert_eq!(snapshot.manifest.as_of, date("2026-08-30"));
    let tables = tables_of(&snapshot);
    let days = tables["freshness"].column_by_name("age_seconds").expect("a column");
    let age = days.as_primitive::<arrow::datatypes::Int64Type>().value(0);
    assert!(age > 6 * 86_400, "a silent source grows old: {age} s");
    broker.shutdown().await.expect("broker");
}
