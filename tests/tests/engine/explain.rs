//! Why a value differs from another.
//!
//! Goal: the parts of a movement are those that a person works out by hand, add up to the last digit, are the same whatever the
//! order and the batches of the same records, and tell nothing of few persons. Method: goldens `tests/golden/explain/*.txt` hold
//! records by epoch, questions and the whole answers (`UPDATE_GOLDENS=1` rewrites the answers; the diff is reviewed); random
//! histories are taken in twice in other orders and batches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use chrono::{DateTime, Utc};
use rettidig_event::{ManualClock, Topic};
use rettidig_model::{Model, SourceFile};
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::explain::{Asking, Cause, End, Explanation, Part, Question, explain};
use rettidig_runtime::persons::Limits;
use rettidig_runtime::reads::{self, Log, Reader};
use rettidig_runtime::{RuntimeError, Store};
use rettidig_tests::events::event;
use rettidig_tests::{Bench, SMALL};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/explain")
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Asks as `rettidig explain` does.
async fn ask(data: &Path, model: &Model, question: &Question) -> Result<Explanation, RuntimeError> {
    let store = Store::local(data).expect("store");
    let reader = Reader { user: "golden".to_owned(), name: None };
    let asking = Asking { folder: data, reader: &reader, at: instant("2026-11-27T08:00:00Z"), events_max: 3 };
    explain(&store, model, question, asking).await
}

/// `--name value` pairs.
fn question(text: &str) -> Question {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut options: BTreeMap<&str, &str> = words.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let mut take = |name: &str| options.remove(name).map(str::to_owned);
    let question = Question {
        indicator: take("--indicator").expect("--indicator"),
        area_kind: take("--area-kind").unwrap_or_else(|| "jobcentre".to_owned()),
        area: take("--area").expect("--area"),
        benefit: take("--benefit").unwrap_or_else(|| "total".to_owned()),
        period: take("--period").expect("--period"),
        to_period: take("--to-period"),
        known_at: take("--known-at").map(|text| instant(&text)),
        and_known_at: take("--and-known-at").map(|text| instant(&text)),
    };
    assert!(options.is_empty(), "{options:?}");
    question
}

/// Records of one line: `payment,PERSONS,ID,FROM,TO,KRONER`, `activation,PERSONS,ID,FROM,TO`,
/// `deleted,PERSONS,ID,FROM,TO` (an activation that was), `test,PERSONS,ID,ON,SCHOOL` (passed) or `figure,MEASURE,AREA,PERIOD,VALUE`. PERSONS is `3` or `1-10`.
fn records(line: &str, at: DateTime<Utc>) -> Vec<(Topic, Vec<u8>)> {
    let fields: Vec<&str> = line.split(',').collect();
    if let ["figure", measure, area, period, value] = fields[..] {
        let figure = format!(
            r#"{{"publisher":"jobindsats","table":"y25i01","measure":"{measure}","area":{area},"period":"{period}","breakdown":{{}},"value":"{value}","status":"final","published_at":"{0}","retrieved_at":"{0}"}}"#,
            (at - chrono::TimeDelta::hours(1)).to_rfc3339()
        );
        return vec![(Topic::Official, figure.into_bytes())];
    }
    let [what, persons, id, from, to, ..] = fields[..] else { panic!("not a record: {line}") };
    let (first, last) = persons.split_once('-').unwrap_or((persons, persons));
    let number = |text: &str| text.parse::<u32>().unwrap_or_else(|error| panic!("{line}: {error}"));
    (number(first)..=number(last))
        .map(|person| {
            let (topic, op, own) = match what {
                "payment" => {
                    let oere = fields[5].parse::<i64>().expect("kroner") * 100;
                    let own = format!(
                        r#""benefit":"cash","from":"{from}","to":"{to}","minutes":null,"amount_oere":{oere},"refund_oere":0"#
                    );
                    (Topic::Payments, "add", own)
                }
                "activation" | "deleted" => {
                    let own = format!(
                        r#""kind":"activation","from":"{from}","to":"{to}","offer":"course","minutes_per_week":600"#
                    );
                    (Topic::Cases, if what == "deleted" { "delete" } else { "upsert" }, own)
                }
                "test" => {
                    let own = format!(
                        r#""kind":"language_test","on":"{from}","level":"3","passed":true,"school":"{to}""#
                    );
                    (Topic::Cases, "upsert", own)
                }
                _ => panic!("not a record: {line}"),
            };
            let revision = i64::from(op == "upsert") + 2 * i64::from(op == "delete");
            let record = format!(
                r#"{{"source":"test-101","id":"{id}-{person}","op":"{op}","revision":{revision},"recorded_at":"{}","person":"{:032x}","birth":null,"municipality":101,{own}}}"#,
                at.to_rfc3339(),
                u128::from(person) << 100 | u128::from(person),
            );
            (topic, record.into_bytes())
        })
        .collect()
}

/// Takes the epochs of a golden in. An epoch that says `old` is made with other definitions.
async fn taken_in(text: &str, data: &Path, old: &Arc<Model>, new: &Arc<Model>) {
    for epoch in text.split("\n[epoch ").skip(1) {
        let epoch = epoch.split("\n[").next().unwrap_or(epoch);
        let (head, lines) = epoch.split_once("]").expect("]");
        let mut words = head.split(' ');
        let at = instant(words.next().expect("an instant"));
        let model = if words.next() == Some("old") { old } else { new };
        let clock = Arc::new(ManualClock::new(at));
        let mut bench = Bench::open_with(data, model, &clock, Limits::default()).await;
        let lines = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let events: Vec<_> = lines.flat_map(|line| records(line, at)).collect();
        bench.accept(&events).await;
        bench.engine().commit().await.expect("commit");
    }
}

fn end(label: &str, end: &End) -> String {
    format!(
        "{label} {} of {} at {} in epoch {}, {}\n",
        end.value.as_deref().unwrap_or("-"),
        end.period,
        end.known_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        end.epoch,
        end.status
    )
}

fn part(part: &Part) -> String {
    let optional = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let causes: Vec<String> = part.causes.iter().map(|cause| format!("{cause:?}").to_lowercase()).collect();
    let mut text = format!(
        "  {} {} persons>={} few={} events={}\n",
        causes.join("+"),
        part.micro.map_or_else(|| "-".to_owned(), |micro| micro.to_string()),
        optional(part.persons_at_least),
        part.is_few,
        optional(part.events_total),
    );
    for event in &part.events {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let _ = writeln!(
            text,
            "    {} {} revision {} on {} {}/{}",
            event.source,
            event.id,
            event.revision,
            event.topic,
            number(event.partition.map(i64::from)),
            number(event.offset)
        );
    }
    text
}

fn told(answer: &Result<Explanation, RuntimeError>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            // The list of all indicators would change with every new one.
            let error = error.to_string();
            let (told, _) = error.split_once("choose one of activated_persons").unwrap_or((&error, ""));
            return format!("error: {}\n", told.trim_end());
        }
    };
    let mut text = end("from", &answer.from) + &end("to", &answer.to);
    let difference = answer.difference_micro.map_or_else(|| "-".to_owned(), |micro| micro.to_string());
    let _ = writeln!(text, "moved {difference} millionths");
    text += &answer.parts.iter().map(part).collect::<String>();
    answer.notes.iter().for_each(|note| {
        let _ = writeln!(text, "note: {note}");
    });
    text
}

/// Definitions under which there are twice as many.
fn doubled() -> Model {
    let doubled = |file: SourceFile| {
        let text = match file.path.as_str() {
            "indicators/local_recipients.sql" => file
                .text
                .replace("recipients * 1000000 AS value_micro", "recipients * 2000000 AS value_micro"),
            "indicators/full_time_unemployed.sql" => {
                file.text.replace("    value_micro,\n", "    value_micro * 2 AS value_micro,\n")
            }
            _ => return file,
        };
        assert_ne!(text, file.text, "{} has changed", file.path);
        SourceFile { text, ..file }
    };
    Model::load(Model::embedded_files().into_iter().map(doubled).collect()).expect("a model")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goldens() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let (old, new) = (Arc::new(doubled()), rettidig_tests::model());
    let mut failures = String::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).expect("goldens").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a golden");
        let (given, _) = text.split_once("\n[ask]").expect("a question");
        let data = tempfile::tempdir().expect("folder");
        taken_in(given, data.path(), &old, &new).await;
        let mut expected = given.to_owned();
        for asked in text.split("\n[ask] ").skip(1) {
            let asked = asked.lines().next().unwrap_or_default();
            let answer = ask(data.path(), &new, &question(asked)).await;
            if let Ok(Explanation { difference_micro: Some(difference), parts, .. }) = &answer {
                let sum: i64 = parts.iter().filter_map(|part| part.micro).sum();
                assert_eq!(sum, *difference, "{}: {asked}", path.display());
            }
            let _ = write!(expected, "\n[ask] {asked}\n{}", told(&answer));
        }
        if update {
            std::fs::write(&path, &expected).expect("written");
        } else if expected != text {
            let _ = writeln!(failures, "{}\n--- found\n{expected}", path.display());
        }
        // Every reading of persons was written down, and nothing else.
        let of_persons =
            text.matches("\n[ask] --indicator local_").count() - text.matches("-, hidden\n").count();
        let noted = reads::verify(data.path(), Log::Explain, &mut BTreeSet::new()).expect("verified");
        assert_eq!(noted.broken_at, None);
        assert!(noted.lines <= of_persons as u64, "{}: {noted:?}", path.display());
        assert_eq!(noted.lines > 0, of_persons > 0, "{}: {noted:?}", path.display());
    }
    assert!(failures.is_empty(), "{failures}");
}

const NOW: &str = "2026-08-14T10:00:00Z";
const THEN: &str = "2026-08-02T10:00:00Z";

/// Takes the same records in, those before `cut` before `THEN`, in batches of some size.
async fn filled(
    data: &Path,
    model: &Arc<Model>,
    parts: &[arrow::array::RecordBatch; 2],
    batch: usize,
    limits: Limits,
) -> Bench {
    let clock = Arc::new(ManualClock::new(instant(THEN)));
    let mut bench = Bench::open_with(data, model, &clock, limits).await;
    // Small batches from the beginning would hide what is small then for ever.
    for (rows, at, batch) in [(&parts[0], THEN, usize::MAX), (&parts[1], NOW, batch)] {
        clock.set(instant(at));
        let events: Vec<_> = (0..rows.num_rows()).map(|row| event(rows, row)).collect();
        for events in events.chunks(batch) {
            bench.accept(events).await;
            bench.engine().settle().await.expect("settled");
            bench.engine().commit().await.expect("commit");
        }
    }
    bench
}

/// Causes, sum, persons, whether they are few, events.
type Shape = (Vec<Cause>, Option<i64>, Option<u64>, bool, Option<u64>);

/// What is told apart from places, which are those of the order.
fn without_places(answer: &Explanation) -> Vec<Shape> {
    let shape = |part: &Part| {
        (part.causes.clone(), part.micro, part.persons_at_least, part.is_few, part.events_total)
    };
    answer.parts.iter().map(shape).collect()
}

/// Goal: the same records give the same split. Method: random histories are cut in two; each half is taken in at once, or
/// shuffled in small batches by an engine that spills and compacts; every visible value of some indicators is explained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_records_in_another_order_give_the_same_split() {
    let model = rettidig_tests::model();
    let seed = 4;
    let rows = random_rows(seed, 100, &Options::default());
    let cut = rows.num_rows() * 2 / 3;
    let parts = [rows.slice(0, cut), rows.slice(cut, rows.num_rows() - cut)];
    let again = parts.each_ref().map(|rows| shuffled(rows, seed));
    let (one, other) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let bench = filled(one.path(), &model, &parts, usize::MAX, Limits::default()).await;
    drop(filled(other.path(), &model, &again, 400, SMALL).await);
    let tables = bench.tables();
    let shown = &tables["local_indicators"];
    let text = |name: &str| shown.column_by_name(name).expect(name).as_string::<i32>();
    let value = shown.column_by_name("value").expect("value").as_primitive::<Float64Type>();
    let (mut asked, mut moved, mut split) = (0, 0, 0);
    for row in (0..shown.num_rows()).filter(|row| value.is_valid(*row)) {
        let indicator = text("indicator").value(row);
        let is_wanted = matches!(
            indicator,
            "local_recipients"
                | "local_full_time_persons"
                | "local_activation_degree"
                | "local_mean_running_weeks"
        );
        let is_month = matches!(text("period").value(row), "2026-05" | "2026-07");
        let is_divided = text("breakdown").value(row) != "total";
        if !is_wanted || is_divided || !is_month || text("area_kind").value(row) != "country" || asked >= 12 {
            continue;
        }
        let question = Question {
            indicator: indicator.to_owned(),
            area_kind: "country".to_owned(),
            area: "0000".to_owned(),
            benefit: text("benefit").value(row).to_owned(),
            period: text("period").value(row).to_owned(),
            to_period: None,
            known_at: Some(instant(THEN)),
            and_known_at: None,
        };
        asked += 1;
        let (a, b) = (ask(one.path(), &model, &question).await, ask(other.path(), &model, &question).await);
        let (a, b) = match (a, b) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(a), Err(b)) => {
                // Nothing of it was known then.
                assert!(
                    a.to_string().contains("no value of") && b.to_string().contains("no value of"),
                    "{a}; {b}"
                );
                continue;
            }
            (a, b) => panic!("seed {seed}: {question:?}\n{a:?}\n{b:?}"),
        };
        if b.to.micro.is_none() {
            assert_eq!(b.parts, [], "what was small for a while stays hidden");
            continue;
        }
        assert_eq!(without_places(&a), without_places(&b), "seed {seed}: {question:?}");
        let difference = a.difference_micro.expect("visible");
        assert_eq!(a.parts.iter().filter_map(|part| part.micro).sum::<i64>(), difference, "{question:?}");
        #[allow(clippy::cast_precision_loss, reason = "as the table does")]
        let shown = a.to.micro.expect("visible") as f64 / 1_000_000.0;
        assert!((shown - value.value(row)).abs() < f64::EPSILON, "the table shows it: {question:?}");
        moved += usize::from(difference != 0);
        split += usize::from(a.parts.len() > 2);
    }
    assert!(
        asked >= 6 && moved >= 3 && split >= 1,
        "seed {seed}: {asked} asked, {moved} moved, {split} split"
    );
}

/// Goal: records that stand on no topic are explained as others are, as long as it is known which epoch had them. Method: the golden's
/// records come through the bulk door, file by file; then so many epochs pass that the files of the first are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loaded_records_are_explained_until_nobody_knows_when_they_came() {
    let model = rettidig_tests::model();
    let (data, files) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("files"));
    let load = async |number: u32, at: &str, lines: &[&str]| {
        let at = instant(at);
        let clock = Arc::new(ManualClock::new(at));
        let mut bench = Bench::open_with(data.path(), &model, &clock, SMALL).await;
        let path = files.path().join(format!("payments-{number}.ndjson"));
        let events = lines.iter().flat_map(|line| records(line, at));
        let bytes: Vec<u8> = events.flat_map(|(_, event)| [event, b"\n".to_vec()].concat()).collect();
        std::fs::write(&path, bytes).expect("a file");
        let mut refuse = |letter: rettidig_event::DeadLetter| panic!("{letter:?}");
        rettidig_runtime::load::load(bench.engine(), &[path], at, &mut refuse).await.expect("loaded");
        bench.engine().commit().await.expect("commit");
    };
    load(1, "2026-07-02T10:00:00Z", &["payment,1-10,week23,2026-06-01,2026-06-07,1000"]).await;
    let later =
        ["payment,11-16,week24,2026-06-08,2026-06-14,1000", "payment,6-10,back,2026-06-01,2026-06-07,-1000"];
    load(2, "2026-07-20T10:00:00Z", &later).await;
    let asked = question("--indicator local_recipients --area 0101 --benefit cash --period 2026-06");
    let answer = ask(data.path(), &model, &asked).await.expect("explained");
    let micros: Vec<Option<i64>> = answer.parts.iter().map(|part| part.micro).collect();
    assert_eq!(micros, [Some(0), Some(6_000_000), Some(-5_000_000), Some(0), None]);
    let event = answer.parts[1].events.first().expect("an event");
    assert_eq!((event.partition, event.loaded_file, event.loaded_line), (None, Some(1), Some(1)));
    for number in 3..=13 {
        load(
            number,
            &format!("2026-07-{:02}T10:00:00Z", number + 18),
            &[&format!("payment,{},x,2026-07-01,2026-07-01,1", number + 40)],
        )
        .await;
    }
    let error = ask(data.path(), &model, &asked).await.expect_err("refused").to_string();
    assert!(error.contains("epoch 1") && error.contains("choose an instant"), "{error}");
}

/// Goal: nobody is told by what a part has and the others have not. Method: one person's record at a time, of either kind, on top
/// of enough others or of none; whichever it was, the answers are the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_is_late_or_corrected_and_nobody_can_tell_which() {
    let model = rettidig_tests::model();
    // Persons 1 to 20 are known; then seven come late, two of whom take the place of two who are corrected away; or five do and none is.
    let stories = [
        "payment,21-27,june,2026-06-01,2026-06-07,1000\npayment,1-2,back,2026-06-01,2026-06-07,-1000",
        "payment,21-26,june,2026-06-01,2026-06-07,1000\npayment,1-1,back,2026-06-01,2026-06-07,-1000",
    ];
    let few = [
        "payment,21-22,june,2026-06-01,2026-06-07,1000",
        "payment,21-23,june,2026-06-01,2026-06-07,1000\npayment,1-1,back,2026-06-01,2026-06-07,-1000",
        "payment,30-31,other,2026-06-01,2026-06-07,1000",
    ];
    for stories in [&stories[..], &few[..]] {
        let mut answers = Vec::new();
        for story in stories {
            let data = tempfile::tempdir().expect("folder");
            let given = format!(
                "\n[epoch 2026-07-02T10:00:00Z]\npayment,1-20,june,2026-06-01,2026-06-07,1000\n\n[epoch 2026-07-14T10:00:00Z]\n{story}\n"
            );
            taken_in(&given, data.path(), &model, &model).await;
            let asked = question("--indicator local_recipients --area 0101 --benefit cash --period 2026-06");
            answers.push(told(&ask(data.path(), &model, &asked).await));
        }
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
        assert!(!answers[0].contains("test-101"), "no id is told: {}", answers[0]);
    }
}

/// Goal: what was published by older definitions is found although the files of its epoch are long gone. Method: many epochs
/// after the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_holds_no_longer_is_remembered() {
    let (old, new) = (Arc::new(doubled()), rettidig_tests::model());
    let given = std::fs::read_to_string(folder().join("definition.txt")).expect("the golden");
    let (given, _) = given.split_once("\n[ask]").expect("a question");
    let data = tempfile::tempdir().expect("folder");
    taken_in(given, data.path(), &old, &new).await;
    let asked = question("--indicator local_recipients --area 0101 --benefit cash --period 2026-06");
    let before = ask(data.path(), &new, &asked).await.expect("explained");
    for day in 1..=9 {
        let epoch = format!(
            "\n[epoch 2026-07-{:02}T10:00:00Z]\npayment,{},later,2026-07-01,2026-07-01,1\n",
            day + 14,
            day + 40
        );
        taken_in(&epoch, data.path(), &old, &new).await;
    }
    let after = ask(data.path(), &new, &asked).await.expect("explained");
    assert_eq!(after.difference_micro, before.difference_micro);
    assert_eq!(after.parts, before.parts);
    let definition = |part: &&Part| part.causes.contains(&Cause::Definition);
    assert!(
        after.parts.iter().find(definition).is_some_and(|part| part.micro.is_some_and(|micro| micro < 0))
    );
}
