//! Helpers of the tests that cross crates: an engine on a folder of its own, fed by hand.

pub mod cells;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use rettidig_event::{ManualClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::ingest::OwnedMessage;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, EpochReport, Store};

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

    /// Takes events in and commits them as one epoch.
    ///
    /// # Panics
    /// If a commit fails or an event is refused.
    pub async fn commit(&mut self, topic: Topic, payloads: &[Vec<u8>]) -> EpochReport {
        let messages: Vec<OwnedMessage> = payloads
            .iter()
            .map(|payload| {
                self.next_offset += 1;
                OwnedMessage { partition: 0, offset: self.next_offset - 1, payload: payload.clone() }
            })
            .collect();
        let letters = self.engine.accept(topic, &messages).expect("accept");
        assert_eq!(letters, [], "no event is refused");
        self.engine.commit().await.expect("commit")
    }

    /// The tables of the newest epoch.
    ///
    /// # Panics
    /// If there is none.
    pub fn tables(&self) -> Tables {
        self.engine.snapshots().borrow().as_ref().expect("an epoch").tables.clone()
    }
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
