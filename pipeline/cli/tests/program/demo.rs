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

#[test]
fn explain_names_the_events_and_files() {
    let (folder, _, _) = undisturbed();
    let arguments =
        ["explain", "--json", "--indicator", "full_time_unemployed", "--area", "0155", "--period", "2026-06"];
    let answer: serde_json::Value = serde_json::from_str(&stdout(&run(&arguments, folder))).expect("JSON");
    assert_eq!(answer["definition"], "sql/indicators/full_time_unemployed.sql");
    let events = answer["events"].as_array().expect("events");
    // Two municipalities, read at three polls.
    assert_eq!(events.len(), 6, "{answer:#}");
    assert!(events.iter().all(|event| folder.join(event["file"].as_str().expect("file")).exists()));
    let unknown =
        run(&["explain", "--indicator", "nonsense", "--area", "0101", "--period", "2026-06"], folder);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("choose one of"));
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
    let mut killed = 0;
    let mut current = begin(0);
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
                current = begin(killed);
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

    let other = run(&["demo", "--once", "--days", "4", "--persons", "301"], &whole);
    assert!(!other.status.success(), "a folder holds one country");
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(error.contains("--persons 300") && error.contains("--data"), "{error}");
    assert_eq!(latest(&whole), expected, "and nothing happened to it");
}
