//! `rettidig run` on Apache Kafka, seen by a client that shares no code with it (`tests/python/kafka/client.py`).
//!
//! Goal: what stands on the topics is plain Kafka, and what anybody puts there in the form of the contract counts.
//! Method: a broker of the test's own, the real binary with a configuration file, and kafka-python.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rettidig_tests::apache::Apache;

/// Time for the binary to start.
const STARTED_WITHIN: Duration = Duration::from_secs(120);

/// A process that ends with the test, and what it says.
struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn said(&self) -> Vec<String> {
        self.said.lock().expect("no panic while it is held").clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let running = Running { child, said: Arc::default() };
    let (said, (sender, address)) = (Arc::clone(&running.said), channel());
    // Read as long as it runs: a full pipe would stop it.
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            if let Some(address) = line.split_whitespace().find(|word| word.ends_with("/metrics")) {
                let _ = sender.send(address.to_owned());
            }
            said.lock().expect("no panic while it is held").push(line);
        }
    });
    let address = address.recv_timeout(STARTED_WITHIN);
    let address = address.unwrap_or_else(|_| panic!("it does not start: {}", running.said().join("\n")));
    (running, address)
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
    assert!(
        output.status.success() && said.contains("ok: 3 records read back"),
        "{said}\n{:#?}",
        running.said()
    );
}
