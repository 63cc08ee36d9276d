//! W1: payment events of the simulator, loaded as a backlog, then corrected.
//!
//! `cargo bench --workspace --bench persons -- DIR ROWS [files|kafka] [SEED]` (in the dev profile: `cargo test --workspace --bench
//! persons -- DIR ROWS`). Writes the rows as NDJSON below DIR and takes them in as one epoch, through the bulk door or from
//! the topics of an embedded broker. Writes the cells below DIR for `tests/bench/engines.py`. Then produces batches of 1, 100,
//! 10,000 and 100,000 corrections of random rows and awaits the epoch that covers each; opens the folder again; kills a process
//! that serves it, in the middle of 10,000 corrections, and times the next one; recomputes everything. Prints rates, percentiles,
//! resident memory, bytes on disk.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the output")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::io::{BufRead, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use parquet::arrow::ArrowWriter;
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock, ManualClock, Sink, SystemClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};
use rettidig_runtime::load::load;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Snapshot, Store, Worker};
use rettidig_serve::access::{Access, Reader};
use rettidig_serve::catalogue::Publisher;
use rettidig_serve::{Door, Ready, Server, Shown};
use rettidig_simulator::{SimulationOptions, payments_workload};
use rettidig_tests::Stages;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Lines kept to correct later.
const SAMPLE: usize = 200_000;

/// The instant of everything.
const NOW: &str = "2026-08-01T10:00:00Z";

/// Processes killed.
const KILLS: usize = 10;

/// How often a started process is asked.
const POLL: Duration = Duration::from_millis(10);

/// How long it is asked.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (Some(folder), Some(rows)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("give a folder and a number of rows");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if rows == "serve" {
        return runtime.block_on(serve(PathBuf::from(folder)));
    }
    let way = arguments.get(2).map_or("files", String::as_str);
    anyhow::ensure!(["files", "kafka"].contains(&way), "{way}: expected files or kafka");
    let seed = arguments.get(3).map_or(Ok(1), |seed| seed.parse())?;
    runtime.block_on(measure(PathBuf::from(folder), rows.parse()?, way == "kafka", seed))
}

fn broker_config(folder: &Path) -> BrokerConfig {
    BrokerConfig::new(folder.join("broker"), || SystemClock.now().timestamp_millis())
}

async fn open(data: &Path, metrics: &Arc<Metrics>) -> anyhow::Result<Engine> {
    let clock = Arc::new(ManualClock::new(NOW.parse()?));
    let model = Arc::new(Model::embedded()?);
    Ok(Engine::open(Store::local(data)?, model, clock, Arc::clone(metrics)).await?)
}

fn tell_size(data: &Path) {
    println!(
        "resident {} MiB, peak {} MiB, data folder {} MiB",
        memory("VmRSS:"),
        memory("VmHWM:"),
        bytes_below(data) >> 20
    );
}

/// Takes the rows in through the bulk door: one epoch.
async fn from_files(mut engine: Engine, input: &Path) -> anyhow::Result<Engine> {
    let begun = Instant::now();
    let loaded = load(&mut engine, &[input.to_owned()], NOW.parse()?, &mut |_| {}).await?;
    let settled = begun.elapsed().as_secs_f64();
    let report = engine.commit().await?;
    let all = begun.elapsed().as_secs_f64();
    println!(
        "back-fill from a file: {} lines, {} events, {} duplicates: {all:.1} s = {:.0} events/s (reading and evaluating \
         {settled:.1}, publishing {:.1})",
        loaded[0].lines,
        report.events,
        report.duplicates,
        loaded[0].lines as f64 / all,
        all - settled
    );
    Ok(engine)
}

/// Takes the rows in from the topics: one epoch. Producing is not measured.
async fn from_kafka(worker: &mut Worker, kafka: &KafkaConfig, input: &Path) -> anyhow::Result<()> {
    let mut sink = KafkaSink::connect(kafka)?;
    let (begun, mut count) = (Instant::now(), 0_u64);
    for line in std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(input)?).split(b'\n') {
        let line = line?;
        let person = line.windows(10).position(|window| window == b"\"person\":\"").map(|at| at + 10);
        let key = person.and_then(|at| line.get(at..at + 32)).context("a person")?;
        let key = String::from_utf8_lossy(key).into_owned();
        sink.send(Topic::Payments, &key, line).await?;
        count += 1;
    }
    sink.flush().await?;
    println!("produced {count} messages in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let report = worker.catch_up().await?.context("an epoch")?;
    let all = begun.elapsed().as_secs_f64();
    println!(
        "back-fill from Kafka: {count} messages, {} events, {} duplicates: {all:.1} s = {:.0} events/s",
        report.events,
        report.duplicates,
        count as f64 / all
    );
    Ok(())
}

/// Writes the cells of each measure as Parquet.
fn write_cells(engine: &Engine, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, rows) in engine.state().cells().cells()? {
        let file = std::fs::File::create(folder.join(format!("{name}.parquet")))?;
        let mut writer = ArrowWriter::try_new(file, rows.schema(), None)?;
        writer.write(&rows)?;
        writer.close()?;
    }
    Ok(())
}

/// Corrections of random rows: their amounts, taken back.
struct Corrections {
    lines: Vec<String>,
    random: fastrand::Rng,
    number: u64,
}

impl Corrections {
    /// Messages with their keys.
    fn batch(&mut self, size: usize) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        (0..size)
            .map(|_| {
                let line = &self.lines[self.random.usize(..self.lines.len())];
                let mut event: serde_json::Value = serde_json::from_str(line)?;
                self.number += 1;
                event["id"] = format!("correction-{}", self.number).into();
                event["amount_oere"] = (-event["amount_oere"].as_i64().unwrap_or(0)).into();
                let key = event["person"].as_str().context("a person")?.to_owned();
                Ok((key, event.to_string().into_bytes()))
            })
            .collect()
    }
}

async fn produce(sink: &mut KafkaSink, messages: Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for (key, payload) in messages {
        sink.send(Topic::Payments, &key, payload).await?;
    }
    Ok(sink.flush().await?)
}

/// Messages of payments that an epoch stands after.
fn covered(snapshot: Option<&Snapshot>) -> i64 {
    let positions = snapshot.and_then(|snapshot| snapshot.manifest.positions.get(Topic::Payments.name()));
    positions.into_iter().flat_map(|partitions| partitions.values()).map(|position| position.next).sum()
}

fn epoch(snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>) -> u64 {
    snapshots.borrow_and_update().as_ref().map_or(0, |snapshot| snapshot.manifest.epoch)
}

/// Produces batches one after the other; each is awaited until an epoch covers it.
async fn correct(
    corrections: &mut Corrections,
    snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>,
    kafka: &KafkaConfig,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let mut sink = KafkaSink::connect(kafka)?;
    let mut before = Stages::of(&metrics.exposition(None, NOW.parse()?)?);
    for (size, repeats) in [(1, 50), (100, 50), (10_000, 15), (100_000, 5)] {
        let mut times: Vec<Duration> = Vec::new();
        let first = epoch(snapshots);
        for _ in 0..repeats {
            let messages = corrections.batch(size)?;
            let wanted = covered(snapshots.borrow_and_update().as_deref()) + i64::try_from(size)?;
            let begun = Instant::now();
            produce(&mut sink, messages).await?;
            while covered(snapshots.borrow_and_update().as_deref()) < wanted {
                snapshots.changed().await?;
            }
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
        println!(
            "{size} corrections, from producing to the committed epoch: p50 {:.2} s, p99 {:.2} s of {repeats}, in {} epochs; \
             {:.0} corrections/s over all",
            at(50),
            at(99),
            epoch(snapshots) - first,
            size as f64 * f64::from(repeats) / times.iter().sum::<Duration>().as_secs_f64()
        );
        let stages = Stages::of(&metrics.exposition(None, NOW.parse()?)?);
        println!("    stages: {}", stages.means_since(Some(&before)));
        before = stages;
    }
    Ok(())
}

/// What runs in the process that is killed: broker, engine, worker and HTTP server on the folder, until killed. Says where the
/// server and the broker listen.
async fn serve(folder: PathBuf) -> anyhow::Result<()> {
    let data = folder.join("data");
    let broker = Broker::start(broker_config(&folder))?;
    let kafka = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
    let metrics = Arc::new(Metrics::new()?);
    let engine = open(&data, &metrics).await?;
    let ready: Arc<AtomicBool> = Arc::default();
    let shown = Shown {
        snapshots: engine.snapshots(),
        metrics,
        clock: Arc::new(ManualClock::new(NOW.parse()?)),
        folder: data,
        ready: Ready::Shows(Arc::clone(&ready)),
        model: Arc::new(Model::embedded()?),
        access: Access::all(Reader::Public),
        publisher: Publisher::default(),
    };
    let server = Server::start(Door::plain((Ipv4Addr::LOCALHOST, 0).into()), shown).await?;
    println!("{} {}", server.address(), kafka.brokers);
    std::io::stdout().flush()?;
    let mut worker = Worker::connect(engine, &kafka).await?;
    worker.catch_up().await?;
    ready.store(true, Ordering::Release);
    Ok(worker.run(&CancellationToken::new(), &mut |_| {}).await?)
}

/// A process that serves the folder; killed when it is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one; gives the addresses of its server and its broker.
fn start(folder: &Path) -> anyhow::Result<(Served, String, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = Served(command.arg(folder).arg("serve").stdout(Stdio::piped()).spawn()?);
    let mut line = String::new();
    let stdout = child.0.stdout.take().context("its output")?;
    std::io::BufReader::new(stdout).read_line(&mut line)?;
    let (server, broker) = line.trim().split_once(' ').context("two addresses")?;
    Ok((child, server.to_owned(), broker.to_owned()))
}

/// Asks until a path answers, for a while.
async fn answered(server: &str, path: &str) -> anyhow::Result<()> {
    let asking = async {
        let address = format!("http://{server}{path}");
        while !reqwest::get(&address).await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(ANSWER_MAX, asking).await.with_context(|| format!("{path} does not answer"))
}

/// Kills a process at a random instant while 10,000 corrections are evaluated and committed; times how long a new one takes to
/// serve the tables, and to have caught up.
async fn kill(folder: &Path, corrections: &mut Corrections) -> anyhow::Result<()> {
    let (mut serving, mut ready) = (Vec::new(), Vec::new());
    let (mut served, mut server, mut broker) = start(folder)?;
    for _ in 0..KILLS {
        answered(&server, "/readyz").await?;
        let kafka = KafkaConfig { brokers: broker.clone(), ..KafkaConfig::default() };
        produce(&mut KafkaSink::connect(&kafka)?, corrections.batch(10_000)?).await?;
        tokio::time::sleep(Duration::from_millis(corrections.random.u64(0..4_000))).await;
        let begun = Instant::now();
        drop(served);
        (served, server, broker) = start(folder)?;
        answered(&server, "/tables/local_indicators.parquet").await?;
        serving.push(begun.elapsed());
        answered(&server, "/readyz").await?;
        ready.push(begun.elapsed());
    }
    drop(served);
    for (what, times) in [("serving the tables", &mut serving), ("having caught up", &mut ready)] {
        times.sort_unstable();
        let at = |place: usize| times[place].as_secs_f64();
        println!("kill -9 to {what}: p50 {:.2} s, largest {:.2} s of {KILLS}", at(KILLS / 2), at(KILLS - 1));
    }
    Ok(())
}

/// A field of `/proc/self/status`, MiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

async fn measure(folder: PathBuf, rows: u64, is_kafka: bool, seed: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(&folder)?;
    let input = folder.join("payments-0001.ndjson");
    let data = folder.join("data");
    let begun = Instant::now();
    {
        let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(&input)?);
        let options = SimulationOptions { months: 120, seed, ..SimulationOptions::default() };
        let person = |cpr: &str| {
            // Spread like a keyed hash, without its cost: nobody is protected here.
            let mut state = 0xcbf2_9ce4_8422_2325_u128;
            for byte in cpr.bytes() {
                state = (state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            }
            (state ^ (state >> 61)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
        };
        let summary = payments_workload(&options, rows, &person, &mut out)?;
        out.flush()?;
        println!(
            "workload {} rows, {} corrections, {} duplicates, {} persons, {} MB, {:.1} s",
            summary.rows,
            summary.corrections,
            summary.duplicates,
            summary.persons,
            summary.bytes >> 20,
            begun.elapsed().as_secs_f64()
        );
    }
    let metrics = Arc::new(Metrics::new()?);
    let mut engine = open(&data, &metrics).await?;
    let begun = Instant::now();
    if !is_kafka {
        engine = from_files(engine, &input).await?;
    }
    let broker = Broker::start(broker_config(&folder))?;
    let kafka = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
    create_topics(&kafka).await?;
    let mut worker = Worker::connect(engine, &kafka).await?;
    if is_kafka {
        from_kafka(&mut worker, &kafka, &input).await?;
    }
    let took = serde_json::json!({ "seconds": begun.elapsed().as_secs_f64() });
    std::fs::write(folder.join("back-fill.json"), took.to_string())?;
    write_cells(worker.engine(), &folder.join("cells"))?;
    tell_size(&data);

    let step = usize::try_from(rows)? / SAMPLE.min(usize::try_from(rows)?);
    let lines: Vec<String> = std::io::BufReader::new(std::fs::File::open(&input)?)
        .lines()
        .step_by(step.max(1))
        .take(SAMPLE)
        .collect::<Result<_, _>>()?;
    let mut corrections = Corrections { lines, random: fastrand::Rng::with_seed(seed), number: 0 };
    let mut snapshots = worker.engine().snapshots();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let running = tokio::spawn(async move {
        let mut failed = None;
        let result = worker.run(&stop, &mut |report| failed = report.err().map(ToString::to_string)).await;
        (result, failed)
    });
    correct(&mut corrections, &mut snapshots, &kafka, &metrics).await?;
    shutdown.cancel();
    let (result, failed) = running.await?;
    result?;
    anyhow::ensure!(failed.is_none(), "{failed:?}");
    broker.shutdown().await?;
    tell_size(&data);
    let begun = Instant::now();
    let engine = open(&data, &Arc::new(Metrics::new()?)).await?;
    println!(
        "opened again in {:.2} s: {} rows, {} cells",
        begun.elapsed().as_secs_f64(),
        engine.shard().log().rows(),
        engine.state().cells().len()
    );
    drop(engine);
    kill(&folder, &mut corrections).await?;
    let model = Model::embedded()?;
    let begun = Instant::now();
    let comparison = recompute(&Store::local(&data)?, &model).await?;
    println!(
        "full recomputation {:.1} s: {} cells, mismatches={}",
        begun.elapsed().as_secs_f64(),
        comparison.cells,
        comparison.mismatches
    );
    anyhow::ensure!(comparison.mismatches == 0, "the cells differ from the recomputation");
    Ok(())
}
