//! A day of the whole country, replayed faster than it was: freshness, memory, and the same answer at its end.
//!
//! `cargo bench --workspace --bench day -- DIR PERSONS [SPEED]`. Loads the life of PERSONS simulated persons until the day
//! through the bulk door, then produces the events of the day (all files that arrive on it, spread evenly over 24 hours) to an
//! embedded broker, SPEED times as fast (100). The worker commits epochs as in service. Freshness is the time from handing
//! an event to the producer to the epoch that covers its offset. Ends with a full recomputation.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the output")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, Utc};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock, ManualClock, SystemClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::kafka::{KafkaConfig, create_topics};
use rettidig_runtime::load::load;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Store, Worker};
use rettidig_simulator::{Simulation, SimulationOptions};
use rettidig_tests::Stages;
use tokio_util::sync::CancellationToken;

/// Months lived before.
const MONTHS: u32 = 14;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (Some(folder), Some(persons)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("give a folder and a number of persons");
        return Ok(());
    };
    let speed: f64 = arguments.get(2).map_or(Ok(100.0), |speed| speed.parse())?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(measure(
        Path::new(folder),
        persons.parse()?,
        speed,
    ))
}

/// A field of `/proc/self/status`, MiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Spread like a keyed hash, without its cost: nobody is protected here.
fn person(cpr: &str) -> [u8; 16] {
    let mut state = 0xcbf2_9ce4_8422_2325_u128;
    for byte in cpr.bytes() {
        state = (state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    (state ^ (state >> 61)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

struct Event {
    topic: Topic,
    key: String,
    payload: Vec<u8>,
}

/// Writes the life before the day as files for the bulk door; gives them and the events of the day.
fn simulate(folder: &Path, persons: u64, day: NaiveDate) -> anyhow::Result<(Vec<PathBuf>, Vec<Event>)> {
    let options = SimulationOptions { persons, months: MONTHS, end: day, ..SimulationOptions::default() };
    let mut files: BTreeMap<PathBuf, std::io::BufWriter<std::fs::File>> = BTreeMap::new();
    let mut events = Vec::new();
    let mut bytes = Vec::new();
    let mut append = |topic: Topic, bytes: &[u8]| -> anyhow::Result<()> {
        let name = topic.name().trim_start_matches("rettidig.");
        let path = folder.join(format!("{name}-0001.ndjson"));
        if !files.contains_key(&path) {
            files.insert(path.clone(), std::io::BufWriter::new(std::fs::File::create(&path)?));
        }
        Ok(files.get_mut(&path).context("a file")?.write_all(bytes)?)
    };
    for lived in Simulation::new(&options) {
        for file in &lived.files {
            if lived.date < day {
                bytes.clear();
                file.write_events(&person, &mut bytes);
                append(file.topic(), &bytes)?;
                bytes.clear();
                file.write_delivery(&mut bytes);
                append(Topic::Deliveries, &bytes)?;
            } else if lived.date == day {
                let topic = file.topic();
                file.for_each_event(&person, &mut |key, payload| {
                    events.push(Event { topic, key: key.to_owned(), payload: payload.to_vec() });
                });
                let mut payload = Vec::new();
                file.write_delivery(&mut payload);
                let payload = payload.trim_ascii_end().to_vec();
                events.push(Event { topic: Topic::Deliveries, key: file.source(), payload });
            }
        }
    }
    for file in files.values_mut() {
        file.flush()?;
    }
    Ok((files.into_keys().collect(), events))
}

/// Where an event came to lie, and when it was handed over.
struct Sent {
    topic: &'static str,
    partition: i32,
    offset: i64,
    at: Instant,
}

async fn measure(folder: &Path, persons: u64, speed: f64) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    // A Wednesday: weekly and daily files arrive.
    let day: NaiveDate = "2026-08-26".parse()?;
    let (files, events) = simulate(folder, persons, day)?;
    let count = events.len();
    let data = folder.join("data");
    let clock = Arc::new(ManualClock::new("2026-08-25T20:00:00Z".parse::<DateTime<Utc>>()?));
    let (model, metrics) = (Arc::new(Model::embedded()?), Arc::new(Metrics::new()?));
    let shared: Arc<dyn Clock> = clock.clone();
    let mut engine =
        Engine::open(Store::local(&data)?, Arc::clone(&model), shared, Arc::clone(&metrics)).await?;
    let begun = Instant::now();
    load(&mut engine, &files, clock.now(), &mut |_| {}).await?;
    let report = engine.commit().await?;
    println!("loaded {} events before the day in {:.1} s", report.events, begun.elapsed().as_secs_f64());
    clock.set("2026-08-26T04:00:00Z".parse::<DateTime<Utc>>()?);

    let broker =
        Broker::start(BrokerConfig::new(folder.join("broker"), || SystemClock.now().timestamp_millis()))?;
    let kafka = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
    let mut snapshots = engine.snapshots();
    create_topics(&kafka).await?;
    let mut worker = Worker::connect(engine, &kafka).await?;
    // The new day is an epoch of its own.
    worker.catch_up().await?;
    snapshots.mark_unchanged();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let running = tokio::spawn(async move {
        let (mut epochs, mut persons) = (0_u64, 0);
        let mut failed = None;
        let result = worker
            .run(&stop, &mut |report| match report {
                Ok(report) => (epochs, persons) = (epochs + 1, persons + report.persons),
                Err(error) => failed = Some(error.to_string()),
            })
            .await;
        (result, failed, epochs, persons)
    });
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .create()?;
    let space = DAY.div_f64(speed * count as f64);
    println!("{count} events in {:.0} s", DAY.as_secs_f64() / speed);
    let resident = memory("VmRSS:");
    let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel::<Sent>();
    let producing = tokio::spawn(async move {
        let begun = Instant::now();
        for (number, event) in events.into_iter().enumerate() {
            tokio::time::sleep_until((begun + space.mul_f64(number as f64)).into()).await;
            let at = Instant::now();
            let topic = event.topic.name();
            let record = FutureRecord::to(topic).key(&event.key).payload(&event.payload);
            let delivery = producer.send_result(record).map_err(|(error, _)| error)?;
            let sender = sender.clone();
            tokio::spawn(async move {
                if let Ok(Ok(delivery)) = delivery.await {
                    let (partition, offset) = (delivery.partition, delivery.offset);
                    let _ = sender.send(Sent { topic, partition, offset, at });
                }
            });
        }
        producer.flush(Duration::from_secs(30))?;
        anyhow::Ok(())
    });
    let mut waiting: BTreeMap<(&str, i32, i64), Instant> = BTreeMap::new();
    let mut times: Vec<Duration> = Vec::with_capacity(count);
    let mut halfway = None;
    while times.len() < count {
        snapshots.changed().await?;
        let now = Instant::now();
        while let Ok(sent) = sent.try_recv() {
            waiting.insert((sent.topic, sent.partition, sent.offset), sent.at);
        }
        let snapshot = snapshots.borrow_and_update().clone().context("an epoch")?;
        let positions = &snapshot.manifest.positions;
        waiting.retain(|(topic, partition, offset), at| {
            let covered = positions.get(*topic).and_then(|known| known.get(partition));
            let is_covered = covered.is_some_and(|position| position.next > *offset);
            if is_covered {
                times.push(now - *at);
            }
            !is_covered
        });
        if times.len() > count / 2 {
            halfway.get_or_insert_with(|| memory("VmRSS:"));
        }
    }
    producing.await??;
    shutdown.cancel();
    let (result, failed, epochs, touched) = running.await?;
    result?;
    anyhow::ensure!(failed.is_none(), "{failed:?}");
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
    println!(
        "{count} events in {epochs} epochs, {touched} persons evaluated: freshness p50 {:.2} s, p90 {:.2} s, p99 {:.2} s, \
         largest {:.2} s",
        percentile(50),
        percentile(90),
        percentile(99),
        percentile(100)
    );
    println!(
        "resident {resident} MiB at the beginning, {} MiB halfway, {} MiB at the end, peak {} MiB",
        halfway.unwrap_or_default(),
        memory("VmRSS:"),
        memory("VmHWM:")
    );
    let stages = Stages::of(&metrics.exposition(None, clock.now())?);
    println!("stages, loading included: {}", stages.means_since(None));
    broker.shutdown().await?;
    let comparison = recompute(&Store::local(&data)?, &model).await?;
    println!("recomputed {} cells, mismatches={}", comparison.cells, comparison.mismatches);
    anyhow::ensure!(comparison.mismatches == 0, "the cells differ from the recomputation");
    Ok(())
}
