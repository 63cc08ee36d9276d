//! The second look before anything is shown.
//!
//! Goal: a definition that counts the wrong persons, so that disclosure control lets small counts through, shows nothing: the months
//! concerned stay as they were, across restarts, everything else goes on, and a correct definition heals it. Method: random
//! histories, of which the second half comes under a model whose `local_recipients` claims nine persons too many in every second month.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use rettidig_event::{ManualClock, Topic};
use rettidig_model::Model;
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::ingest::OwnedMessage;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Store};
use rettidig_tests::events::event;
use rettidig_tests::{SMALL, tables_of};

const NOW: &str = "2026-02-20T12:00:00Z";
const INDICATOR: &str = "local_recipients";

struct Opened {
    engine: Engine,
    metrics: Arc<Metrics>,
}

impl Opened {
    async fn new(folder: &Path, model: &Arc<Model>) -> Self {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let clock = Arc::new(ManualClock::new(NOW.parse().expect("instant")));
        let store = Store::local(folder).expect("store");
        let engine = Engine::open_with(store, Arc::clone(model), clock, Arc::clone(&metrics), SMALL);
        Self { engine: engine.await.expect("the engine opens"), metrics }
    }

    async fn commit(&mut self, events: &[(Topic, Vec<u8>)]) {
        let next = self.engine.positions().values().flat_map(BTreeMap::values).map(|position| position.next);
        let mut offset = next.max().unwrap_or(0);
        for run in events.chunk_by(|a, b| a.0 == b.0) {
            let message = |(_, payload): &(Topic, Vec<u8>)| {
                offset += 1;
                OwnedMessage { partition: 0, offset: offset - 1, stamp: None, payload: payload.clone() }
            };
            let messages: Vec<OwnedMessage> = run.iter().map(message).collect();
            assert_eq!(self.engine.accept(run[0].0, &messages).await.expect("accept"), []);
        }
        self.engine.commit().await.expect("commit");
    }

    fn frozen(&self) -> BTreeMap<String, String> {
        self.engine.manifest().expect("an epoch").frozen.clone()
    }

    fn gauge(&self) -> usize {
        let text = self.metrics.exposition(None, NOW.parse().expect("instant")).expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("rettidig_disclosure_frozen_months "));
        line.and_then(|value| value.parse().ok()).expect("the gauge")
    }

    /// What is shown of each month: texts of the rows but for their epoch, by month.
    fn shown(&self) -> BTreeMap<String, Vec<String>> {
        let rows: RecordBatch =
            tables_of(&self.engine.snapshots().borrow().clone().expect("an epoch"))["local_indicators"]
                .clone();
        let text = |name: &str, row: usize| {
            array_value_to_string(rows.column_by_name(name).expect(name), row).expect("text")
        };
        let columns =
            ["indicator", "area_kind", "area", "benefit", "breakdown", "breakdown_value", "value", "status"];
        let mut months: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in 0..rows.num_rows() {
            let cells = columns.map(|name| text(name, row)).join(",");
            months.entry(text("period", row)).or_default().push(cells);
        }
        months
    }

    /// Recipients that are shown although they are too few.
    fn small(&self) -> usize {
        let is_small = |row: &&String| {
            row.starts_with(INDICATOR)
                && [",1.0,", ",2.0,", ",3.0,", ",4.0,"].iter().any(|value| row.contains(value))
        };
        self.shown().values().flatten().filter(is_small).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_give_a_hidden_number_away_is_not_shown_until_it_is_mended() {
    let model = rettidig_tests::model();
    let mut files = Model::embedded_files();
    let file =
        files.iter_mut().find(|file| file.path == format!("indicators/{INDICATOR}.sql")).expect("the file");
    assert!(file.text.contains("    recipients AS persons\n"));
    file.text = file.text.replace(
        "    recipients AS persons\n",
        "    recipients + CASE WHEN \"month\" % 2 = 0 THEN 9 ELSE 0 END AS persons\n",
    );
    let wrong = rettidig_tests::model_of(files);
    let rows = shuffled(&random_rows(5, 260, &Options::default()), 5);
    let half = rows.num_rows() / 2;
    let events =
        |rows_of: std::ops::Range<usize>| -> Vec<_> { rows_of.map(|row| event(&rows, row)).collect() };
    let folder = tempfile::tempdir().expect("folder");

    let mut right = Opened::new(folder.path(), &model).await;
    right.commit(&events(0..half)).await;
    assert_eq!((right.frozen(), right.gauge(), right.small()), (BTreeMap::new(), 0, 0));
    let before = right.shown();
    drop(right);

    let mut fooled = Opened::new(folder.path(), &wrong).await;
    fooled.commit(&events(half..rows.num_rows())).await;
    let frozen = fooled.frozen();
    assert!(frozen.len() > 10 && frozen.values().all(|indicator| indicator == INDICATOR), "{frozen:?}");
    assert_eq!((fooled.gauge(), fooled.small()), (frozen.len(), 0));
    let shown = fooled.shown();
    for month in frozen.keys() {
        assert_eq!(shown.get(month), before.get(month), "{month} stays as it was");
    }
    assert_ne!(shown, before, "the others go on");
    drop(fooled);

    // Neither a restart nor what comes next thaws them.
    let mut fooled = Opened::new(folder.path(), &wrong).await;
    assert_eq!(fooled.gauge(), frozen.len());
    fooled.commit(&[]).await;
    assert_eq!((fooled.frozen(), fooled.gauge(), fooled.small()), (frozen.clone(), frozen.len(), 0));
    let compared = recompute(&Store::local(folder.path()).expect("store"), &wrong).await.expect("recomputed");
    assert_eq!(compared.mismatches, 0, "what is frozen is known to differ");
    drop(fooled);

    let mut mended = Opened::new(folder.path(), &model).await;
    mended.commit(&[]).await;
    assert_eq!((mended.frozen().len(), mended.gauge(), mended.small()), (0, 0, 0));
    let healed = mended.shown();
    assert!(frozen.keys().any(|month| healed.get(month) != before.get(month)), "they go on");
    let compared = recompute(&Store::local(folder.path()).expect("store"), &model).await.expect("recomputed");
    assert_eq!(compared.mismatches, 0);
}
