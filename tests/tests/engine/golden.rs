//! Goldens: one file per indicator and per published table, `tests/golden/<name>.txt`.
//!
//! Goal: the whole result of each definition, on input small enough to check by hand. Method: the file holds the
//! events and every row expected. The same events are taken in straight; reversed, with duplicates, in three
//! epochs; and cut by a restart: all three must give the same rows. `UPDATE_GOLDENS=1 cargo test
//! --workspace --test engine golden` rewrites the expected part; the diff is reviewed.
//!
//! A section `[reference/<file>]` stands for that reference file. Tables that are made of tables of persons are given rows of
//! `local_indicators` in a section of that name: a header line with some of its columns, then the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use chrono::{DateTime, Utc};
use rettidig_event::Topic;
use rettidig_model::catalogue::{Domain, Making};
use rettidig_model::contract::{Table, tables};
use rettidig_model::session::Session;
use rettidig_model::{Layer, Model, SourceFile};
use rettidig_tests::{Bench, Tables, without_epoch};

/// A value that is put aside.
const UNUSABLE: &str = "\"4.112,0\"";

const NOW: &str = "2026-08-25T10:00:00Z";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The table of persons that others are made of.
const LOCAL: &str = "local_indicators";

/// A parsed golden: event lines, query, expected rows.
struct Golden {
    text: String,
    events: Vec<(Topic, Vec<u8>)>,
    query: String,
    expected: String,
}

fn section<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("[{name}]\n"))?;
    Some(rest.split("\n[").next().unwrap_or(rest))
}

/// `table,measure,area,period,breakdown,value,day`; value `h` is hidden, `u` unusable; day is when it was retrieved. A line
/// that starts with `delivery,` is a delivery: `delivery,source,period,records,day`.
fn event(line: &str) -> (Topic, Vec<u8>) {
    let fields: Vec<&str> = line.split(',').collect();
    if let ["delivery", source, period, records, day] = fields[..] {
        // `yr-101` delivers for 101.
        let municipality: i32 =
            source.rsplit('-').next().and_then(|code| code.parse().ok()).unwrap_or_default();
        let json = format!(
            r#"{{"source":"{source}","municipality":{municipality},"period":"{period}","records":{records},"control_sum":null,"delivered_at":"{day}T07:00:00Z"}}"#
        );
        return (Topic::Deliveries, json.into_bytes());
    }
    let [table, measure, area, period, breakdown, value, day] = fields[..] else {
        panic!("not an event line: {line}")
    };
    let publisher = if table.starts_with(char::is_uppercase) { "dst" } else { "jobindsats" };
    let breakdown = match breakdown.split_once('=') {
        Some((name, value)) => format!(r#"{{"{name}":"{value}"}}"#),
        None => "{}".to_owned(),
    };
    let (value, status) = match value {
        "h" => ("null".to_owned(), "hidden"),
        "u" => (UNUSABLE.to_owned(), "final"),
        number => (format!("\"{number}\""), "final"),
    };
    let json = format!(
        r#"{{"publisher":"{publisher}","table":"{table}","measure":"{measure}","area":{area},"period":"{period}","breakdown":{breakdown},"value":{value},"status":"{status}","published_at":"{day}T06:00:00Z","retrieved_at":"{day}T07:00:00Z"}}"#
    );
    (Topic::Official, json.into_bytes())
}

fn read(name: &str) -> Golden {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = section(&text, "events").expect("a section [events]").lines();
    Golden {
        events: lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(event).collect(),
        query: section(&text, "query").expect("a section [query]").trim().to_owned(),
        expected: section(&text, "expected").unwrap_or_default().trim().to_owned(),
        text,
    }
}

fn model(golden: &Golden) -> Arc<Model> {
    let mut files: Vec<SourceFile> = Model::embedded_files();
    for file in &mut files {
        if let Some(rows) = section(&golden.text, &file.path) {
            file.text = rows.trim_end().to_owned() + "\n";
        }
    }
    rettidig_tests::model_of(files)
}

/// Rows of `local_indicators` from text; columns that are not named are those of a final figure that is not divided.
fn local_rows(model: &Model, text: &str) -> RecordBatch {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<&str> = lines.next().expect("a header line").split(',').collect();
    let rows: Vec<BTreeMap<&str, &str>> =
        lines.map(|line| names.iter().copied().zip(line.split(',')).collect()).collect();
    let schema = Table::named(LOCAL).expect("its contract").schema();
    let unknown = names.iter().find(|name| schema.index_of(name).is_err());
    assert_eq!(unknown, None, "columns of {LOCAL}");
    let columns = schema.fields().iter().map(|field| {
        let texts: StringArray = rows
            .iter()
            .map(|row| {
                let indicator = model.indicator(row["indicator"]);
                let indicator = indicator.unwrap_or_else(|| panic!("no indicator {}", row["indicator"]));
                let given = row.get(field.name().as_str()).copied().filter(|text| !text.is_empty());
                given.or(match field.name().as_str() {
                    "breakdown" | "breakdown_value" => Some("total"),
                    "unit" => Some(indicator.header.unit.as_str()),
                    "status" => Some("final"),
                    "known_at" => Some(NOW),
                    "epoch" => Some("1"),
                    _ => None,
                })
            })
            .collect();
        arrow::compute::cast(&texts, field.data_type()).unwrap_or_else(|error| panic!("{field}: {error}"))
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap_or_else(|error| panic!("rows of {LOCAL}: {error}"))
}

/// The tables of an epoch, with those that are made of the golden's rows of persons.
async fn with_persons(model: &Model, golden: &Golden, mut tables: Tables) -> Tables {
    let Some(text) = section(&golden.text, LOCAL) else { return tables };
    let rows = local_rows(model, text);
    // What is made of persons is made of these rows alone.
    for made in [Making::Monthly, Making::AfterMonths].into_iter().flat_map(|making| model.made(making)) {
        tables.remove(made.name.as_str());
    }
    let months = BTreeMap::from([(LOCAL, vec![rows.clone()])]);
    let as_of = NOW.parse::<DateTime<Utc>>().expect("instant").date_naive();
    let after = model.evaluate_after_months(&tables, &months, as_of, &BTreeMap::new()).await;
    tables.extend(after.expect("tables after the months"));
    tables.insert(LOCAL, rows);
    tables
}

/// Takes the events in, `epochs` times a part of them, and gives the tables of the last epoch.
async fn evaluate(model: &Arc<Model>, parts: &[Vec<(Topic, Vec<u8>)>], restart: bool) -> Tables {
    let folder = tempfile::tempdir().expect("folder");
    let now = NOW.parse().expect("instant");
    let mut bench = Bench::open(folder.path(), model, now).await;
    for part in parts {
        if restart {
            bench = Bench::open(folder.path(), model, now).await;
        }
        for topic in [Topic::Official, Topic::Deliveries] {
            let payloads: Vec<Vec<u8>> =
                part.iter().filter(|(of, _)| *of == topic).map(|(_, payload)| payload.clone()).collect();
            if !payloads.is_empty() {
                let (_, letters) = bench.commit_some(topic, &payloads).await;
                let is_unusable = |payload: &&Vec<u8>| String::from_utf8_lossy(payload).contains(UNUSABLE);
                assert_eq!(letters.len(), payloads.iter().filter(is_unusable).count(), "{letters:?}");
            }
        }
    }
    bench.tables()
}

pub(super) async fn shown(tables: &Tables, query: &str) -> String {
    let session = Session::default();
    for (name, batch) in tables {
        session.register(name, without_epoch(batch)).expect("register");
    }
    let rows = session.query("golden", query).await.expect("query");
    let mut text = Vec::new();
    arrow::csv::WriterBuilder::new().with_header(true).build(&mut text).write(&rows).expect("csv");
    String::from_utf8(text).expect("utf-8").trim().to_owned()
}

#[tokio::test]
async fn every_golden_holds_straight_reordered_and_restarted() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut failures = String::new();
    for name in names() {
        let golden = read(&name);
        let model = model(&golden);
        let straight = evaluate(&model, std::slice::from_ref(&golden.events), false).await;
        let got = shown(&with_persons(&model, &golden, straight.clone()).await, &golden.query).await;
        if update {
            let (before, _) = golden.text.split_once("[expected]").unwrap_or((&golden.text, ""));
            let text = format!("{}\n\n[expected]\n{got}\n", before.trim_end());
            std::fs::write(folder().join(format!("{name}.txt")), text).expect("golden written");
        } else if got != golden.expected {
            let _ = writeln!(failures, "{name}: expected\n{}\ngot\n{got}\n", golden.expected);
        }
        if golden.events.len() < 2 {
            // There is no other order, and what is made of tables of persons is not made of events.
            continue;
        }
        let mut reversed: Vec<_> = golden.events.iter().rev().cloned().collect();
        reversed.extend(golden.events.iter().step_by(2).cloned());
        let third = reversed.len().div_ceil(3);
        let parts: Vec<Vec<_>> = reversed.chunks(third).map(<[_]>::to_vec).collect();
        for (restart, how) in
            [(false, "reversed with duplicates in three parts"), (true, "the same with restarts")]
        {
            let tables = evaluate(&model, &parts, restart).await;
            for (table, batch) in &straight {
                assert_eq!(
                    without_epoch(batch),
                    without_epoch(&tables[table]),
                    "{name}, table {table}: {how}"
                );
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn names() -> BTreeSet<String> {
    let model = Model::embedded().expect("model");
    // What is made of persons has its goldens beside the measures.
    let official = model.layer(Layer::Published).filter(|model| model.domain == Domain::Official);
    let tables = tables().filter(|table| table.name != LOCAL);
    let tables = tables.map(|table| format!("table_{}", table.name));
    official.map(|model| model.name.clone()).chain(tables).collect()
}

#[test]
fn every_indicator_and_every_table_has_one_golden_and_every_golden_is_used() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("goldens")
        .map(|entry| entry.expect("entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".txt").to_owned())
        .collect();
    assert_eq!(files, names());
}
