//! Freshness: from producing one official event to the committed tables and gauges, onto the history of a folder
//! in which `rettidig demo --once --data DIR` has finished.
//!
//! `cargo bench --workspace --bench freshness -- DIR [EVENTS [PER_SECOND]]`. The folder is used up. Events come
//! evenly spaced, whether or not the epoch before is committed: an event waits for it, as it would in service.
//! Prints percentiles in milliseconds.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the output")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_event::{Clock, ManualClock, Sink, SystemClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, Store, Worker};
use tokio_util::sync::CancellationToken;

const SERIES: &str = "rettidig_indicator_value{area=\"0851\",area_kind=\"municipality\",benefit=\"total\",indicator=\"full_time_unemployed\"}";
const FIRST_VALUE: usize = 5_000;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(folder) = arguments.first().map(PathBuf::from) else {
        eprintln!("give a folder in which `rettidig demo --once --data DIR` has finished");
        return Ok(());
    };
    let events: usize = arguments.get(1).map_or(Ok(1_000), |count| count.parse())?;
    let per_second: f64 = arguments.get(2).map_or(Ok(5.0), |rate| rate.parse())?;
    tokio::runtime::Runtime::new()?.block_on(measure(
        folder,
        events,
        Duration::from_secs_f64(1.0 / per_second),
    ))
}

async fn measure(folder: PathBuf, events: usize, space: Duration) -> anyhow::Result<()> {
    let now = || SystemClock.now().timestamp_millis();
    let broker = Broker::start(BrokerConfig::new(folder.join("broker"), now))?;
    let kafka = KafkaConfig { brokers: broker.address().to_string(), ..KafkaConfig::default() };
    let begin: DateTime<Utc> = "2026-08-21T08:00:00Z".parse()?;
    let metrics = Arc::new(Metrics::new()?);
    let opened = Instant::now();
    let clock = Arc::new(ManualClock::new(begin));
    let engine =
        Engine::open(Store::local(&folder)?, Arc::new(Model::embedded()?), clock, Arc::clone(&metrics))
            .await?;
    let mut snapshots = engine.snapshots();
    let mut worker = Worker::connect(engine, &kafka).await?;
    println!("opened {} in {:.2} s", folder.display(), opened.elapsed().as_secs_f64());
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let running = tokio::spawn(async move { worker.run(&stop, &mut |_| {}).await });
    let mut sink = KafkaSink::connect(&kafka)?;
    let (sent, mut produced) = tokio::sync::mpsc::unbounded_channel();
    let producing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(space);
        for event in 0..events {
            ticks.tick().await;
            let at = begin + chrono::Duration::seconds(event as i64 + 1);
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let value = FIRST_VALUE + event;
            let payload = format!(
                r#"{{"publisher":"jobindsats","table":"y25i01","measure":"full_time_unemployed","area":851,"period":"2026M07","breakdown":{{}},"value":"{value}","status":"final","published_at":"{at}","retrieved_at":"{at}"}}"#
            );
            sent.send(Instant::now())?;
            sink.send(Topic::Official, "y25i01", payload.into_bytes()).await?;
        }
        sink.flush().await?;
        anyhow::Ok(())
    });
    let mut times: Vec<Duration> = Vec::with_capacity(events);
    let mut epochs = 0;
    while times.len() < events {
        snapshots.changed().await?;
        let snapshot = snapshots.borrow_and_update().clone().context("an epoch")?;
        // The gauges are made from the same snapshot; include the time to make them.
        let text = metrics.exposition(Some(&snapshot), begin)?;
        let line = text.lines().find_map(|line| line.strip_prefix(SERIES)).context("the gauge")?;
        let shown = line.trim().parse::<usize>()? + 1 - FIRST_VALUE;
        let now = Instant::now();
        epochs += 1;
        while times.len() < shown {
            times.push(now - produced.recv().await.context("an event")?);
        }
    }
    producing.await??;
    shutdown.cancel();
    running.await??;
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "{events} events in {epochs} epochs: p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        percentile(50),
        percentile(90),
        percentile(99),
        percentile(100)
    );
    broker.shutdown().await?;
    Ok(())
}
