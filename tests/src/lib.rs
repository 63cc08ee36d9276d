//! Helpers of the tests that cross crates: an engine on a folder of its own, fed by hand.

pub mod apache;
pub mod cells;
pub mod events;
pub mod storage;
pub mod wire;
pub mod worlds;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use chrono::{DateTime, Utc};
use rettidig_event::{Clock, DeadLetter, ManualClock, Topic};
use rettidig_model::contract::Table;
use rettidig_model::{Model, SourceFile};
use rettidig_runtime::ingest::OwnedMessage;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::persons::Limits;
use rettidig_runtime::{Engine, EpochReport, Snapshot, Store};

/// The model that the program carries, one for all tests of a process: its statements are planned once.
///
/// # Panics
/// If it is not valid.
pub fn model() -> Arc<Model> {
    static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| Arc::new(Model::embedded().expect("model")));
    Arc::clone(&MODEL)
}

/// A model of other files. Statements that are those of [`model`] are not planned again.
///
/// # Panics
/// If it is not valid.
pub fn model_of(files: Vec<SourceFile>) -> Arc<Model> {
    let mut other = Model::load(files).unwrap_or_else(|error| panic!("{error}"));
    let embedded = model();
    for statement in &mut other.models {
        let same = embedded.models.iter().find(|known| known.sql == statement.sql);
        if let Some(same) = same {
            statement.plan = same.plan.clone();
        }
    }
    Arc::new(other)
}

/// The seeds of a test of random interleavings: a few, or as many as `RETTIDIG_SEEDS` says (`make faults`).
///
/// # Panics
/// If the variable is no number.
pub fn seeds(few: u64) -> std::ops::RangeInclusive<u64> {
    let many =
        std::env::var("RETTIDIG_SEEDS").ok().map(|text| text.parse().expect("RETTIDIG_SEEDS is a number"));
    1..=many.unwrap_or(few)
}

/// Limits so small that spilling, compaction, merging and bulk recomputation all happen with a few hundred rows.
pub const SMALL: Limits = Limits {
    chunk_persons: 16,
    bulk_rows: 150,
    bulk_share: 3,
    spill_rows: 900,
    tail_rows: 400,
    tail_files: 3,
    audit_rows: 600,
};

/// Published tables by name.
pub type Tables = BTreeMap<&'static str, RecordBatch>;

/// An engine without Kafka: messages go in by hand, offsets are counted here.
pub struct Bench {
    engine: Engine,
    next_offset: i64,
}

impl Bench {
    /// Opens the engine of a folder with a clock that stands at `now`.
    ///
    /// # Panics
    /// If the folder cannot be opened.
    pub async fn open(folder: &Path, model: &Arc<Model>, now: DateTime<Utc>) -> Self {
        let store = Store::local(folder).expect("store");
        let clock = Arc::new(ManualClock::new(now));
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let engine = Engine::open(store, Arc::clone(model), clock, metrics).await.expect("the engine opens");
        let positions = engine.positions().values().flat_map(BTreeMap::values);
        let next_offset = positions.map(|position| position.next).max().unwrap_or(0);
        Self { engine, next_offset }
    }

    /// As [`Bench::open`], with limits and a clock of its own.
    ///
    /// # Panics
    /// If the folder cannot be opened.
    pub async fn open_with(
        folder: &Path,
        model: &Arc<Model>,
        clock: &Arc<ManualClock>,
        limits: Limits,
    ) -> Self {
        let store = Store::local(folder).expect("store");
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let clock: Arc<dyn Clock> = clock.clone();
        let engine = Engine::open_with(store, Arc::clone(model), clock, metrics, limits).await;
        let engine = engine.unwrap_or_else(|error| panic!("the engine opens: {error}"));
        let positions = engine.positions().values().flat_map(BTreeMap::values);
        let next_offset = positions.map(|position| position.next).max().unwrap_or(0);
        Self { engine, next_offset }
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Takes events of several topics in, in this order, without committing them.
    ///
    /// # Panics
    /// If an event is refused.
    pub async fn accept(&mut self, events: &[(Topic, Vec<u8>)]) {
        for run in events.chunk_by(|a, b| a.0 == b.0) {
            let messages: Vec<OwnedMessage> = run
                .iter()
                .map(|(_, payload)| {
                    self.next_offset += 1;
                    OwnedMessage {
                        partition: 0,
                        offset: self.next_offset - 1,
                        stamp: None,
                        payload: payload.clone(),
                    }
                })
                .collect();
            let letters = self.engine.accept(run[0].0, &messages).await.expect("accept");
            assert_eq!(letters, [], "no event is refused");
        }
    }

    /// Takes events in and commits them as one epoch.
    ///
    /// # Panics
    /// If a commit fails or an event is refused.
    pub async fn commit(&mut self, topic: Topic, payloads: &[Vec<u8>]) -> EpochReport {
        let (report, letters) = self.commit_some(topic, payloads).await;
        assert_eq!(letters, [], "no event is refused");
        report
    }

    /// Takes events in, of which some may be refused, and commits the others as one epoch.
    ///
    /// # Panics
    /// If a commit fails.
    pub async fn commit_some(
        &mut self,
        topic: Topic,
        payloads: &[Vec<u8>],
    ) -> (EpochReport, Vec<DeadLetter>) {
        let messages: Vec<OwnedMessage> = payloads
            .iter()
            .map(|payload| {
                self.next_offset += 1;
                OwnedMessage {
                    partition: 0,
                    offset: self.next_offset - 1,
                    stamp: None,
                    payload: payload.clone(),
                }
            })
            .collect();
        let letters = self.engine.accept(topic, &messages).await.expect("accept");
        (self.engine.commit().await.expect("commit"), letters)
    }

    /// The tables of the newest epoch.
    ///
    /// # Panics
    /// If there is none.
    pub fn tables(&self) -> Tables {
        tables_of(&self.engine.snapshots().borrow().clone().expect("an epoch"))
    }
}

/// The tables of an epoch, those of persons in one piece.
///
/// # Panics
/// Never for a committed epoch.
pub fn tables_of(snapshot: &Snapshot) -> Tables {
    let mut tables = snapshot.tables.clone();
    for (name, months) in &snapshot.monthly {
        let schema = Table::named(name).expect("a contract").schema();
        tables.insert(name, concat_batches(&schema, months).expect("months"));
    }
    tables
}

/// A table without the column that tells in which epoch a row was first published.
///
/// # Panics
/// Never for a published table.
pub fn without_epoch(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let keep: Vec<usize> =
        (0..schema.fields().len()).filter(|column| schema.field(*column).name() != "epoch").collect();
    batch.project(&keep).expect("columns")
}

/// The stages of an epoch whose time a worker's metrics tell. `commit` holds `local` and `after_months`.
const STAGES: [&str; 5] = ["decode", "persons", "local", "after_months", "commit"];

/// Seconds spent in each stage and how often it ran, from the text of the metrics.
pub struct Stages([(f64, f64); 5]);

impl Stages {
    /// Reads the text of the metrics; a stage that is not there gives no numbers.
    pub fn of(exposition: &str) -> Self {
        let value = |series: String| {
            let line = exposition.lines().find_map(|line| line.strip_prefix(&series));
            line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
        };
        Self(STAGES.map(|stage| {
            let of = |what: &str| value(format!("rettidig_{stage}_seconds_{what}"));
            (of("sum"), of("count"))
        }))
    }

    /// How long each stage took on average since an earlier reading.
    pub fn means_since(&self, before: Option<&Self>) -> String {
        let means = STAGES.iter().zip(self.0).enumerate().map(|(place, (stage, (sum, count)))| {
            let (sum_before, count_before) = before.map_or((0.0, 0.0), |before| before.0[place]);
            let times = count - count_before;
            format!("{stage} {:.3} s of {times}", (sum - sum_before) / times)
        });
        means.collect::<Vec<_>>().join(", ")
    }
}
