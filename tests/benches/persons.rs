//! W1: payment events of the simulator, loaded as a backlog, then corrected.
//!
//! `cargo bench --workspace --bench persons -- DIR ROWS [files|kafka] [SEED]` (in the dev profile: `cargo test --workspace --bench
//! persons -- DIR ROWS`). Writes the rows as NDJSON below DIR and takes them in as one epoch, through the bulk door or from
//! the topics of an embedded broker. Writes the cells below DIR for `tests/bench/engines.py`. Then commits batches of 1, 100,
//! 10,000 and 100,000 corrections of random rows, opens the folder again, and recomputes everything. Prints rates, percentiles from hand-over to committed epoch, resident memory, bytes on disk.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the output")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use parquet::arrow::ArrowWriter;
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock, ManualClock, Sink, SystemClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::ingest::OwnedMessage;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics};
use rettidig_runtime::load::load;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Store, Worker};
use rettidig_simulator::{SimulationOptions, payments_workload};

/// Lines kept to correct later.
const SAMPLE: usize = 200_000;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (Some(folder), Some(rows)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("give a folder and a number of rows");
        return Ok(());
    };
    let way = arguments.get(2).map_or("files", String::as_str);
    anyhow::ensure!(["files", "kafka"].contains(&way), "{way}: expected files or kafka");
    let seed = arguments.get(3).map_or(Ok(1), |seed| seed.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(PathBuf::from(folder), rows.parse()?, way == "kafka", seed))
}

/// Takes the rows in through the bulk door: one epoch.
async fn from_files(mut engine: Engine, input: &Path, clock: &ManualClock) -> anyhow::Result<Engine> {
    let begun = Instant::now();
    let loaded = load(&mut engine, &[input.to_owned()], clock.now(), &mut |_| {}).await?;
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

/// Takes the rows in from the topics of a broker that runs beside it: one epoch. Producing is not measured.
async fn from_kafka(engine: Engine, input: &Path, broker: &Path) -> anyhow::Result<Engine> {
    let broker = Broker::start(BrokerConfig::new(broker, || SystemClock.now().timestamp_millis()))?;
    let kafka = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
    create_topics(&kafka).await?;
    let mut worker = Worker::connect(engine, &kafka).await?;
    let mut sink = KafkaSink::connect(&kafka)?;
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
    let engine = worker.into_engine();
    broker.shutdown().await?;
    Ok(engine)
}

/// Writes the cells of each measure as Parquet.
fn write_cells(engine: &Engine, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, rows) in engine.persons().cells().cells()? {
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
    fn batch(&mut self, size: i64) -> anyhow::Result<Vec<OwnedMessage>> {
        (0..size)
            .map(|offset| {
                let line = &self.lines[self.random.usize(..self.lines.len())];
                let mut event: serde_json::Value = serde_json::from_str(line)?;
                self.number += 1;
                event["id"] = format!("correction-{}", self.number).into();
                event["amount_oere"] = (-event["amount_oere"].as_i64().unwrap_or(0)).into();
                Ok(OwnedMessage { partition: 0, offset, payload: event.to_string().into_bytes() })
            })
            .collect()
    }
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
    let clock = Arc::new(ManualClock::new("2026-08-01T10:00:00Z".parse::<DateTime<Utc>>()?));
    let model = Arc::new(Model::embedded()?);
    let open = || async {
        let clock: Arc<dyn Clock> = clock.clone();
        Engine::open(Store::local(&data)?, Arc::clone(&model), clock, Arc::new(Metrics::new()?))
            .await
            .map_err(anyhow::Error::from)
    };
    let engine = open().await?;
    let begun = Instant::now();
    let mut engine = match is_kafka {
        true => from_kafka(engine, &input, &folder.join("broker")).await?,
        false => from_files(engine, &input, &clock).await?,
    };
    let took = serde_json::json!({ "seconds": begun.elapsed().as_secs_f64() });
    std::fs::write(folder.join("back-fill.json"), took.to_string())?;
    write_cells(&engine, &folder.join("cells"))?;
    println!(
        "resident {} MiB, peak {} MiB, data folder {} MiB",
        memory("VmRSS:"),
        memory("VmHWM:"),
        bytes_below(&data) >> 20
    );

    let step = usize::try_from(rows)? / SAMPLE.min(usize::try_from(rows)?);
    let lines: Vec<String> = std::io::BufReader::new(std::fs::File::open(&input)?)
        .lines()
        .step_by(step.max(1))
        .take(SAMPLE)
        .collect::<Result<_, _>>()?;
    let mut corrections = Corrections { lines, random: fastrand::Rng::with_seed(seed), number: 0 };
    for (size, repeats) in [(1, 50), (100, 50), (10_000, 15), (100_000, 5)] {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..repeats {
            let messages = corrections.batch(size)?;
            let begun = Instant::now();
            engine.accept(Topic::Payments, &messages).await?;
            engine.settle().await?;
            engine.commit().await?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
        println!(
            "{size} corrections: p50 {:.2} s, p99 {:.2} s of {repeats}; {:.0} corrections/s over all",
            at(50),
            at(99),
            size as f64 * f64::from(repeats) / times.iter().sum::<Duration>().as_secs_f64()
        );
    }
    println!(
        "resident {} MiB, peak {} MiB, data folder {} MiB",
        memory("VmRSS:"),
        memory("VmHWM:"),
        bytes_below(&data) >> 20
    );
    drop(engine);
    let begun = Instant::now();
    let engine = open().await?;
    println!(
        "opened again in {:.2} s: {} rows, {} cells",
        begun.elapsed().as_secs_f64(),
        engine.persons().log().rows(),
        engine.persons().cells().len()
    );
    drop(engine);
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
