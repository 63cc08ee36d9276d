//! Tables as they were known: what is told of an instant is what was published then, but for what is hidden since.
//!
//! Goal: any table can be had as it was known at any instant, and nothing that was hidden then or is hidden now is told by it. Method: random
//! histories of persons are committed in pieces on different days, and the tables of each epoch are kept; afterwards each epoch's instant is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use rettidig_event::ManualClock;
use rettidig_model::catalogue::Making;
use rettidig_model::contract::{Table, tables};
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::Store;
use rettidig_runtime::as_known::{are_of_persons, as_known};
use rettidig_tests::events::event;
use rettidig_tests::{Bench, SMALL, Tables, without_epoch};

const LOCAL: &str = "local_indicators";
const PIECES: usize = 5;

/// What is shown, by the cell: value, numerator, denominator and status.
fn shown(rows: &RecordBatch) -> BTreeMap<Vec<String>, Vec<String>> {
    let grain = Table::named(LOCAL).expect("its contract").grain;
    let text = |name: &str, row: usize| {
        array_value_to_string(rows.column_by_name(name).expect(name), row).expect("text")
    };
    let row = |row: usize| {
        let key = grain.iter().map(|name| text(name, row)).collect();
        (key, ["value", "numerator", "denominator", "status"].map(|name| text(name, row)).to_vec())
    };
    (0..rows.num_rows()).map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_is_what_was_published_but_for_what_is_hidden_since() {
    let model = rettidig_tests::model();
    let rows = shuffled(&random_rows(11, 260, &Options::default()), 11);
    let folder = tempfile::tempdir().expect("folder");
    let mut today: NaiveDate = "2026-02-20".parse().expect("date");
    let noon = |day: NaiveDate| day.and_hms_opt(12, 0, 0).expect("time").and_utc();
    let clock = Arc::new(ManualClock::new(noon(today)));
    let mut bench = Bench::open_with(folder.path(), &model, &clock, SMALL).await;
    let mut published: Vec<(DateTime<Utc>, Tables)> = Vec::new();
    for piece in 0..PIECES {
        let (from, to) = (rows.num_rows() * piece / PIECES, rows.num_rows() * (piece + 1) / PIECES);
        let events: Vec<_> = (from..to).map(|row| event(&rows, row)).collect();
        bench.accept(&events).await;
        bench.engine().commit().await.expect("commit");
        published.push((noon(today), bench.tables()));
        today = today + Days::new(17);
        clock.set(noon(today));
    }
    let store = Store::local(folder.path()).expect("store");
    let (mut compared, mut hidden_since) = (0, 0);
    for (at, then) in &published {
        // An hour later nothing else was known.
        let known = as_known(&store, &model, *at + TimeDelta::hours(1), true).await.expect("known");
        assert_eq!(known.keys().collect::<Vec<_>>(), then.keys().collect::<Vec<_>>());
        let (told, was) = (shown(&known[LOCAL]), shown(&then[LOCAL]));
        for (key, value) in &told {
            match (value[3].as_str(), was.get(key)) {
                ("hidden", Some(was)) if was[3] != "hidden" => hidden_since += 1,
                ("hidden", _) => {}
                (_, was) => {
                    assert_eq!(was, Some(value), "{key:?} at {at}");
                    compared += 1;
                }
            }
        }
        assert!(was.keys().all(|key| told.contains_key(key)), "nothing is left out at {at}");
        let known_at = known[LOCAL].column_by_name("known_at").expect("known_at");
        let known_at = known_at.as_primitive::<TimestampMicrosecondType>();
        assert!(known_at.values().iter().all(|micros| *micros <= at.timestamp_micros()), "{at}");
        // What is not made of persons is the same to the last row; its ages are an hour older.
        for table in model.made(Making::Whole).filter(|table| table.name != "freshness") {
            let name = Table::named(&table.name).expect("a contract").name;
            assert_eq!(without_epoch(&known[name]), without_epoch(&then[name]), "{name} at {at}");
        }
    }
    assert!(compared > 1_000, "{compared} values compared, {hidden_since} hidden since");
    let (last, newest) = published.last().expect("epochs");
    let known = as_known(&store, &model, *last, true).await.expect("known");
    for table in tables() {
        let (told, was) = (&known[table.name], &newest[table.name]);
        let (told, was) = (without_epoch(told), without_epoch(was));
        assert_eq!(told.num_rows(), was.num_rows(), "{} of now is that of now", table.name);
        for (name, (told, was)) in
            table.columns.iter().map(|column| column.name).zip(told.columns().iter().zip(was.columns()))
        {
            let differ = (0..told.len()).find(|row| told.slice(*row, 1) != was.slice(*row, 1));
            assert_eq!(differ, None, "{} of now is that of now: column {name}", table.name);
        }
    }
    let before = as_known(&store, &model, published[0].0 - TimeDelta::days(1), true).await.expect("known");
    assert_eq!(before[LOCAL].num_rows(), 0, "before the first epoch nobody knew anything");

    let read = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert!(are_of_persons(&model, &read(&["indicators", "scorecard"])));
    assert!(!are_of_persons(&model, &read(&["indicators", "targets", "revisions"])));
}
