//! Apache Kafka beside what it feeds: the same payments read by a bare consumer, by one process, and by workers and a
//! committer; then how fresh what follows is.
//!
//! `scripts/bench.sh --bench apache -- DIR ROWS [SECONDS [RATE [WORKERS]]]`. Starts one broker (`RETTIDIG_KAFKA_JARS`, see `scripts/kafka.sh`),
//! produces ROWS payments of the simulator, and times how long it takes to have them all: librdkafka with no work at all, one
//! process, one and two workers (tasks of this process, as the broker is on these two cores too), or only with WORKERS (0: one
//! process). After each, RATE (100) payments a second arrive for SECONDS (30): their freshness is from producing to the
//! committed epoch. What waits at most and the memory at the beginning, halfway and at the end tell how a load is borne that is
//! more than can be worked off, and how soon that is made up for.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the output")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_event::{ManualClock, Sink, Topic};
use rettidig_model::Model;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink, create_topics_of_roles};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::persons::Limits;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::roles::{Setting, run_committer, run_worker};
use rettidig_runtime::{Engine, Snapshot, Store, Worker};
use rettidig_simulator::{PaymentsWorkload, SimulationOptions};
use rettidig_tests::apache::{Apache, Settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The instant of everything.
const NOW: &str = "2026-08-01T10:00:00Z";

/// Rows written at once.
const PIECE: u64 = 10_000;

/// Batches of payments that arrive a second.
const BATCHES: u64 = 10;

/// What follows the payments that are there at first.
#[derive(Debug, Clone, Copy)]
struct Load {
    seconds: u64,
    /// Payments a second.
    rate: u64,
}

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (Some(folder), Some(rows)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("give a folder and a number of rows");
        return Ok(());
    };
    let number = |place: usize| arguments.get(place).map(|text| text.parse::<u64>()).transpose();
    let load = Load { seconds: number(2)?.unwrap_or(30), rate: number(3)?.unwrap_or(100) };
    let only = number(4)?;
    tokio::runtime::Runtime::new()?.block_on(measure(PathBuf::from(folder), rows.parse()?, load, only))
}

/// Payments that never end.
struct Payments {
    workload: PaymentsWorkload,
    next: u64,
}

impl Payments {
    fn new(rows: u64) -> Self {
        let options = SimulationOptions::default();
        let pseudonym = |cpr: &str| {
            let digits = cpr.bytes().filter(u8::is_ascii_digit);
            let number = digits.fold(0_u128, |number, digit| number * 10 + u128::from(digit - b'0'));
            // Spread over all buckets, as a keyed hash does.
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
        };
        Self { workload: PaymentsWorkload::new(&options, rows, &pseudonym), next: 0 }
    }

    /// Produces some and waits until they are acknowledged.
    async fn produce(&mut self, sink: &mut KafkaSink, rows: u64) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        self.workload.write_rows(self.next..self.next + rows, &mut lines);
        self.next += rows;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event: serde_json::Value = serde_json::from_slice(line)?;
            let person = event["person"].as_str().context("a person")?;
            sink.send(Topic::Payments, person, line.to_vec()).await?;
        }
        Ok(sink.flush().await?)
    }
}

/// Where the payments end.
fn ends(kafka: &KafkaConfig) -> anyhow::Result<BTreeMap<i32, i64>> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create()?;
    let marks =
        |partition| consumer.fetch_watermarks(Topic::Payments.name(), partition, Duration::from_secs(20));
    (0..Topic::Payments.partitions()).map(|partition| Ok((partition, marks(partition)?.1))).collect()
}

/// Reads all payments and does nothing with them.
fn read_bare(kafka: &KafkaConfig, rows: u64) -> anyhow::Result<Duration> {
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer =
        config.set("bootstrap.servers", &kafka.brokers).set("group.id", "bare").create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..Topic::Payments.partitions() {
        all.add_partition_offset(Topic::Payments.name(), partition, Offset::Beginning)?;
    }
    let begun = Instant::now();
    consumer.assign(&all)?;
    for _ in 0..rows {
        consumer.poll(Duration::from_secs(30)).context("a message")??;
    }
    Ok(begun.elapsed())
}

/// Whether an epoch stands at these ends.
fn is_at(snapshot: Option<&Snapshot>, ends: &BTreeMap<i32, i64>) -> bool {
    let positions = snapshot.and_then(|snapshot| snapshot.manifest.positions.get(Topic::Payments.name()));
    positions.is_some_and(|positions| {
        ends.iter().all(|(partition, end)| {
            *end == 0 || positions.get(partition).is_some_and(|position| position.next >= *end)
        })
    })
}

type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

async fn one_process(folder: &Path, kafka: &KafkaConfig) -> anyhow::Result<(Snapshots, Vec<JoinHandle<()>>)> {
    let (clock, metrics) = (Arc::new(ManualClock::new(NOW.parse()?)), Arc::new(Metrics::new()?));
    let engine = Engine::open(Store::local(folder)?, Arc::new(Model::embedded()?), clock, metrics).await?;
    let snapshots = engine.snapshots();
    let mut worker = Worker::connect(engine, kafka).await?;
    let running = tokio::spawn(async move {
        worker.catch_up().await.expect("caught up");
        worker.run(&CancellationToken::new(), &mut |_| {}).await.expect("it goes on");
    });
    Ok((snapshots, vec![running]))
}

fn roles(
    folder: &Path,
    kafka: &KafkaConfig,
    workers: usize,
) -> anyhow::Result<(Snapshots, Vec<JoinHandle<()>>)> {
    let setting = Setting {
        store: Store::local(folder)?,
        model: Arc::new(Model::embedded()?),
        clock: Arc::new(ManualClock::new(NOW.parse()?)),
        metrics: Arc::new(Metrics::new()?),
        limits: Limits::default(),
        kafka: kafka.clone(),
        instance: None,
        joined: Arc::default(),
    };
    let sender = watch::Sender::new(None);
    let snapshots = sender.subscribe();
    let mut running = Vec::new();
    for number in 1..=workers {
        let setting = Setting {
            instance: Some(format!("worker-{workers}-{number}")),
            joined: Arc::default(),
            ..setting.clone()
        };
        running.push(tokio::spawn(async move {
            run_worker(&setting, &CancellationToken::new(), &mut |_| {}).await.expect("it goes on");
        }));
    }
    running.push(tokio::spawn(async move {
        run_committer(&setting, &sender, &CancellationToken::new(), &mut |_| {}).await.expect("it goes on");
    }));
    Ok((snapshots, running))
}

/// Memory of this process, MiB.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
}

async fn measure(folder: PathBuf, rows: u64, load: Load, only: Option<u64>) -> anyhow::Result<()> {
    let cluster = Apache::start_with(1, &Settings::default())?;
    let kafka = KafkaConfig { brokers: cluster.bootstrap(), ..KafkaConfig::default() };
    create_topics_of_roles(&kafka).await?;
    let more = 3 * load.seconds * load.rate;
    let mut payments = Payments::new(rows + more);
    let mut sink = KafkaSink::connect(&kafka)?;
    let begun = Instant::now();
    while payments.next < rows {
        let piece = PIECE.min(rows - payments.next);
        payments.produce(&mut sink, piece).await?;
    }
    let rate = |rows: u64, time: Duration| rows as f64 / time.as_secs_f64() / 1e3;
    println!("produced {rows} payments: {:.0} thousand/s", rate(rows, begun.elapsed()));
    let all = [("one process", 0), ("1 worker", 1), ("2 workers", 2)];
    for (what, workers) in
        all.into_iter().filter(|(_, workers)| only.is_none_or(|only| only == *workers as u64))
    {
        let there = ends(&kafka)?;
        let count = there.values().sum::<i64>() as u64;
        let bare = {
            let kafka = kafka.clone();
            tokio::task::spawn_blocking(move || read_bare(&kafka, count)).await??
        };
        let data = folder.join(format!("data-{workers}"));
        let begun = Instant::now();
        let (mut snapshots, running) = match workers {
            0 => one_process(&data, &kafka).await?,
            _ => roles(&data, &kafka, workers)?,
        };
        snapshots.wait_for(|snapshot| is_at(snapshot.as_deref(), &there)).await?;
        let time = begun.elapsed();
        println!(
            "{what}: {count} payments in {:.1} s = {:.0} thousand/s; bare consumer {:.1} s = {:.0} thousand/s, {:.1} times as fast",
            time.as_secs_f64(),
            rate(count, time),
            bare.as_secs_f64(),
            rate(count, bare),
            time.as_secs_f64() / bare.as_secs_f64()
        );
        let mut fresh = Vec::new();
        let mut waiting: Vec<(Instant, BTreeMap<i32, i64>)> = Vec::new();
        let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / BATCHES));
        let mut left = load.seconds * BATCHES;
        let mut known = there;
        let (mut last, mut lag_max, mut memory) = (Instant::now(), 0, vec![resident()?]);
        while left > 0 || !waiting.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if left > 0 => {
                    left -= 1;
                    let at = Instant::now();
                    payments.produce(&mut sink, load.rate / BATCHES).await?;
                    known.clone_from(&ends(&kafka)?);
                    waiting.push((at, known.clone()));
                    lag_max = lag_max.max(waiting.len() as u64 * (load.rate / BATCHES));
                    last = Instant::now();
                    if left == load.seconds * BATCHES / 2 {
                        memory.push(resident()?);
                    }
                }
                changed = snapshots.changed() => {
                    changed?;
                    let snapshot = snapshots.borrow_and_update().clone();
                    waiting.retain(|(at, ends)| {
                        let is_there = is_at(snapshot.as_deref(), ends);
                        if is_there {
                            fresh.push(at.elapsed());
                        }
                        !is_there
                    });
                }
            }
        }
        fresh.sort_unstable();
        let percentile = |percent: usize| fresh[(fresh.len() - 1) * percent / 100].as_secs_f64();
        println!(
            "{what}: freshness p50 {:.2} s, p90 {:.2} s, p99 {:.2} s, largest {:.2} s",
            percentile(50),
            percentile(90),
            percentile(99),
            percentile(100)
        );
        memory.push(resident()?);
        println!(
            "{what}: {} payments a second for {} s: at most {lag_max} waited, all committed {:.1} s after the last; resident {memory:?} MiB",
            load.rate,
            load.seconds,
            last.elapsed().as_secs_f64()
        );
        for process in running {
            process.abort();
            // Given up in the middle of something: that is no failure.
            let _ = process.await;
        }
        let comparison = recompute(&Store::local(&data)?, &Model::embedded()?).await?;
        println!("{what}: {} cells, mismatches={}", comparison.cells, comparison.mismatches);
    }
    Ok(())
}
