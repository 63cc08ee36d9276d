//! SQL over the whole log: in this process and on a Ballista cluster of a scheduler and two executors.
//!
//! Goal: it is the same everywhere, equals the committed epoch, and would not if the log were another. Method: processes of
//! the binary on a loaded country; whole outputs are compared.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rettidig_event::ManualClock;
use rettidig_model::Model;
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_tests::apache::free_port;
use rettidig_tests::events::event;
use rettidig_tests::{Bench, SMALL};
use serde_json::Value;

/// Longest wait for a process to be there, and for an answer.
const LIMIT: Duration = Duration::from_secs(120);

fn rettidig(arguments: &[&str]) -> Output {
    // A cluster may lose a job without a word; the test shall not wait for it.
    let limit = LIMIT.as_secs().to_string();
    let mut command = Command::new("timeout");
    command.args([&limit, env!("CARGO_BIN_EXE_rettidig")]).args(arguments);
    command.env("RETTIDIG_LOG", "warn").output().expect("the binary runs")
}

/// What a command that succeeds writes.
fn stdout(arguments: &[&str]) -> String {
    let output = rettidig(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What a command that fails complains of.
fn complaint(arguments: &[&str]) -> String {
    let output = rettidig(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process of a cluster; killed when dropped.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str], log: &Path) -> Self {
        let file = std::fs::File::create(log).expect("log");
        let child = Command::new(env!("CARGO_BIN_EXE_rettidig"))
            .arg("ballista")
            .args(arguments)
            .env("RETTIDIG_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        Self(child.expect("the binary starts"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(port: u16, log: &Path) {
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(begun.elapsed() < LIMIT, "nobody listens at {port}: {}", said());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A data folder: most rows settled in bucket files, others in the tail, some of them in both.
fn filled(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let rows = shuffled(&random_rows(5, 60, &Options::default()), 5);
    let events: Vec<_> = (0..rows.num_rows()).map(|row| event(&rows, row)).collect();
    let (most, rest) = events.split_at(events.len() * 2 / 3);
    let fill = async {
        let model = Arc::new(Model::embedded().expect("model"));
        let clock = Arc::new(ManualClock::new("2026-08-20T10:00:00Z".parse().expect("instant")));
        let mut bench = Bench::open_with(&data, &model, &clock, SMALL).await;
        bench.accept(most).await;
        bench.engine().commit().await.expect("committed");
        for piece in rest.chunks(rest.len().div_ceil(8)) {
            bench.accept(piece).await;
            bench.engine().commit().await.expect("committed");
        }
    };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(fill);
    data
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

const QUERIES: [&str; 6] = [
    // Published, raw, staged, local with our aggregate, added up.
    "SELECT count(*) AS n, count(DISTINCT area) AS areas FROM local_indicators",
    "SELECT kind, op, is_current, count(*) AS n, sum(\"rank\") AS ranks FROM event_person
     GROUP BY kind, op, is_current ORDER BY kind, op, is_current",
    "SELECT 'settled' AS place, count(*) AS n FROM log_settled UNION ALL SELECT 'tail', count(*) FROM log_tail ORDER BY place",
    // Branches with different numbers of operators.
    "SELECT count(*) AS n, sum(number) AS total FROM (
        SELECT amount_oere AS number FROM log_settled WHERE kind = 0
        UNION ALL SELECT count(*) FROM log_official
        UNION ALL SELECT revision FROM log_settled WHERE source IN (SELECT source FROM log_settled WHERE kind = 6)
     )",
    "SELECT benefit, count(*) AS spells, sum(last_day - first_day + 1) AS days, month_text(max(month_of(last_day))) AS month
     FROM spells GROUP BY benefit ORDER BY benefit",
    "SELECT \"month\", sum(covered_days) AS days, sum(recipients) AS recipients FROM covered
     WHERE breakdown = 'total' GROUP BY \"month\" ORDER BY \"month\"",
];

#[test]
fn a_cluster_and_this_process_give_what_the_epoch_says() {
    let folder = tempfile::tempdir().expect("folder");
    let path = filled(folder.path());
    let data = path.to_str().expect("path");
    let expected = stdout(&["recompute", "--json", "--data", data]);
    let compared: Value = serde_json::from_str(&expected).expect("JSON");
    assert!(compared["cells"].as_u64() > Some(50_000) && compared["mismatches"] == 0, "{expected}");
    assert_eq!(stdout(&["recompute", "--on", "local", "--json", "--data", data]), expected);

    let (scheduler, ports) = (free_port(), [free_port(), free_port()]);
    let address = format!("127.0.0.1:{scheduler}");
    let on = format!("ballista://{address}");
    let refused = complaint(&["recompute", "--on", &on, "--data", data]);
    assert!(refused.contains(&address) && refused.contains("rettidig ballista scheduler"), "{refused}");

    let log = folder.path().join("scheduler.log");
    let mut processes = vec![Process::start(&["scheduler", "--bind", &address], &log)];
    wait_for(scheduler, &log);
    let idle = complaint(&["query", "SELECT 1", "--on", &on, "--data", data]);
    assert!(idle.contains("no executor") && idle.contains("rettidig ballista executor"), "{idle}");
    let works = [folder.path().join("first"), folder.path().join("second")];
    for (port, work) in ports.iter().zip(&works) {
        std::fs::create_dir(work).expect("folder");
        let (bind, log) = (format!("127.0.0.1:{port}"), work.with_extension("log"));
        let (control, work) = (free_port().to_string(), work.to_str().expect("path"));
        let options = ["executor", "--scheduler", &address, "--bind", &bind, "--control-port", &control];
        processes.push(Process::start(&[&options[..], &["--threads", "1", "--work", work]].concat(), &log));
        wait_for(*port, &log);
    }
    assert_eq!(stdout(&["recompute", "--on", &on, "--json", "--data", data]), expected);
    for work in &works {
        assert!(files_below(work) > 10, "{} did its share", work.display());
    }
    for query in QUERIES {
        let here = stdout(&["query", query, "--on", "local", "--json", "--data", data]);
        let rows: Value = serde_json::from_str(&here).expect("JSON");
        assert!(rows.as_array().is_some_and(|rows| !rows.is_empty()), "{query}: {here}");
        assert_eq!(stdout(&["query", query, "--on", &on, "--json", "--data", data]), here, "{query}");
    }
    for (wrong, says) in [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT no_such_column FROM covered", "no_such_column"),
        ("SELEC 1", "SELEC"),
        ("CREATE TABLE mine AS SELECT 1", "DDL"),
        ("COPY (SELECT 1) TO 'mine.parquet'", "DML"),
    ] {
        for on in ["local", &on] {
            let told = complaint(&["query", wrong, "--on", on, "--data", data]);
            assert!(told.contains(says), "{wrong}: {told}");
        }
    }
    assert_eq!(files_below(&path.join("scratch")), 0, "what was made on the way is gone");

    // A check that can fail: the rows of the first load in place of those of the second.
    let log =
        std::fs::read_dir(path.join("log/persons")).expect("log").map(|file| file.expect("file").path());
    let mut files: Vec<PathBuf> = log.filter(|file| file.is_file()).collect();
    files.sort_by_key(|file| std::fs::metadata(file).expect("file").len());
    std::fs::copy(&files[files.len() - 1], &files[0]).expect("copied");
    for on in ["local", &on] {
        let output = rettidig(&["recompute", "--on", on, "--json", "--data", data]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(1), "{found}");
        assert!(found["mismatches"].as_u64() > Some(0), "{found}");
    }
}
