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

#[test]
fn killed_anywhere_and_restarted_the_tables_are_the_same_bytes() {
    let (folder, _, whole) = undisturbed();
    let expected = latest(folder);
    let seed: u64 =
        std::env::var("RETTIDIG_KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_260_819);
    let kills: u32 = std::env::var("RETTIDIG_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(4);
    eprintln!("RETTIDIG_KILL_SEED={seed} RETTIDIG_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let disturbed = tempfile::tempdir().expect("folder");
    let mut killed = 0;
    // Each kill falls into what a fresh run would take; once the last epoch is there, a new folder is begun.
    let mut current = disturbed.path().join("0");
    while killed < kills {
        let mut child = rettidig()
            .args(["demo", "--once", "--data"])
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
                assert_eq!(latest(&current), expected, "seed {seed}, after {killed} kills");
                current = disturbed.path().join(format!("{killed}"));
            }
            None => {
                child.kill().expect("kill -9");
                child.wait().expect("wait");
                killed += 1;
            }
        }
    }
    stdout(&run(&["demo", "--once"], &current));
    assert_eq!(latest(&current), expected, "seed {seed}, after {killed} kills");
}
