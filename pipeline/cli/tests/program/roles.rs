//! Processes with roles on Apache Kafka: killed, paused past their session, started again, more and fewer of them.
//!
//! Goal: nothing lost and nothing twice. Method: workers and committers run as real processes of the binary; while events
//! arrive, one after the other is killed (`kill -9`) or stands still (`SIGSTOP`) until its partitions have passed to
//! another, and goes on then. At the end the cells are those that one process makes of the same events, and those of a
//! recomputation from the log. `RETTIDIG_SEEDS` says how often (`make faults`).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use rettidig_event::{ManualClock, Sink, Topic};
use rettidig_model::Model;
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics_of_roles};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Manifest, Store};
use rettidig_tests::apache::{Apache, Settings};
use rettidig_tests::cells::{Shown, differences, of_epoch};
use rettidig_tests::events::{ends, event, key};
use rettidig_tests::seeds;

/// Longest wait for everything to be committed after a fault.
const LIMIT: Duration = Duration::from_secs(120);

/// Time after which Kafka gives the partitions of a silent process to others.
const SESSION: Duration = Duration::from_secs(2);

/// A process of the binary; killed when dropped.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(folder: &Path, role: &str, name: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::options().append(true).create(true).open(&log).expect("log");
        let child = Command::new(env!("CARGO_BIN_EXE_rettidig"))
            .args(["run", "--role", role, "--instance", name, "--config"])
            .arg(folder.join("rettidig.yaml"))
            .env("RETTIDIG_LOG", "rettidig_runtime=info,rettidig=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        Self { child, log }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success(), "{signal}");
    }

    /// What it has said.
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until an epoch stands at the ends of the topics.
async fn settled(store: &Store, kafka: &KafkaConfig, processes: &[Process]) -> Manifest {
    let (ends, begun) = (ends(kafka), Instant::now());
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        if let Some((manifest, _)) = Manifest::newest(store).await.expect("the newest epoch") {
            let next = |topic: Topic, partition: &i32| {
                Some(manifest.positions.get(topic.name())?.get(partition)?.next)
            };
            if ends.iter().all(|((topic, partition), end)| next(*topic, partition).unwrap_or(0) >= *end) {
                return manifest;
            }
        }
        if begun.elapsed() > LIMIT {
            let said: Vec<String> = processes.iter().map(Process::said).collect();
            panic!("not everything was committed in time\n{}", said.join("\n--\n"));
        }
    }
}

/// The cells that one process makes of the same events on the same day.
async fn undisturbed(rows: &RecordBatch, model: &Arc<Model>, like: &Manifest) -> Shown {
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::local(folder.path()).expect("store");
    let clock = Arc::new(ManualClock::new(like.as_of.and_hms_opt(10, 0, 0).expect("time").and_utc()));
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let mut engine = Engine::open(store.clone(), Arc::clone(model), clock, metrics).await.expect("engine");
    engine.take_rows(rows.clone()).await.expect("taken");
    engine.settle().await.expect("settled");
    engine.commit().await.expect("committed");
    of_epoch(&store, model, engine.manifest().expect("an epoch")).await
}

async fn produce(kafka: &KafkaConfig, rows: &RecordBatch, range: std::ops::Range<usize>) {
    let mut sink = KafkaSink::connect(kafka).expect("sink");
    for row in range {
        let (topic, payload) = event(rows, row);
        sink.send(topic, &key(rows, row), payload).await.expect("sent");
    }
    sink.flush().await.expect("acknowledged");
}

/// What happens to one process while events arrive.
#[derive(Debug, Clone, Copy)]
enum Fault {
    KillWorker,
    PauseWorker,
    KillCommitter,
    PauseCommitter,
    OneMoreWorker,
    OneWorkerLess,
}

const FAULTS: [Fault; 6] = [
    Fault::KillWorker,
    Fault::PauseCommitter,
    Fault::OneMoreWorker,
    Fault::PauseWorker,
    Fault::KillCommitter,
    Fault::OneWorkerLess,
];

async fn run(seed: u64, kafka: &KafkaConfig) {
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::local(&folder.path().join("data")).expect("store");
    let mut config = std::fs::File::create(folder.path().join("rettidig.yaml")).expect("config");
    write!(
        config,
        "data: {}\nlisten: 127.0.0.1:0\nkafka:\n  brokers: {}\n  settings:\n    session.timeout.ms: '{}'\n    \
         heartbeat.interval.ms: '300'\nconnectors: {{jobindsats: {{enabled: false}}, statbank: {{enabled: false}}}}\n",
        folder.path().join("data").display(),
        kafka.brokers,
        SESSION.as_millis(),
    )
    .expect("config");
    let model = Arc::new(Model::embedded().expect("model"));
    let rows = shuffled(&random_rows(seed, 60, &Options::default()), seed);
    let start = |role: &str, name: &str| Process::start(folder.path(), role, name);
    let mut processes = vec![
        start("committer", "committer-1"),
        start("committer", "committer-2"),
        start("worker", "worker-1"),
        start("worker", "worker-2"),
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faults = FAULTS.to_vec();
    random.shuffle(&mut faults);
    let pieces = faults.len() + 1;
    let piece = |number: usize| number * rows.num_rows() / pieces..(number + 1) * rows.num_rows() / pieces;
    produce(kafka, &rows, piece(0)).await;
    settled(&store, kafka, &processes).await;
    for (number, fault) in faults.iter().enumerate() {
        // The fault comes while these are evaluated or committed.
        produce(kafka, &rows, piece(number + 1)).await;
        let begun = Instant::now();
        match fault {
            Fault::KillWorker => {
                drop(processes.remove(2));
                processes.insert(2, start("worker", "worker-1"));
            }
            Fault::KillCommitter => {
                let which = random.usize(0..2);
                drop(processes.remove(which));
                processes.insert(which, start("committer", &format!("committer-{}", which + 1)));
            }
            Fault::PauseWorker | Fault::PauseCommitter => {
                let paused: &[usize] = if matches!(fault, Fault::PauseWorker) { &[3] } else { &[0, 1] };
                for which in paused {
                    processes[*which].signal("-STOP");
                    tokio::time::sleep(SESSION * 3).await;
                    processes[*which].signal("-CONT");
                }
            }
            Fault::OneMoreWorker => processes.push(start("worker", "worker-3")),
            Fault::OneWorkerLess => drop(processes.remove(2)),
        }
        if processes.len() < 4 {
            processes.insert(2, start("worker", "worker-1"));
        }
        let manifest = settled(&store, kafka, &processes).await;
        let seconds = begun.elapsed().as_secs_f64();
        let told =
            writeln!(std::io::stderr(), "seed {seed}: {fault:?}: epoch {}, {seconds:.1} s", manifest.epoch);
        told.expect("stderr");
    }
    let manifest = settled(&store, kafka, &processes).await;
    drop(processes);
    let found =
        differences(&of_epoch(&store, &model, &manifest).await, &undisturbed(&rows, &model, &manifest).await);
    let first = found[..found.len().min(20)].join("\n");
    assert!(found.is_empty(), "seed {seed}: {} differ\n{first}", found.len());
    let comparison = recompute(&store, &model).await.expect("recomputed");
    assert_eq!(comparison.mismatches, 0, "seed {seed}: {:?}", comparison.by_table);
    assert!(manifest.term > 1, "seed {seed}: another committer has taken over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_die_and_stand_still_and_the_cells_are_those_of_one_process() {
    for seed in seeds(1) {
        let properties = vec![("group.min.session.timeout.ms".to_owned(), "1000".to_owned())];
        let settings = Settings { properties, ..Settings::default() };
        let cluster = Apache::start_with(1, &settings).expect("Apache Kafka");
        let kafka = KafkaConfig { brokers: cluster.bootstrap(), ..KafkaConfig::default() };
        create_topics_of_roles(&kafka).await.expect("topics");
        run(seed, &kafka).await;
    }
}
