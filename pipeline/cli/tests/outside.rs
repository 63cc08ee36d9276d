//! `rettidig run` on Apache Kafka, seen by a client that shares no code with it (`tests/python/kafka/client.py`).
//!
//! Goal: what stands on the topics is plain Kafka, and what anybody puts there in the form of the contract counts.
//! Method: a broker of the test's own, the real binary with a configuration file, and kafka-python.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rettidig_tests::apache::Apache;

/// Time for the binary to start.
const STARTED_WITHIN: Duration = Duration::from_secs(120);

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn rettidig(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rettidig"));
    command.args(arguments).arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Starts `rettidig run`; where its metrics are.
fn run(config: &Path) -> (Running, String) {
    let mut child = rettidig(&["run"], config).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let running = Running(child);
    let (sender, lines) = channel();
    // Read as long as it runs: a full pipe would stop it.
    std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut before = Vec::new();
    loop {
        let line = lines.recv_timeout(STARTED_WITHIN).unwrap_or_else(|_| panic!("{}", before.join("\n")));
        match line.split_whitespace().find(|word| word.ends_with("/metrics")) {
            Some(address) => return (running, address.to_owned()),
            None => before.push(line),
        }
    }
}

#[test]
fn a_client_that_knows_only_the_contract_produces_and_reads() {
    let broker = Apache::start().unwrap_or_else(|error| panic!("{error:#}"));
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("rettidig.yaml");
    let text = format!(
        "data: {}\nlisten: 127.0.0.1:0\nkafka: {{brokers: '{}'}}\n\
         connectors: {{jobindsats: {{enabled: false}}, statbank: {{enabled: false}}}}\n",
        folder.path().join("data").display(),
        broker.bootstrap()
    );
    std::fs::write(&config, text).expect("written");
    let check = |online: &str| {
        let output =
            rettidig(&["check", online], &config).stderr(Stdio::piped()).output().expect("the binary runs");
        (output.status.success(), String::from_utf8(output.stderr).expect("text"))
    };
    let (is_well, said) = check("--online");
    assert!(
        !is_well && said.contains("topic rettidig.official does not exist: create it with 4 partitions"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 6, "one line each: {said}");

    let (running, metrics) = run(&config);
    let (is_well, said) = check("--online");
    assert!(is_well, "run has made the topics: {said}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("scripts/python.sh"))
        .env("RETTIDIG_REQUIREMENTS", "tests/python/kafka/requirements.txt")
        .args(["tests/python/kafka/client.py", "--brokers", &broker.bootstrap(), "--metrics", &metrics])
        .output()
        .expect("Python runs");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("ok: 3 records read back"), "{said}");
    drop(running);
}
