//! The engine of the persons: whatever the order, the batches, the duplicates, the restarts and the days between, the cells
//! are those of one evaluation of everything.
//!
//! Goal: incremental equals full, and both equal an implementation of their own kind. Method: random histories
//! (`tests/oracle`) are cut into random batches; between them the clock moves, wages are delivered and the engine is
//! opened anew; limits are so small that spilling, compaction, merging and bulk recomputation all happen. At the end the
//! cells in memory, the cells after a restart, the auditor's and the oracle's are compared, cell by cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use rettidig_cluster::{On, WholeLog};
use rettidig_event::{DeliveryEvent, ManualClock, Topic};
use rettidig_model::Model;
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::persons::{Limits, parameters_of};
use rettidig_tests::cells::{Shown, by_oracle, comparable, differences, shown};
use rettidig_tests::events::event;
use rettidig_tests::{Bench, SMALL};

fn wages_delivered(municipality: i32, period: &str) -> (Topic, Vec<u8>) {
    let event = DeliveryEvent {
        source: format!("income-{municipality:03}").into(),
        municipality,
        period: period.into(),
        records: 1,
        control_sum: None,
        delivered_at: "2026-08-10T06:00:00Z".into(),
    };
    (Topic::Deliveries, event.to_json())
}

fn instant(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(10, 0, 0).expect("time").and_utc()
}

async fn cells(model: &Model, bench: &mut Bench) -> Shown {
    let persons = bench.engine().state();
    let with = persons.parameters().expect("an epoch").clone();
    let mut cells = persons.cells().cells().expect("cells");
    cells.extend(model.derive(&cells, &with).await.expect("derived"));
    shown(model, &cells)
}

async fn audit(bench: &mut Bench) -> u64 {
    for _ in 0..2_000 {
        if let Some(report) = bench.engine().audit_step().await.expect("audit") {
            return report.mismatch_cells;
        }
    }
    panic!("the audit never came to its end");
}

/// One history, cut at random.
async fn run(seed: u64, persons: usize, limits: Limits) {
    let mut random = fastrand::Rng::with_seed(seed);
    let model = rettidig_tests::model();
    let rows = shuffled(&random_rows(seed, persons, &Options::default()), seed);
    let folder = tempfile::tempdir().expect("folder");
    let mut today: NaiveDate = "2026-02-20".parse().expect("date");
    let clock = Arc::new(ManualClock::new(instant(today)));
    let mut bench = Bench::open_with(folder.path(), &model, &clock, limits).await;
    let mut delivered: BTreeMap<i32, i32> = BTreeMap::new();
    let mut next = 0;
    while next < rows.num_rows() {
        let size = match random.u32(..4) {
            0 => 1,
            1 => random.usize(1..20),
            2 => random.usize(1..120),
            _ => random.usize(1..700),
        };
        let end = (next + size).min(rows.num_rows());
        let mut events: Vec<_> = (next..end).map(|row| event(&rows, row)).collect();
        if random.u32(..4) == 0 {
            let month = random.i32(1..=8);
            let code = random.choice([0, 101, 751]).expect("code");
            events.push(wages_delivered(code, &format!("2026M{month:02}")));
            let known = delivered.entry(code).or_insert(i32::MIN);
            *known = (*known).max(56 * 12 + month - 1);
        }
        bench.accept(&events).await;
        bench.engine().commit().await.expect("commit");
        next = end;
        if random.u32(..3) == 0 {
            bench.engine().audit_step().await.expect("audit step");
        }
        if random.u32(..3) == 0 {
            today = today + Days::new(random.u64(1..25));
            clock.set(instant(today));
        }
        if random.u32(..5) == 0 {
            bench = Bench::open_with(folder.path(), &model, &clock, limits).await;
        }
    }
    // Days on which nothing comes but time passes.
    for _ in 0..5 {
        today = today + Days::new(random.u64(1..40));
        clock.set(instant(today));
        if bench.engine().is_due() {
            bench.engine().commit().await.expect("a new day");
        }
    }
    let incremental = cells(&model, &mut bench).await;
    let expected = by_oracle(&rows, &delivered, today);
    let found = differences(&comparable(incremental.clone()), &expected);
    assert!(
        found.is_empty(),
        "seed {seed}: {} differ\n{}",
        found.len(),
        found[..found.len().min(20)].join("\n")
    );
    assert_eq!(audit(&mut bench).await, 0, "seed {seed}: the auditor agrees (a round under way)");
    assert_eq!(audit(&mut bench).await, 0, "seed {seed}: the auditor agrees (a round from the beginning)");
    drop(bench);
    let mut again = Bench::open_with(folder.path(), &model, &clock, limits).await;
    let found = differences(&incremental, &cells(&model, &mut again).await);
    assert!(found.is_empty(), "seed {seed}: after a restart {} differ", found.len());
    assert!(again.engine().shard().waiting() > 0, "seed {seed}: somebody waits for a day");
    let manifest = again.engine().manifest().expect("an epoch").clone();
    let mut log = WholeLog::open(&On::Local, folder.path(), &model, &manifest).await.expect("the log");
    let mut whole = log.cells().await.expect("cells");
    whole.extend(model.derive(&whole, &parameters_of(&manifest)).await.expect("derived"));
    let found = differences(&incremental, &shown(&model, &whole));
    assert!(found.is_empty(), "seed {seed}: in SQL over the log's files {} differ", found.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_batches_orders_days_and_restarts_end_in_the_same_cells() {
    for seed in 1..=2 {
        run(seed, 30, SMALL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_limits_end_in_the_same_cells() {
    run(21, 30, Limits::default()).await;
}
