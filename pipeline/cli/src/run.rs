//! `rettidig run`: connectors and worker until Ctrl-C or SIGTERM.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rettidig_connectors::driver::{self, CursorStore, RunLimits};
use rettidig_connectors::http::tokio_pause;
use rettidig_event::{Clock, Source, SystemClock};
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{EpochReport, RuntimeError, Worker};
use rettidig_serve::Router;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::output;
use crate::plant::{self, Plant};

/// Wait between two attempts to catch up.
const CATCH_UP_AGAIN: Duration = Duration::from_millis(500);

/// Runs until told to stop.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sources = config.sources().map_err(anyhow::Error::msg)?;
    if let Some(key) = &config.key {
        tracing::info!(key_id = key.key_id(), "the key of the pseudonyms");
    }
    let pushed = match (&config.key, config.push.enabled) {
        (Some(key), true) => {
            let built = config.push.router(key, Arc::clone(&clock), plant::cursors(&config.data));
            Some(built.map_err(|errors| anyhow::anyhow!("push: {}", errors.join("; ")))?)
        }
        _ => None,
    };
    let (routes, pushed) = pushed.map_or((Router::new(), None), |(routes, worker)| (routes, Some(worker)));
    let mut plant =
        Plant::start(&config.data, config.kafka(), config.listen, Arc::clone(&clock), routes).await?;
    if config.kafka().is_none() {
        output::remark("embedded broker: for one small machine; production is Apache Kafka (kafka.brokers)");
    }
    output::remark(&format!("http://{}/metrics  /tables  /readyz", plant.address()));
    let mut connectors = JoinSet::new();
    if let Some(worker) = pushed {
        let waiting = plant.metrics.connector_unacknowledged_records.with_label_values(&["push"]);
        let (mut sink, stop) = (KafkaSink::connect(&plant.kafka)?.watched(waiting), shutdown.clone());
        connectors.spawn(async move {
            // While the broker is away a request waits for it; the end of the process must not.
            tokio::select! {
                () = worker.run(&mut sink, &stop) => {}
                () = stop.cancelled() => {}
            }
            Ok(())
        });
    }
    for (name, source) in sources {
        let (kafka, cursors) = (plant.kafka.clone(), plant.cursors.clone());
        let (metrics, clock, stop) = (Arc::clone(&plant.metrics), Arc::clone(&clock), shutdown.clone());
        connectors.spawn(async move {
            let ended = connect(&name, source, &kafka, &cursors, &metrics, clock.as_ref(), &stop).await;
            ended.with_context(|| format!("connector {name}"))
        });
    }
    let stop = shutdown.clone();
    let signals = tokio::spawn(async move {
        signalled().await;
        stop.cancel();
    });
    tokio::select! {
        caught_up = catch_up(&mut plant.worker) => {
            if let Some(report) = caught_up? {
                tracing::info!(epoch = report.epoch, events = report.events, "caught up");
            }
            plant.set_ready();
        }
        () = shutdown.cancelled() => {}
    }
    let mut watch = |result: Result<&EpochReport, &RuntimeError>| match result {
        Ok(report) => tracing::info!(epoch = report.epoch, events = report.events, "committed"),
        Err(error) => tracing::warn!(%error, "trying again"),
    };
    let ended = plant.worker.run(&shutdown, &mut watch).await;
    shutdown.cancel();
    while let Some(ended) = connectors.join_next().await {
        if let Err(error) = ended.map_err(anyhow::Error::from).flatten() {
            output::error(&error);
        }
    }
    signals.abort();
    plant.stop().await?;
    Ok(ended?)
}

/// Catches up. What may pass is tried again: topics that were just made have no leader for a moment.
async fn catch_up(worker: &mut Worker) -> Result<Option<EpochReport>, RuntimeError> {
    loop {
        match worker.catch_up().await {
            Err(error @ RuntimeError::Retry { .. }) => {
                tracing::warn!(%error, "trying again");
                tokio::time::sleep(CATCH_UP_AGAIN).await;
            }
            ended => return ended,
        }
    }
}

async fn connect(
    name: &str,
    mut source: Box<dyn Source>,
    kafka: &KafkaConfig,
    cursors: &CursorStore,
    metrics: &Metrics,
    clock: &dyn Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let waiting = metrics.connector_unacknowledged_records.with_label_values(&[name]);
    let mut sink = KafkaSink::connect(kafka)?.watched(waiting);
    let mut watch = |result: &Result<rettidig_event::PollOutcome, driver::PollError>| match result {
        Ok(outcome) => {
            metrics.connector_records_total.with_label_values(&[name]).inc_by(outcome.records);
            for failure in &outcome.failures {
                metrics.connector_failures_total.with_label_values(&[name]).inc();
                tracing::warn!(source = name, error = driver::chain(failure), "part of a poll failed");
            }
        }
        Err(error) => {
            metrics.connector_failures_total.with_label_values(&[name]).inc();
            tracing::warn!(source = name, error = driver::chain(error), "poll failed");
        }
    };
    let limits = RunLimits::default();
    driver::run(source.as_mut(), cursors, clock, &mut sink, limits, &tokio_pause(), shutdown, &mut watch)
        .await?;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
