//! Two CPR numbers that turn out to be one person's.
//!
//! Goal: the tables are those of a person who had one number from the beginning. Method: a source puts it right as it puts
//! everything right (`pipeline/docs/decisions`, merged numbers): what it said of the one number it takes back, deletions
//! of records and negative rows of a ledger, and says it of the other. These corrections come in any order and in pieces,
//! with a crash before each commit.

use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use chrono::{DateTime, Utc};
use rettidig_cluster::{On, WholeLog};
use rettidig_event::{ManualClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::Store;
use rettidig_runtime::recompute::recompute;
use rettidig_tests::cells::{Shown, differences, of_epoch};
use rettidig_tests::{Bench, SMALL, seeds};
use serde_json::{Value, json};

fn now() -> DateTime<Utc> {
    "2026-08-25T10:00:00Z".parse().expect("instant")
}

/// The number that is given up, the one that stays, and eight other persons.
fn person(number: u32) -> String {
    // Far apart, so that the two are in different buckets.
    format!("{:08x}", number.wrapping_mul(0x9e37_79b9)).repeat(4)
}

const GIVEN_UP: u32 = 1;
const STAYS: u32 = 2;

struct Said {
    topic: Topic,
    own: Value,
    op: &'static str,
    id: String,
}

impl Said {
    fn record(topic: Topic, id: &str, own: Value) -> Self {
        Self { topic, own, op: "upsert", id: id.to_owned() }
    }

    fn event(&self, of: u32, op: &str, revision: u32, id: &str) -> (Topic, Vec<u8>) {
        let mut event = json!({
            "source": "ky-101", "id": id, "op": op, "revision": revision,
            "recorded_at": format!("2026-08-{:02}T06:00:00Z", 1 + revision), "person": person(of), "birth": "1980-05",
            "municipality": 101,
        });
        if let (Value::Object(event), Value::Object(own)) = (&mut event, &self.own) {
            event.extend(own.clone());
        }
        (self.topic, event.to_string().into_bytes())
    }

    fn said_of(&self, of: u32) -> (Topic, Vec<u8>) {
        self.event(of, self.op, 1, &self.id)
    }

    /// Taken back of the one, said of the other.
    fn moved(&self) -> [(Topic, Vec<u8>); 2] {
        let back = if self.op == "upsert" {
            self.event(GIVEN_UP, "delete", 2, &self.id)
        } else {
            let mut negative = self.own.clone();
            for amount in ["amount_oere", "refund_oere"] {
                negative[amount] = json!(-negative[amount].as_i64().expect("an amount"));
            }
            let row = Self { topic: self.topic, own: negative, op: self.op, id: self.id.clone() };
            row.event(GIVEN_UP, "add", 2, &format!("{}-back", self.id))
        };
        [back, self.event(STAYS, self.op, 2, &self.id)]
    }
}

fn payment(from: &str, to: &str, benefit: &str) -> Value {
    json!({
        "benefit": benefit, "from": from, "to": to, "minutes": null, "amount_oere": 1_100_000, "refund_oere": 330_000,
    })
}

/// What was said of the number that is given up.
fn history() -> Vec<Said> {
    let ledger = |id: &str, from: &str, to: &str| Said {
        op: "add",
        ..Said::record(Topic::Payments, id, payment(from, to, "cash"))
    };
    vec![
        Said::record(Topic::Payments, "sick", payment("2025-11-03", "2026-01-18", "sickness")),
        Said::record(Topic::Payments, "spring", payment("2026-03-01", "2026-04-30", "cash")),
        ledger("week-1", "2026-06-01", "2026-06-07"),
        ledger("week-2", "2026-06-08", "2026-06-14"),
        Said::record(
            Topic::Cases,
            "offer",
            json!({ "kind": "activation", "from": "2026-03-10", "to": "2026-04-10", "offer": "company", "minutes_per_week": 900 }),
        ),
        Said::record(
            Topic::Cases,
            "talk",
            json!({ "kind": "contact", "due": "2026-04-01", "held": "2026-04-02", "form": "meeting" }),
        ),
        Said::record(
            Topic::Income,
            "wage",
            json!({ "month": "2026-05", "wage_oere": 900_000, "minutes": 3_000 }),
        ),
    ]
}

/// What was said of everybody else; the number that stays has a spell that the other's ones extend.
fn others() -> Vec<(Topic, Vec<u8>)> {
    let paid = |of: u32, from: &str, to: &str| {
        Said::record(Topic::Payments, &format!("paid-{of}"), payment(from, to, "cash")).said_of(of)
    };
    let mut events = vec![paid(STAYS, "2026-05-01", "2026-05-31")];
    events.extend((3..11).map(|number| paid(number, "2026-01-01", "2026-07-31")));
    events
}

/// How many records are current of more than one person: what stands in the decision page.
async fn counted_twice(folder: &Path, model: &Model, bench: &mut Bench) -> i64 {
    let page = include_str!("../../../pipeline/docs/decisions/2026-11-22-merged-numbers.md");
    let query =
        page.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page's query");
    let manifest = bench.engine().manifest().expect("an epoch").clone();
    let mut log = WholeLog::open(&On::Local, folder, model, &manifest).await.expect("the log");
    let rows = log.query(query).await.expect("an answer");
    let records = rows.column_by_name("records").expect("a column").as_primitive::<Int64Type>();
    records.values().iter().sum()
}

async fn cells(store: &Store, model: &Arc<Model>, bench: &mut Bench) -> Shown {
    let manifest = bench.engine().manifest().expect("an epoch").clone();
    let comparison = recompute(store, model).await.expect("recomputed");
    assert_eq!(comparison.mismatches, 0, "{:?}", comparison.by_table);
    of_epoch(store, model, &manifest).await
}

#[tokio::test]
async fn what_is_said_again_of_the_number_that_stays_counts_as_if_it_had_always_been_so() {
    let model = rettidig_tests::model();
    let clock = Arc::new(ManualClock::new(now()));
    let right = {
        let folder = tempfile::tempdir().expect("folder");
        let mut bench = Bench::open_with(folder.path(), &model, &clock, SMALL).await;
        bench.accept(&others()).await;
        bench.accept(&Vec::from_iter(history().iter().map(|said| said.said_of(STAYS)))).await;
        bench.engine().commit().await.expect("commit");
        cells(&Store::local(folder.path()).expect("store"), &model, &mut bench).await
    };
    for seed in seeds(4) {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::local(folder.path()).expect("store");
        let mut bench = Bench::open_with(folder.path(), &model, &clock, SMALL).await;
        bench.accept(&others()).await;
        bench.accept(&Vec::from_iter(history().iter().map(|said| said.said_of(GIVEN_UP)))).await;
        bench.engine().commit().await.expect("commit");
        let before = cells(&store, &model, &mut bench).await;
        assert!(!differences(&before, &right).is_empty(), "seed {seed}: two numbers are two persons");
        assert_eq!(counted_twice(folder.path(), &model, &mut bench).await, 0, "seed {seed}");
        let mut corrections: Vec<_> = history().iter().flat_map(Said::moved).collect();
        random.shuffle(&mut corrections);
        let mut rest = corrections.as_slice();
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(random.usize(1..=rest.len().min(6)));
            // The process dies with the piece in hand; whoever starts again reads it again.
            bench.accept(piece).await;
            drop(bench);
            bench = Bench::open_with(folder.path(), &model, &clock, SMALL).await;
            bench.accept(piece).await;
            bench.engine().commit().await.expect("commit");
            rest = others;
        }
        assert_eq!(counted_twice(folder.path(), &model, &mut bench).await, 0, "seed {seed}");
        let found = differences(&cells(&store, &model, &mut bench).await, &right);
        assert!(found.is_empty(), "seed {seed}: {} differ\n{}", found.len(), found.join("\n"));

        // A source that only says it again of the other number is found.
        bench.accept(&[history()[0].event(GIVEN_UP, "upsert", 3, "sick")]).await;
        bench.engine().commit().await.expect("commit");
        assert_eq!(counted_twice(folder.path(), &model, &mut bench).await, 1, "seed {seed}");
    }
}
