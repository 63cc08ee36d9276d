//! `rettidig run`: all in one process, or one part of the work, until Ctrl-C or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use rettidig_connectors::driver::{self, CursorStore, RunLimits};
use rettidig_connectors::http::tokio_pause;
use rettidig_connectors::push;
use rettidig_event::{Clock, Source, SystemClock};
use rettidig_model::Model;
use rettidig_runtime::follow::follow;
use rettidig_runtime::kafka::{self, KafkaConfig, KafkaSink, Part};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::persons::Limits;
use rettidig_runtime::roles::{Setting, run_committer, run_worker};
use rettidig_runtime::{EpochReport, RuntimeError, Snapshot, Store};
use rettidig_serve::{Ready, Router, Shown};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::output;
use crate::plant::{self, Plant, Servers, again};

/// Which part of the work a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Everything: connectors, one worker that holds all persons, commits.
    All,
    /// Reads the sources and takes what is pushed; keeps cursors only.
    Connectors,
    /// Evaluates the persons of the partitions that Kafka gives it, and proposes what changes.
    Worker,
    /// Waits to be elected, then takes what workers propose into epochs, with the official figures.
    Committer,
    /// Shows the newest epoch of the data folder, whoever commits it: pages, tables, SQL. It needs no Kafka.
    Web,
}

impl Role {
    /// What it is to Kafka; `None` if it is nothing to it.
    pub fn part(self) -> Option<Part> {
        match self {
            Self::All => Some(Part::All),
            Self::Connectors => Some(Part::Connectors),
            Self::Worker => Some(Part::Worker),
            Self::Committer => Some(Part::Committer),
            Self::Web => None,
        }
    }
}

/// Runs until told to stop.
pub async fn run(config: Config, role: Role, instance: Option<String>) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let signals = tokio::spawn(async move {
        signalled().await;
        stop.cancel();
    });
    let ended = match role {
        Role::All => run_all(&config, &shutdown).await,
        Role::Connectors => run_connectors(&config, &shutdown).await,
        Role::Worker | Role::Committer => run_role(&config, role, instance, &shutdown).await,
        Role::Web => run_web(&config, &shutdown).await,
    };
    signals.abort();
    ended
}

/// Told of epochs and of failures that may pass.
fn told(result: Result<&EpochReport, &RuntimeError>) {
    match result {
        Ok(report) => tracing::info!(epoch = report.epoch, events = report.events, "committed"),
        Err(error) => tracing::warn!(%error, "trying again"),
    }
}

async fn run_all(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sources = Sources::of(config, &clock)?;
    let (doors, routes) = (config.doors().await?, sources.routes.clone());
    let mut plant = tokio::select! {
        plant = Plant::start(&config.data, config.kafka(), doors, Arc::clone(&clock), routes) => plant?,
        () = shutdown.cancelled() => return Ok(()),
    };
    if config.kafka().is_none() {
        output::remark("embedded broker: for one small machine; production is Apache Kafka (kafka.brokers)");
    }
    output::remark(&format!("http://{}/metrics  /tables  /readyz", plant.address()));
    let mut connectors = sources.start(&plant.kafka, &plant.cursors, &plant.metrics, &clock, shutdown)?;
    tokio::select! {
        caught_up = again(async || plant.worker.catch_up().await) => {
            if let Some(report) = caught_up? {
                tracing::info!(epoch = report.epoch, events = report.events, "caught up");
            }
            plant.set_ready();
        }
        () = shutdown.cancelled() => {}
    }
    let ended = plant.worker.run(shutdown, &mut told).await;
    shutdown.cancel();
    finish(&mut connectors).await;
    plant.stop().await?;
    Ok(ended?)
}

/// A cluster that several processes can share.
fn shared_cluster(config: &Config) -> anyhow::Result<KafkaConfig> {
    kafka::assert_features()?;
    config.kafka().context(
        "a role other than all needs a cluster that the others reach too: name it under kafka.brokers (the embedded \
         broker is for one process)",
    )
}

async fn run_connectors(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let cluster = shared_cluster(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sources = Sources::of(config, &clock)?;
    let metrics = Arc::new(Metrics::new().context("registering metrics")?);
    let snapshots = watch::Sender::new(None);
    let model = Arc::new(Model::embedded()?);
    // A connector has no place among others: what it fetches waits for Kafka.
    let ready = Ready::Works(Arc::new(AtomicBool::new(true)));
    let server = serve(config, &snapshots, &metrics, &clock, &model, sources.routes.clone(), ready).await?;
    output::remark(&format!("connectors: http://{}/metrics  /readyz", server.http.address()));
    let cursors = CursorStore::new(plant::cursors(&config.data));
    let mut connectors = sources.start(&cluster, &cursors, &metrics, &clock, shutdown)?;
    shutdown.cancelled().await;
    finish(&mut connectors).await;
    server.stop().await
}

async fn run_role(
    config: &Config,
    role: Role,
    instance: Option<String>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let setting = Setting {
        store: Store::local(&config.data)?,
        model: Arc::new(Model::embedded()?),
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::new().context("registering metrics")?),
        limits: Limits::default(),
        kafka: shared_cluster(config)?,
        instance,
        joined: Arc::default(),
    };
    setting.metrics.observe_data_folder(&config.data);
    let snapshots = watch::Sender::new(None);
    let ready = Ready::Works(Arc::clone(&setting.joined));
    let server =
        serve(config, &snapshots, &setting.metrics, &setting.clock, &setting.model, Router::new(), ready)
            .await?;
    let ended = match role {
        Role::Committer => {
            output::remark(&format!("committer: http://{}/metrics  /tables  /readyz", server.http.address()));
            let topics = || kafka::create_topics_of_roles(&setting.kafka);
            tokio::select! {
                made = again(topics) => match made {
                    Ok(()) => run_committer(&setting, &snapshots, shutdown, &mut told).await,
                    Err(error) => Err(error),
                },
                () = shutdown.cancelled() => Ok(()),
            }
        }
        _ => {
            output::remark(&format!("worker: http://{}/metrics  /readyz", server.http.address()));
            run_worker(&setting, shutdown, &mut told).await
        }
    };
    server.stop().await?;
    Ok(ended?)
}

async fn run_web(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new().context("registering metrics")?);
    metrics.observe_data_folder(&config.data);
    let (model, store) = (Arc::new(Model::embedded()?), Store::local(&config.data)?);
    let snapshots = watch::Sender::new(None);
    let ready = Ready::Shows(Arc::new(AtomicBool::new(true)));
    let server = serve(config, &snapshots, &metrics, &clock, &model, Router::new(), ready).await?;
    output::remark(&format!("web: {}://{}/", config.scheme(), server.http.address()));
    if let Some(address) = server.sql_address() {
        output::remark(&format!("sql: {address}"));
    }
    follow(&store, &model, &snapshots, shutdown).await;
    server.stop().await
}

/// Serves the metrics of a process, and what it has committed.
async fn serve(
    config: &Config,
    snapshots: &watch::Sender<Option<Arc<Snapshot>>>,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
    model: &Arc<Model>,
    routes: Router,
    ready: Ready,
) -> anyhow::Result<Servers> {
    let doors = config.doors().await?;
    let shown = Shown {
        snapshots: snapshots.subscribe(),
        metrics: Arc::clone(metrics),
        clock: Arc::clone(clock),
        folder: config.data.clone(),
        ready,
        model: Arc::clone(model),
        access: doors.access.clone(),
        publisher: doors.publisher.clone(),
    };
    Servers::start(doors, shown, routes).await
}

/// Waits for connectors that were told to stop.
async fn finish(connectors: &mut JoinSet<anyhow::Result<()>>) {
    while let Some(ended) = connectors.join_next().await {
        if let Err(error) = ended.map_err(anyhow::Error::from).flatten() {
            output::error(&error);
        }
    }
}

/// What is polled, and what is pushed.
struct Sources {
    polled: Vec<(String, Box<dyn Source>)>,
    pushed: Option<push::Worker>,
    routes: Router,
}

impl Sources {
    fn of(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let polled = config.sources().map_err(anyhow::Error::msg)?;
        if let Some(key) = &config.key {
            tracing::info!(key_id = key.key_id(), erased = key.erased(), "the key of the pseudonyms");
        }
        let pushed = match (&config.key, config.push.enabled) {
            (Some(key), true) => {
                let built = config.push.router(key, Arc::clone(clock), plant::cursors(&config.data));
                Some(built.map_err(|errors| anyhow::anyhow!("push: {}", errors.join("; ")))?)
            }
            _ => None,
        };
        let (routes, pushed) =
            pushed.map_or((Router::new(), None), |(routes, worker)| (routes, Some(worker)));
        Ok(Self { polled, pushed, routes })
    }

    fn start(
        self,
        kafka: &KafkaConfig,
        cursors: &CursorStore,
        metrics: &Arc<Metrics>,
        clock: &Arc<dyn Clock>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
        let mut connectors = JoinSet::new();
        if let Some(worker) = self.pushed {
            let waiting = metrics.connector_unacknowledged_records.with_label_values(&["push"]);
            let (mut sink, stop) = (KafkaSink::connect(kafka)?.watched(waiting), shutdown.clone());
            connectors.spawn(async move {
                // While the broker is away a request waits for it; the end of the process must not.
                tokio::select! {
                    () = worker.run(&mut sink, &stop) => {}
                    () = stop.cancelled() => {}
                }
                Ok(())
            });
        }
        for (name, source) in self.polled {
            let (kafka, cursors) = (kafka.clone(), cursors.clone());
            let (metrics, clock, stop) = (Arc::clone(metrics), Arc::clone(clock), shutdown.clone());
            connectors.spawn(async move {
                let ended = connect(&name, source, &kafka, &cursors, &metrics, clock.as_ref(), &stop).await;
                ended.with_context(|| format!("connector {name}"))
            });
        }
        Ok(connectors)
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
            metrics.connector_dead_letters_total.with_label_values(&[name]).inc_by(outcome.dead_letters);
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
