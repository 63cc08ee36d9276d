//! Goldens of the person-level measures: `tests/golden/measures/<measure>.txt`, one for each.
//!
//! Goal: the whole result of each definition on histories small enough to check by hand. Method: the events go into the
//! engine straight; and reversed, with duplicates, in three epochs with restarts; the clock then moves over the as-of dates
//! of the file. Each time the cells must be the expected ones, and those of the oracle (plain loops, no SQL).
//! `UPDATE_GOLDENS=1 cargo test --workspace --test engine goldens` rewrites the expected part; the diff is reviewed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rettidig_event::{DeliveryEvent, ManualClock, Message, Period, Topic, person};
use rettidig_model::{Model, SqlModel};
use rettidig_oracle::Inputs;
use rettidig_runtime::persons::Limits;
use rettidig_tests::cells::{Shown, shown};
use rettidig_tests::{Bench, Tables};
use serde_json::{Value, json};

/// The published table that is made of the measures.
const LOCAL: &str = "local_indicators";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/measures")
}

fn section<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let rest = text.split_once(&format!("[{name}]\n")).map_or("", |(_, rest)| rest);
    let section = rest.split("\n[").next().unwrap_or(rest);
    section.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Kinds of event lines:
/// `pay,person,municipality,benefit,from,to,amount,refund,recorded,id`,
/// `rec,person,municipality,benefit,from,to,amount,recorded,id,revision`, `del,person,municipality,recorded,id,revision`,
/// `act,person,municipality,from,to,id`, `due,person,municipality,due,held,id`, `test,person,municipality,on,passed,id`,
/// `origin,person,municipality,origin,from,id`, `wage,person,municipality,month,øre,recorded,id,revision`.
fn event(line: &str, people: &BTreeMap<&str, (&str, &str)>) -> (Topic, Vec<u8>) {
    let fields: Vec<&str> = line.split(',').collect();
    let number =
        |text: &str| -> i64 { text.parse().unwrap_or_else(|_| panic!("{line}: {text} is no number")) };
    let maybe = |text: &str| -> Value { if text.is_empty() { Value::Null } else { text.into() } };
    let (topic, op, id, revision, recorded, own) = match fields[..] {
        ["pay", _, _, benefit, from, to, amount, refund, recorded, id] => {
            let own = json!({
                "benefit": benefit, "from": from, "to": to, "minutes": null, "amount_oere": number(amount),
                "refund_oere": number(refund),
            });
            (Topic::Payments, "add", id, 0, recorded, own)
        }
        ["rec", _, _, benefit, from, to, amount, recorded, id, revision] => {
            let own = json!({
                "benefit": benefit, "from": from, "to": to, "minutes": null, "amount_oere": number(amount),
                "refund_oere": 0,
            });
            (Topic::Payments, "upsert", id, number(revision), recorded, own)
        }
        ["del", _, _, recorded, id, revision] => {
            (Topic::Payments, "delete", id, number(revision), recorded, json!({}))
        }
        ["act", _, _, from, to, id] => {
            let own = json!({
                "kind": "activation", "from": from, "to": maybe(to), "offer": "company", "minutes_per_week": 2220,
            });
            (Topic::Cases, "upsert", id, 1, from, own)
        }
        ["due", _, _, due, held, id] => {
            let own = json!({ "kind": "contact", "due": due, "held": maybe(held), "form": "meeting" });
            (Topic::Cases, "upsert", id, 1, due, own)
        }
        ["test", _, _, on, passed, id] => {
            let own = json!({ "kind": "language_test", "on": on, "level": "3", "passed": passed == "true" });
            (Topic::Cases, "upsert", id, 1, on, own)
        }
        ["test", _, _, on, passed, school, id] => {
            let own = json!({
                "kind": "language_test", "on": on, "level": "3", "passed": passed == "true", "school": school,
            });
            (Topic::Cases, "upsert", id, 1, on, own)
        }
        ["origin", _, _, origin, from, id] => {
            (Topic::Cases, "upsert", id, 1, from, json!({ "kind": "origin", "origin": origin, "from": from }))
        }
        ["wage", _, _, month, oere, recorded, id, revision] => {
            let own = json!({ "month": month, "wage_oere": number(oere), "minutes": 0 });
            (Topic::Income, "upsert", id, number(revision), recorded, own)
        }
        _ => panic!("not an event line: {line}"),
    };
    let (birth, sex) = people.get(fields[1]).unwrap_or_else(|| panic!("{line}: nobody of this name"));
    let mut event = json!({
        "source": "golden", "id": id, "op": op, "revision": revision, "recorded_at": format!("{recorded}T06:00:00Z"),
        "person": format!("{:02x}", fields[1].as_bytes()[0]).repeat(16), "birth": maybe(birth), "sex": maybe(sex),
        "municipality": number(fields[2]),
    });
    if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
        event.extend(own);
    }
    (topic, event.to_string().into_bytes())
}

struct Golden {
    text: String,
    as_of: Vec<NaiveDate>,
    events: Vec<(Topic, Vec<u8>)>,
    delivered: Vec<(i32, i32)>,
}

fn read(name: &str) -> Golden {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let people: BTreeMap<&str, (&str, &str)> = section(&text, "people")
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[0], (fields[1], fields[2]))
        })
        .collect();
    let mut events: Vec<_> = section(&text, "events").map(|line| event(line, &people)).collect();
    let mut delivered = Vec::new();
    for line in section(&text, "income") {
        let (municipality, month) = line.split_once(',').expect("municipality,month");
        let municipality: i32 = municipality.parse().expect("municipality");
        let period: Period = month.replace('-', "M").parse().expect("month");
        let (year, number) = month.split_once('-').expect("month");
        let (year, number): (i32, i32) = (year.parse().expect("year"), number.parse().expect("month"));
        delivered.push((municipality, (year - 1970) * 12 + number - 1));
        let event = DeliveryEvent {
            source: format!("income-{municipality}").into(),
            municipality,
            period: period.to_string().into(),
            records: 1,
            control_sum: None,
            delivered_at: "2026-08-10T06:00:00Z".into(),
        };
        events.push((Topic::Deliveries, event.to_json()));
    }
    let as_of = section(&text, "as_of").map(|line| line.parse().expect("date")).collect();
    Golden { text, as_of, events, delivered }
}

fn noon(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(10, 0, 0).expect("time").and_utc()
}

/// The measure's rows after each as-of date.
async fn evaluate(
    model: &Arc<Model>,
    golden: &Golden,
    name: &str,
    parts: &[Vec<(Topic, Vec<u8>)>],
) -> Vec<String> {
    let folder = tempfile::tempdir().expect("folder");
    let clock = Arc::new(ManualClock::new(noon(golden.as_of[0])));
    let mut bench = Bench::open_with(folder.path(), model, &clock, Limits::default()).await;
    for part in parts {
        bench.accept(part).await;
        bench.engine().commit().await.expect("commit");
        if parts.len() > 1 {
            bench = Bench::open_with(folder.path(), model, &clock, Limits::default()).await;
        }
    }
    let mut results = Vec::new();
    for date in &golden.as_of {
        clock.set(noon(*date));
        if bench.engine().is_due() {
            bench.engine().commit().await.expect("a new day");
        }
        if name == LOCAL {
            results.push(published(&bench.tables()));
            continue;
        }
        let persons = bench.engine().state();
        let with = persons.parameters().expect("an epoch").clone();
        let mut cells = persons.cells().cells().expect("cells");
        cells.extend(model.derive(&cells, &with).await.expect("derived"));
        results.push(table(model, &shown(model, &cells), name));
    }
    results
}

/// The published table of indicators as CSV, without what depends on when it was first shown.
fn published(tables: &Tables) -> String {
    let keep: Vec<usize> = (0..tables[LOCAL].num_columns())
        .filter(|column| {
            !matches!(tables[LOCAL].schema().field(*column).name().as_str(), "known_at" | "epoch")
        })
        .collect();
    let mut text = Vec::new();
    let rows = tables[LOCAL].project(&keep).expect("columns");
    arrow::csv::WriterBuilder::new().with_header(true).build(&mut text).write(&rows).expect("csv");
    String::from_utf8(text).expect("text").trim_end().to_owned()
}

/// A measure as CSV.
fn table(model: &Model, cells: &Shown, name: &str) -> String {
    let measure = model.models.iter().find(|model| model.name == name).expect("measure");
    let mut text = measure.header.grain.join(",");
    for (key, values) in cells.get(name).into_iter().flatten() {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let _ = write!(text, "\n{} = {}", key.join(","), values.join(","));
    }
    text
}

/// What the oracle calls a measure; `None` if only the SQL has it.
fn oracles(name: &str) -> Option<&str> {
    match name {
        "contacts_held" => Some("contacts"),
        "danish_tests" => Some("language_tests"),
        "spell_changes" | "duration_changes" | "survival_starts" | LOCAL => None,
        _ if name.starts_with("area_") => None,
        _ => Some(name),
    }
}

fn of_oracle(model: &Model, golden: &Golden, name: &str, as_of: NaiveDate) -> Option<String> {
    let theirs = oracles(name)?;
    let mut batches = Vec::new();
    for (topic, payload) in golden.events.iter().filter(|(topic, _)| *topic != Topic::Deliveries) {
        batches.push(person::decode(*topic, [Message { partition: 0, offset: 0, payload }]).batch);
    }
    let inputs = Inputs {
        rows: arrow::compute::concat_batches(&person::schema(), &batches).expect("rows"),
        income_delivered: golden.delivered.clone(),
        benefits_csv: include_str!("../../../sql/reference/benefits.csv").to_owned(),
        as_of,
    };
    let mut cells = rettidig_oracle::evaluate(&inputs);
    let rows = cells.remove(theirs).expect("measure");
    Some(table(model, &BTreeMap::from([(name.to_owned(), rows)]), name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_measure_golden_holds_straight_reordered_restarted_and_in_the_oracle() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let model = rettidig_tests::model();
    let mut failures = String::new();
    for name in names(&model) {
        let golden = read(&name);
        let straight = evaluate(&model, &golden, &name, std::slice::from_ref(&golden.events)).await;
        let mut got = String::new();
        for (date, rows) in golden.as_of.iter().zip(&straight) {
            let _ = write!(got, "as of {date}\n{rows}\n");
            if let Some(oracle) = of_oracle(&model, &golden, &name, *date) {
                assert_eq!(rows, &oracle, "{name} as of {date}: SQL and oracle");
            }
        }
        let (before, expected) = golden.text.split_once("\n[expected]\n").unwrap_or((&golden.text, ""));
        if update {
            let text = format!("{}\n[expected]\n{got}", before.trim_end());
            std::fs::write(folder().join(format!("{name}.txt")), text).expect("golden written");
        } else if got != expected {
            let _ = writeln!(failures, "{name}: expected\n{expected}\ngot\n{got}");
        }
        let mut reversed: Vec<_> = golden.events.iter().rev().cloned().collect();
        reversed.extend(golden.events.iter().step_by(2).cloned());
        let third = reversed.len().div_ceil(3);
        let parts: Vec<Vec<_>> = reversed.chunks(third).map(<[_]>::to_vec).collect();
        let turned = evaluate(&model, &golden, &name, &parts).await;
        if name == LOCAL {
            // A cell that was hidden once stays hidden, so other epochs may hide more; what is shown is the same.
            let all: BTreeSet<&str> = straight.iter().flat_map(|rows| rows.lines()).collect();
            let shown = turned.iter().flat_map(|rows| rows.lines()).filter(|row| !row.contains(",hidden"));
            let mut count = 0;
            for row in shown {
                assert!(
                    all.contains(row) || row.contains(",0.0,"),
                    "{name}: {row} is not what is shown of all at once"
                );
                count += 1;
            }
            assert!(count > 10, "{name}: only {count} rows are shown");
            continue;
        }
        assert_eq!(straight, turned, "{name}: reversed, with duplicates, in three epochs with restarts");
    }
    assert!(failures.is_empty(), "{failures}");
}

fn names(model: &Model) -> BTreeSet<String> {
    let name = |model: &SqlModel| model.name.clone();
    model.additive().map(name).chain(model.derived().map(name)).chain([LOCAL.to_owned()]).collect()
}

#[test]
fn every_measure_has_one_golden_and_every_golden_is_used() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("goldens")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().trim_end_matches(".txt").to_owned())
        .collect();
    assert_eq!(files, names(&Model::embedded().expect("model")));
}

/// Equal revisions with other content depend on the order of arrival, so they have a test of their own: the first stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_revisions_with_other_content_the_first_stays_and_the_other_is_buried() {
    let model = rettidig_tests::model();
    let folder = tempfile::tempdir().expect("folder");
    let clock = Arc::new(ManualClock::new("2026-08-25T10:00:00Z".parse().expect("instant")));
    let mut bench = Bench::open_with(folder.path(), &model, &clock, Limits::default()).await;
    let people = BTreeMap::from([("A", ("1980-05", "male"))]);
    let line = |amount: i64| format!("rec,A,101,sickness,2026-01-01,2026-01-10,{amount},2026-01-12,r1,1");
    for (amount, conflicts) in [(900, 0), (901, 1), (900, 0)] {
        bench.accept(&[event(&line(amount), &people)]).await;
        let letters = bench.engine().settle().await.expect("settled");
        assert_eq!(letters.len(), conflicts, "{amount}");
        for letter in letters {
            let bytes = String::from_utf8(letter.original_bytes().expect("bytes")).expect("text");
            assert!(bytes.contains("\"amount_oere\":901"), "{bytes}");
            assert_eq!(letter.reason, rettidig_event::Reason::ConflictingRevision);
        }
        bench.engine().commit().await.expect("commit");
    }
    let cells = bench.engine().state().cells().cells().expect("cells");
    assert_eq!(shown(&model, &cells)["amounts"].values().collect::<Vec<_>>(), [&vec![900, 0]]);
    let counts = &bench.engine().manifest().expect("an epoch").counts;
    assert_eq!(counts.dead_letters.get("conflicting_revision"), Some(&1));
}
