//! Persons through the binary: the demo's daily stream, and `run` with feeds and pushed records.
//!
//! Goal: what the simulated source systems write becomes exactly the events they mean, and no CPR number goes further
//! than the drop folders. Method: real processes. The test runs the demo's simulation itself, notes every number that a
//! pseudonym is asked for, and looks for each of them in every byte that the demo left: files as they are, Parquet and
//! the broker's messages unpacked, dead letters decoded, stdout, stderr, /metrics. The search is shown to find them in
//! the files of the source systems.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use chrono::NaiveDate;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rettidig_event::{Clock as _, DeadLetter, SystemClock, Topic};
use rettidig_simulator::{Simulation, SimulationOptions, System};

/// How long anything may take.
const TIME_MAX: Duration = Duration::from_secs(240);

fn rettidig() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rettidig"));
    command.env_remove("RETTIDIG_PSEUDONYM_KEY").env_remove("RETTIDIG_LOG").stdin(Stdio::null());
    command
}

/// Numbers to look for.
struct Numbers(HashSet<[u8; 10]>);

impl Numbers {
    /// The first number in `bytes`, plain or with its hyphen.
    fn find(&self, bytes: &[u8]) -> Option<String> {
        let mut digits = [0; 10];
        for at in 0..bytes.len() {
            if !bytes[at].is_ascii_digit() {
                continue;
            }
            let (mut taken, mut next) = (0, at);
            while taken < 10 {
                match bytes.get(next) {
                    Some(digit) if digit.is_ascii_digit() => {
                        digits[taken] = *digit;
                        taken += 1;
                    }
                    Some(b'-') if taken == 6 && bytes[next - 1] != b'-' => {}
                    _ => break,
                }
                next += 1;
            }
            if taken == 10 && self.0.contains(&digits) {
                return Some(String::from_utf8_lossy(&digits).into_owned());
            }
        }
        None
    }

    fn assert_none(&self, bytes: &[u8], place: &str) {
        assert_eq!(self.find(bytes), None, "a number of a simulated person stands in {place}");
    }

    fn assert_none_in_batch(&self, batch: &RecordBatch, place: &str) {
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let place = format!("{place}, column {}", field.name());
            if column.data_type() == &DataType::Int64 {
                for value in column.as_primitive::<Int64Type>().values() {
                    self.assert_none(value.to_string().as_bytes(), &place);
                }
            } else if let Some(values) = column.as_fixed_size_binary_opt() {
                values.iter().flatten().for_each(|value| self.assert_none(value, &place));
            } else if let Ok(texts) = arrow::compute::cast(column, &DataType::Utf8) {
                for text in texts.as_string::<i32>().iter().flatten() {
                    self.assert_none(text.as_bytes(), &place);
                }
            } else {
                panic!("{place}: cannot be read as text: {}", column.data_type());
            }
        }
    }
}

/// What the demo's simulation says, until a day.
struct Said {
    numbers: Numbers,
    /// Source, id and revision of every event about a person.
    events: BTreeSet<(String, String, i64)>,
}

/// The simulation of `rettidig demo --persons N`.
fn simulated(persons: u64, through: &str) -> Said {
    let options = SimulationOptions {
        persons,
        months: 36,
        end: NaiveDate::from_ymd_opt(2028, 7, 31).expect("date"),
        ..SimulationOptions::default()
    };
    let through: NaiveDate = through.parse().expect("date");
    let numbers = RefCell::new(HashSet::new());
    let note = |cpr: &str| {
        numbers.borrow_mut().insert(cpr.as_bytes().try_into().expect("ten digits"));
        [0; 16]
    };
    let mut events = BTreeSet::new();
    let mut files = Vec::new();
    for day in Simulation::new(&options).take_while(|day| day.date <= through) {
        for file in day.files {
            file.for_each_event(&note, &mut |_, event| {
                let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
                let text = |name: &str| event[name].as_str().expect(name).to_owned();
                events.insert((text("source"), text("id"), event["revision"].as_i64().expect("revision")));
            });
            files.push(file);
        }
    }
    let numbers = Numbers(numbers.into_inner());
    assert!(numbers.0.len() > 50, "{} numbers are too few to look for", numbers.0.len());
    // The search finds what is there: every file of a source system names somebody.
    let mut found = 0;
    for file in files.iter().filter(|file| file.record_count() > 0) {
        let mut bytes = Vec::new();
        file.write_bytes(&|_| [0; 16], &mut bytes);
        let has_format = !matches!(file.system(), System::Language | System::Origin);
        assert_eq!(numbers.find(&bytes).is_some(), has_format, "{}", file.name());
        found += usize::from(has_format);
    }
    assert!(found > 100, "{found} files");
    Said { numbers, events }
}

fn get(address: &str, path: &str) -> std::io::Result<String> {
    request(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
}

fn request(address: &str, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Reads stderr to its end in a thread; sends the address of the HTTP server as soon as it is told.
fn stderr_of(child: &mut Child) -> (std::sync::mpsc::Receiver<String>, std::thread::JoinHandle<String>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().expect("stderr"));
    let thread = std::thread::spawn(move || {
        let mut text = String::new();
        for line in stderr.lines() {
            let line = line.expect("utf-8");
            if let Some((_, rest)) = line.split_once("http://")
                && let Some((address, _)) = rest.split_once("/metrics")
            {
                let _ = sender.send(address.to_owned());
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    });
    (receiver, thread)
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

/// Every message of every topic in a broker's folder.
fn messages(folder: &Path) -> Vec<(Topic, Vec<u8>)> {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let _entered = runtime.enter();
    let now = || SystemClock.now().timestamp_millis();
    let broker = rettidig_broker::Broker::start(rettidig_broker::BrokerConfig::new(folder.to_owned(), now));
    let broker = broker.expect("broker");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.address().to_string())
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .create()
        .expect("consumer");
    let wait = Duration::from_secs(20);
    let mut assignment = TopicPartitionList::new();
    let mut expected = 0;
    for topic in Topic::ALL {
        for partition in 0..topic.partitions() {
            let (low, high) = consumer.fetch_watermarks(topic.name(), partition, wait).expect("watermarks");
            expected += high - low;
            assignment.add_partition_offset(topic.name(), partition, Offset::Beginning).expect("partition");
        }
    }
    consumer.assign(&assignment).expect("assign");
    let mut messages = Vec::new();
    while i64::try_from(messages.len()).expect("few") < expected {
        let message = consumer.poll(wait).expect("a message in time").expect("a message");
        let topic = Topic::from_name(message.topic()).expect("a topic of ours");
        let mut bytes = message.key().unwrap_or_default().to_vec();
        bytes.push(b'\n');
        bytes.extend_from_slice(message.payload().unwrap_or_default());
        messages.push((topic, bytes));
    }
    drop(consumer);
    runtime.block_on(broker.shutdown()).expect("shutdown");
    messages
}

#[test]
fn the_daily_stream_arrives_whole_and_no_number_of_a_person_leaves_the_drop_folder() {
    let said = simulated(300, "2026-08-24");
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path();
    // A file that cannot be used, with the number of a person in it, so that there are dead letters to look at.
    let someone = said.numbers.0.iter().min().expect("someone");
    let someone = std::str::from_utf8(someone).expect("digits");
    let (birth, serial) = someone.split_at(6);
    std::fs::create_dir_all(data.join("drop/ky")).expect("folder");
    let broken = format!(
        "{{\"uuid\":\"{someone}\",\"cpr\":\"{birth}-{serial}\"\n{someone}\n{{\"uuid\":\"x\",\"cpr\":\"{someone}\"}}\n"
    );
    std::fs::write(data.join("drop/ky/ky-101-2020-01-05.ndjson"), broken).expect("file");

    let mut child = rettidig()
        .args(["demo", "--once", "--days", "2", "--persons", "300", "--speed", "0", "--json", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let (address, stderr) = stderr_of(&mut child);
    let (mut stdout, mut metrics, mut days) = (String::new(), Vec::new(), Vec::new());
    let mut told = None;
    for line in BufReader::new(child.stdout.take().expect("stdout")).lines() {
        let line = line.expect("utf-8");
        told = told.or_else(|| address.try_recv().ok());
        let object: serde_json::Value = serde_json::from_str(&line).expect("a JSON object a line");
        if object["day"].is_string() {
            days.push(object);
            // The last line may be the process's last breath.
            metrics.extend(told.as_ref().and_then(|address| get(address, "/metrics").ok()));
        }
        stdout.push_str(&line);
        stdout.push('\n');
    }
    let stderr = stderr.join().expect("stderr");
    assert!(child.wait().expect("wait").success(), "{stderr}");

    let dates: Vec<_> = days.iter().map(|day| day["day"].as_str().expect("day")).collect();
    assert_eq!(dates, ["2026-08-22", "2026-08-23", "2026-08-24"], "{stdout}");
    assert!(days[0]["events"].as_u64().expect("events") > 1_000, "{stdout}");
    let last = days.last().expect("days");
    assert_eq!(last["lag"], 0, "{stdout}");
    let audited: serde_json::Value =
        serde_json::from_str(stdout.lines().last().expect("lines")).expect("an object");
    assert_eq!(audited["audit_mismatch_cells"], 0, "{stdout}");
    assert!(days.iter().any(|day| day["corrections"].as_u64() > Some(0)), "{stdout}");
    assert_eq!(last["log_rows"].as_u64(), Some(said.events.len() as u64), "each event once: {stdout}");
    assert!(stderr.contains("demo.key"), "{stderr}");

    let output = rettidig().args(["recompute", "--data"]).arg(data).output().expect("recompute");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.trim().ends_with("mismatches=0"), "{text}");

    // Nowhere but in the drop folders, and those are empty.
    let mut files = Vec::new();
    files_below(&data.join("drop"), &mut files);
    assert_eq!(files, Vec::<PathBuf>::new(), "drop folders");
    files_below(data, &mut files);
    let (mut bytes_read, mut tables) = (0, 0);
    for path in &files {
        let bytes = std::fs::read(path).expect("file");
        bytes_read += bytes.len();
        said.numbers.assert_none(&bytes, &path.display().to_string());
        said.numbers.assert_none(path.to_string_lossy().as_bytes(), "the name of a file");
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let file = std::fs::File::open(path).expect("file");
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
            for batch in reader.expect("parquet").build().expect("reader") {
                said.numbers.assert_none_in_batch(&batch.expect("batch"), &path.display().to_string());
            }
            tables += 1;
        }
    }
    assert!(bytes_read > 1_000_000 && tables > 10, "{bytes_read} bytes, {tables} tables");
    said.numbers.assert_none(stdout.as_bytes(), "stdout");
    said.numbers.assert_none(stderr.as_bytes(), "stderr");
    assert!(metrics.iter().any(|text| text.contains("rettidig_log_rows")), "{metrics:?}");
    metrics.iter().for_each(|text| said.numbers.assert_none(text.as_bytes(), "/metrics"));
    let mut letters = Vec::new();
    for (topic, bytes) in messages(&data.join("broker")) {
        said.numbers.assert_none(&bytes, topic.name());
        if topic == Topic::DeadLetter {
            let payload = &bytes[bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)..];
            let letter: DeadLetter = serde_json::from_slice(payload).expect("a dead letter");
            said.numbers.assert_none(&letter.original_bytes().expect("base64"), "a dead letter");
            letters.push(letter);
        }
    }
    let planted = |letter: &&DeadLetter| letter.to_json().windows(16).any(|text| text == b"ky-101-2020-01-0");
    assert_eq!(letters.iter().filter(planted).count(), 3, "one for each broken line");
    let others: Vec<_> = letters.iter().filter(|letter| !planted(letter)).collect();
    assert!(others.is_empty(), "{} others, the first {:#?}", others.len(), &others[..others.len().min(3)]);
}

#[test]
fn no_key_no_start() {
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("rettidig.yaml");
    let place = folder.path().display();
    let text = format!("data: {place}/data\nfeeds: {{yr: {{place: {place}}}}}\n");
    std::fs::write(&config, text).expect("config");
    for command in ["run", "check"] {
        let output = rettidig().arg(command).arg("--config").arg(&config).output().expect("the binary runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("no pseudonym key is configured"), "{stderr}");
        assert!(stderr.contains("openssl rand -hex 32"), "{stderr}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was begun");
    let output = rettidig()
        .env("RETTIDIG_PSEUDONYM_KEY", "0123456789abcdef0123456789abcdef")
        .args(["check", "--config"])
        .arg(&config)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Goal: wages from a feed and a pushed payment of one person count; once the person's key is destroyed they still do, and what
/// comes of the person later is passed over. Method: the program, stopped and started again with the key that was cut.
#[test]
fn run_reads_a_feed_and_what_is_pushed_until_the_person_is_erased() {
    const TOKEN: &str = "fedcba9876543210fedcba9876543210";
    const CPR: &str = "6101701234";
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("income");
    std::fs::create_dir(&place).expect("folder");
    let wages = "cpr;maaned;loen_kr;timer;indberetning_id;revision\r\n6101701234;2026-06;21000;140;1;0\r\n";
    std::fs::write(place.join("income-101-2026-07-10.csv"), wages).expect("file");
    let shipped = rettidig_connectors::sources::default_feed_profile("income").expect("profile");
    let profile = folder.path().join("income.yaml");
    std::fs::write(&profile, shipped.replace("{ stable_seconds: 60 }", "rename")).expect("profile");
    std::fs::write(folder.path().join("token"), TOKEN).expect("token");
    let key = folder.path().join("key");
    let told = rettidig().args(["key", "new"]).arg(&key).output().expect("the binary runs");
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("key_id"));
    let mode = std::fs::metadata(&key).expect("key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = rettidig().args(["key", "new"]).arg(&key).output().expect("the binary runs");
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("is there already"),
        "a key is never written over"
    );
    let secret = std::fs::read_to_string(&key).expect("key");
    let secret = secret.lines().find_map(|line| line.strip_prefix("- ")).expect("a root").to_owned();
    let config = folder.path().join("rettidig.yaml");
    let below = folder.path().display();
    let text = format!(
        "data: {below}/data\nlisten: 127.0.0.1:0\npseudonym_key_file: {below}/key\n\
         connectors: {{jobindsats: {{enabled: false}}, statbank: {{enabled: false}}}}\n\
         feeds: {{wages: {{profile: {below}/income.yaml, place: {below}/income}}}}\n\
         push: {{enabled: true, clients: [{{municipality: 101, token_file: {below}/token}}]}}\n"
    );
    std::fs::write(&config, text).expect("config");
    let run = || {
        let mut command = rettidig();
        command.args(["run", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let (address, stderr) = stderr_of(&mut child);
        (child, address.recv_timeout(TIME_MAX).expect("the address"), stderr)
    };
    let stop = |mut child: Child, stderr: std::thread::JoinHandle<String>| {
        let ended = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().expect("kill");
        assert!(ended.success());
        assert!(child.wait().expect("wait").success());
        let stderr = stderr.join().expect("stderr");
        assert!(
            stderr.contains("key_id") && !stderr.contains(&secret) && !stderr.contains(TOKEN),
            "{stderr}"
        );
        assert!(!stderr.contains(CPR), "{stderr}");
        stderr
    };
    let push = |address: &str, token: &str, id: u32| {
        let body = format!(
            r#"{{"uuid":"a{id}","revision":0,"cpr":"{CPR}","kommune":101,"ydelseskode":"cash","startdato":"2026-07-06","slutdato":"2026-07-12","beloeb":1000.00,"timer":null,"slettet":false,"registreret":"2026-07-06T10:00:00Z"}}"#
        );
        let head = format!(
            "POST /push/ky HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             x-requestId: {id}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        request(address, &head).expect("an answer")
    };
    let (child, address, stderr) = run();
    assert!(push(&address, "somebody else's token, of 32 bytes", 1).starts_with("HTTP/1.1 401"));
    let answer = push(&address, TOKEN, 1);
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains(r#""accepted":1"#), "{answer}");
    assert!(push(&address, TOKEN, 1).starts_with("HTTP/1.1 412"), "the same request again");
    let counts = |address: &str| {
        let begun = Instant::now();
        let rows = |metrics: &str| metrics.lines().any(|line| line == "rettidig_log_rows 2");
        while !get(address, "/metrics").is_ok_and(|metrics| rows(&metrics)) {
            assert!(begun.elapsed() < TIME_MAX, "{:?}", get(address, "/metrics"));
            std::thread::park_timeout(Duration::from_millis(50));
        }
    };
    counts(&address);
    stop(child, stderr);
    let erase = |numbers: &str| {
        let mut command = rettidig();
        command
            .args(["key", "erase"])
            .arg(&key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        child.stdin.take().expect("piped").write_all(numbers.as_bytes()).expect("stdin");
        let output = child.wait_with_output().expect("wait");
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (done, told) = erase(&format!("{CPR}\n6199991234\n"));
    assert!(!done && told.contains("line 2 of stdin") && !told.contains(CPR), "{told}");
    assert!(std::fs::read_to_string(&key).expect("key").contains(&secret), "nothing is changed by half");
    let (done, told) = erase(&format!("{CPR}\n610170-1234\n"));
    assert!(done && told.starts_with("1 erased, 1 were before; 1 in all"), "{told}");
    assert!(!std::fs::read_to_string(&key).expect("key").contains(&secret), "the root is gone");
    let (child, address, stderr) = run();
    let answer = push(&address, TOKEN, 2);
    assert!(answer.contains(r#""accepted":0"#) && answer.contains(r#""rejected":0"#), "{answer}");
    counts(&address);
    let stderr = stop(child, stderr);
    assert!(stderr.contains("erased"), "{stderr}");
}
