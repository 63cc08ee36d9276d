//! The binary as a user runs it: the demo, killed and restarted, queried, recomputed, explained.
//!
//! Goal: after `kill -9` at any instant and a restart, the published tables are the same bytes as those of an
//! undisturbed run. Method: real processes. The seed of the kill instants is printed and may be given in
//! RETTIDIG_KILL_SEED; RETTIDIG_KILLS sets how many.

#![allow(clippy::print_stderr, reason = "the seed is printed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn rettidig() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rettidig"))
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    let mut command = rettidig();
    command.args(arguments).arg("--data").arg(folder).stdin(Stdio::null());
    command.output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("utf-8")
}

/// Every file for plain readers, by name.
fn latest(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder.join("tables/latest")).expect("tables/latest");
    entries
        .map(|entry| {
            let entry = entry.expect("entry");
            (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("file"))
        })
        // What a killed process was about to rename.
        .filter(|(name, _)| !name.contains('#'))
        .collect()
}

/// One undisturbed run, shared by the tests of this file.
fn undisturbed() -> &'static (PathBuf, String, Duration) {
    static RUN: std::sync::OnceLock<(PathBuf, String, Duration)> = std::sync::OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("folder").keep();
        let begun = Instant::now();
        let text = stdout(&run(&["demo", "--once", "--json"], &folder));
        (folder, text, begun.elapsed())
    })
}

#[test]
fn the_demo_computes_what_is_true_of_the_release() {
    let (folder, text, _) = undisturbed();
    let epochs: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    assert_eq!(epochs.len(), 4, "{text}");
    let figures = |epoch: usize, source: &str| {
        let counts = &epochs[epoch]["figures"][source];
        (counts["new"].as_i64().unwrap_or(0), counts["changed"].as_i64().unwrap_or(0))
    };
    assert_eq!(figures(1, "jobindsats-y25i01"), (594, 1525), "the release");
    assert_eq!(figures(2, "jobindsats-y25i09"), (291, 517), "the next day");
    let again: i64 = epochs[3]["figures"]
        .as_object()
        .expect("figures")
        .values()
        .map(|counts| counts["new"].as_i64().unwrap_or(1) + counts["changed"].as_i64().unwrap_or(1))
        .sum();
    assert_eq!(again, 0, "a re-delivery changes nothing");
    let query = |sql: &str| -> serde_json::Value {
        serde_json::from_str(&stdout(&run(&["query", "--json", sql], folder))).expect("JSON")
    };
    let june = query(
        "SELECT old, new FROM revisions WHERE indicator = 'full_time_unemployed' AND area_kind = 'country' \
         AND benefit = 'total' AND period = '2026-06' AND cause <> 'first'",
    );
    assert_eq!(june, serde_json::json!([{ "old": 88_080.0, "new": 89_907.0 }]));
    let oldest =
        query("SELECT min(period) AS period FROM indicators WHERE indicator = 'full_time_unemployed'");
    assert_eq!(oldest[0]["period"], "2021-07", "the month that left the window stays known");
    let drifting = query(
        "SELECT count(*) AS n FROM targets WHERE state = 'drifting' AND status NOT IN ('final', 'provisional')",
    );
    assert_eq!(drifting[0]["n"], 0, "nothing drifts on what is hidden, missing or incomplete");
}

#[test]
fn tables_as_known_before_the_release_are_those_of_before() {
    let (folder, _, _) = undisturbed();
    let sql = "SELECT value, status FROM indicators WHERE indicator = 'full_time_unemployed' AND area_kind = 'country' \
               AND benefit = 'total' ORDER BY period DESC LIMIT 1";
    let known = |arguments: &[&str]| stdout(&run(&[&["query", "--json", sql], arguments].concat(), folder));
    assert_eq!(
        known(&["--as-known", "2026-08-19T06:00:00Z"]).trim(),
        r#"[{"value":88080.0,"status":"provisional"}]"#
    );
    assert_eq!(known(&[]).trim(), r#"[{"value":91583.0,"status":"provisional"}]"#);
}

#[test]
fn a_full_recomputation_agrees_cell_by_cell() {
    let (folder, _, _) = undisturbed();
    let text = stdout(&run(&["recompute"], folder));
    assert!(text.starts_with("epoch=4 cells=") && text.trim().ends_with("mismatches=0"), "{text}");
    let cells: u64 = text
        .split("cells=")
        .nth(1)
        .and_then(|t| t.split(' ').next())
        .expect("cells")
        .parse()
        .expect("number");
    assert!(cells > 1_000_000, "{text}");
}

fn explained(arguments: &[&str], folder: &Path) -> serde_json::Value {
    let arguments = [&["explain", "--json"], arguments].concat();
    serde_json::from_str(&stdout(&run(&arguments, folder))).expect("JSON")
}

/// The millionths of each part by its causes.
fn parts(answer: &serde_json::Value) -> BTreeMap<String, Option<i64>> {
    let parts = answer["parts"].as_array().expect("parts").iter();
    let causes = |part: &serde_json::Value| {
        let causes = part["causes"].as_array().expect("causes").iter();
        causes.map(|cause| cause.as_str().expect("a cause")).collect::<Vec<_>>().join("+")
    };
    parts.map(|part| (causes(part), part["micro"].as_i64())).collect()
}

#[test]
fn explain_splits_the_release_and_names_the_events() {
    let (folder, _, _) = undisturbed();
    // The country's June rose from 88,080 to 89,907 when July was published: a told figure was told otherwise.
    let june = [
        "--indicator",
        "full_time_unemployed",
        "--area-kind",
        "country",
        "--area",
        "0000",
        "--period",
        "2026-06",
    ];
    let answer = explained(&june, folder);
    assert_eq!(
        (answer["from"]["value"].as_str(), answer["to"]["value"].as_str()),
        (Some("88080"), Some("89907"))
    );
    assert_eq!(answer["difference_micro"], 1_827_000_000_i64);
    let expected = [
        ("real", Some(0)),
        ("late", Some(0)),
        ("correction", Some(1_827_000_000)),
        ("definition", Some(0)),
        ("denominator", None),
    ];
    assert_eq!(parts(&answer), expected.map(|(cause, micro)| (cause.to_owned(), micro)).into());
    assert_eq!(answer["definition"], "sql/indicators/full_time_unemployed.sql");
    let correction = &answer["parts"][2];
    assert_eq!(correction["events_total"], 1, "{answer:#}");
    let event = &correction["events"][0];
    assert_eq!(
        (event["source"].as_str(), event["id"].as_str()),
        (Some("jobindsats-y25i01"), Some("full_time_unemployed/0000"))
    );
    assert!(event["offset"].as_i64().is_some());
    assert!(folder.join(event["file"].as_str().expect("file")).exists());

    // From June to July, as both are known now: the world alone.
    let july = explained(&[&june[..], &["--to-period", "2026-07"]].concat(), folder);
    assert_eq!(july["difference_micro"], (91_583 - 89_907) * 1_000_000_i64);
    assert_eq!(parts(&july)["real"], Some((91_583 - 89_907) * 1_000_000));
    // From June as it was known before the release, to July: the correction of June is told apart.
    let known = [
        "--to-period",
        "2026-07",
        "--known-at",
        "2026-08-19T06:00:00Z",
        "--and-known-at",
        "2026-08-25T00:00:00Z",
    ];
    let both = explained(&[&june[..], &known].concat(), folder);
    assert_eq!(both["difference_micro"], (91_583 - 88_080) * 1_000_000_i64);
    assert_eq!(
        (parts(&both)["real"], parts(&both)["correction"]),
        (Some(1_676_000_000), Some(1_827_000_000))
    );

    let text = stdout(&run(&[&["explain"], &june[..]].concat(), folder));
    assert!(text.contains("corrections") && text.contains("full_time_unemployed/0000"), "{text}");
    let unknown =
        run(&["explain", "--indicator", "nonsense", "--area", "0101", "--period", "2026-06"], folder);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("choose one of"));
    let option = run(&[&["explain"], &june[..], &["--to-perod", "2026-07"]].concat(), folder);
    assert_eq!(option.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&option.stderr).contains("--to-period"));
    // Nobody's records were read.
    assert!(stdout(&run(&["audit", "verify"], folder)).contains("audit/explain.jsonl lines=0 "));
}

/// Runs the demo again and again, killed at random instants of the first part of what an undisturbed run takes; each kill is
/// followed by a start on the same folder. A run that comes to its end must have the expected files; after it a new folder is
/// begun.
fn killed(
    arguments: &[&str],
    whole: Duration,
    expected: &BTreeMap<String, Vec<u8>>,
    begin: &dyn Fn(u32) -> PathBuf,
) {
    let seed: u64 =
        std::env::var("RETTIDIG_KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_260_819);
    let kills: u32 = std::env::var("RETTIDIG_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(4);
    eprintln!("RETTIDIG_KILL_SEED={seed} RETTIDIG_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut killed, mut begun) = (0, 0);
    let mut current = begin(begun);
    while killed < kills {
        let mut child = rettidig()
            .args(arguments)
            .arg("--data")
            .arg(&current)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let until = Instant::now() + whole.mul_f64(random.f64() * 0.6);
        let ended = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break Some(status);
            }
            if Instant::now() >= until {
                break None;
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(2));
        };
        match ended {
            Some(status) => {
                assert!(status.success());
                assert_eq!(&latest(&current), expected, "seed {seed}, after {killed} kills");
                begun += 1;
                current = begin(begun);
            }
            None => {
                child.kill().expect("kill -9");
                child.wait().expect("wait");
                killed += 1;
            }
        }
    }
    stdout(&run(arguments, &current));
    assert_eq!(&latest(&current), expected, "seed {seed}, after {killed} kills");
}

#[test]
fn killed_anywhere_and_restarted_the_tables_are_the_same_bytes() {
    let (folder, _, whole) = undisturbed();
    let disturbed = tempfile::tempdir().expect("folder");
    let begin = |number: u32| disturbed.path().join(number.to_string());
    killed(&["demo", "--once"], *whole, &latest(folder), &begin);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// Goal: a day of the simulated stream that was cut short anywhere is delivered and evaluated as if nothing had happened.
/// Method: copies of the undisturbed release go on with four days of people, one undisturbed and one killed; each has a key of
/// its own, so nothing that is published may depend on pseudonyms. In the end the cells are recomputed.
#[test]
fn killed_in_the_stream_and_restarted_the_tables_are_the_same_bytes() {
    const STREAM: [&str; 8] = ["demo", "--once", "--days", "4", "--persons", "300", "--speed", "0"];
    let (release, _, _) = undisturbed();
    let folders = tempfile::tempdir().expect("folder");
    let begin = |name: String| {
        let folder = folders.path().join(name);
        copy(release, &folder);
        folder
    };
    let whole = begin("whole".to_owned());
    let begun = Instant::now();
    stdout(&run(&STREAM, &whole));
    let took = begun.elapsed();
    let expected = latest(&whole);
    assert!(expected != latest(release), "the stream changes the tables");
    killed(&STREAM, took, &expected, &|number| begin(number.to_string()));
    for entry in std::fs::read_dir(folders.path()).expect("folders") {
        let text = stdout(&run(&["recompute"], &entry.expect("an entry").path()));
        assert!(text.trim().ends_with("mismatches=0"), "{text}");
    }

    explains_persons(&whole);

    let other = run(&["demo", "--once", "--days", "4", "--persons", "301"], &whole);
    assert!(!other.status.success(), "a folder holds one country");
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(error.contains("--persons 300") && error.contains("--data"), "{error}");
    assert_eq!(latest(&whole), expected, "and nothing happened to it");
}

/// Goal: what the table shows of persons can be explained, with a line of who asked, and without anybody's pseudonym. Method: the
/// visible values with most persons behind them, as a user would ask; every pseudonym in the log is looked for in the answers.
fn explains_persons(folder: &Path) {
    let sql = "SELECT indicator, benefit, period, value FROM local_indicators WHERE area = '0000' AND value > 5 \
               AND indicator IN ('local_recipients', 'local_full_time_persons', 'local_mean_running_weeks') \
               AND period < '2026-08' ORDER BY period DESC, value DESC LIMIT 4";
    let rows: serde_json::Value =
        serde_json::from_str(&stdout(&run(&["query", "--json", sql], folder))).expect("JSON");
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 4, "{rows:?}");
    let persons: serde_json::Value = serde_json::from_str(&stdout(&run(
        &[
            "query",
            "--json",
            "--on",
            "local",
            "SELECT DISTINCT encode(person, 'hex') AS person FROM log_tail \
           UNION SELECT DISTINCT encode(person, 'hex') FROM log_settled",
        ],
        folder,
    )))
    .expect("JSON");
    let persons: Vec<&str> =
        persons.as_array().expect("persons").iter().map(|row| row["person"].as_str().expect("hex")).collect();
    assert!(persons.len() > 50, "{} persons", persons.len());
    for (number, row) in rows.iter().enumerate() {
        let text = |name: &str| row[name].as_str().expect(name);
        let value = [
            "--indicator",
            text("indicator"),
            "--area-kind",
            "country",
            "--area",
            "0000",
            "--benefit",
            text("benefit"),
            "--period",
            text("period"),
            "--as",
            "anna",
            "--events",
            "1000",
        ];
        let answer = explained(&value, folder);
        let micro = answer["to"]["micro"].as_i64().expect("a value");
        #[allow(clippy::cast_precision_loss, reason = "as the table does")]
        let shown = micro as f64 / 1_000_000.0;
        assert_eq!(Some(shown), row["value"].as_f64(), "the table shows it");
        let sum: i64 = parts(&answer).values().flatten().sum();
        assert_eq!(Some(sum), answer["difference_micro"].as_i64(), "{answer:#}");
        let answer = answer.to_string();
        assert!(persons.iter().all(|person| !answer.contains(person)), "{answer}");
        let verified = stdout(&run(&["audit", "verify"], folder));
        assert!(
            verified.contains(&format!("audit/explain.jsonl lines={} unfinished=0 ", number + 1)),
            "{verified}"
        );
    }
    let lines = std::fs::read_to_string(folder.join("audit/explain.jsonl")).expect("lines");
    let line: serde_json::Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    assert_eq!((line["as"].as_str(), line["question"]["area"].as_str()), (Some("anna"), Some("0000")));
    assert!(
        line["user"].is_string() && line["epoch"].is_u64() && !line.to_string().contains("micro"),
        "{line}"
    );

    // A line that was changed is found, and where none can be written there is no answer.
    std::fs::write(folder.join("audit/explain.jsonl"), lines.replacen("anna", "bent", 1)).expect("written");
    let broken = run(&["audit", "verify"], folder);
    assert_eq!(broken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("line 2 of"));
    std::fs::remove_dir_all(folder.join("audit")).expect("removed");
    std::fs::write(folder.join("audit"), "in the way").expect("a file in the way");
    let text = |name: &str| rows[0][name].as_str().expect(name);
    let refused = run(
        &[
            "explain",
            "--indicator",
            text("indicator"),
            "--area-kind",
            "country",
            "--area",
            "0000",
            "--benefit",
            text("benefit"),
            "--period",
            text("period"),
        ],
        folder,
    );
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing of persons is told without it"));
    std::fs::remove_file(folder.join("audit")).expect("removed");
}
