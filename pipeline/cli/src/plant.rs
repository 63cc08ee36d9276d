//! What `demo` and `run` have in common: a broker, the topics, an engine with its worker, the HTTP server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_connectors::driver::CursorStore;
use rettidig_event::{Clock, SystemClock};
use rettidig_model::Model;
use rettidig_runtime::kafka::{self, KafkaConfig};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, RuntimeError, Store, Worker};
use rettidig_serve::access::Access;
use rettidig_serve::catalogue::Publisher;
use rettidig_serve::sql::{Limits, SqlServer};
use rettidig_serve::{Door, Ready, Router, Server, Shown};

/// Wait between two attempts.
const AGAIN: Duration = Duration::from_millis(500);

/// The folder of the connectors' cursors.
pub fn cursors(folder: &Path) -> PathBuf {
    folder.join("cursors")
}

/// Where and to whom everything is shown.
#[derive(Debug, Clone)]
pub struct Doors {
    /// HTTP.
    pub http: Door,
    /// Address of the SQL endpoint, if there is to be one.
    pub sql: Option<SocketAddr>,
    /// Who may read what.
    pub access: Access,
    /// Who publishes it.
    pub publisher: Publisher,
}

/// HTTP and SQL.
pub struct Servers {
    /// HTTP.
    pub http: Server,
    /// SQL.
    pub sql: Option<SqlServer>,
}

impl Servers {
    /// Opens the doors.
    pub async fn start(doors: Doors, shown: Shown, routes: Router) -> anyhow::Result<Self> {
        let sql = match doors.sql {
            Some(address) => {
                let tls = doors.http.tls.clone();
                Some(SqlServer::start(address, shown.clone(), Limits::default(), tls).await?)
            }
            None => None,
        };
        Ok(Self { http: Server::start_with(doors.http, shown, routes).await?, sql })
    }

    /// Where the SQL endpoint listens, if there is one.
    pub fn sql_address(&self) -> Option<SocketAddr> {
        self.sql.as_ref().map(SqlServer::address)
    }

    /// Closes them.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some(sql) = self.sql {
            sql.stop().await;
        }
        Ok(self.http.stop().await?)
    }
}

/// The parts, running.
pub struct Plant {
    broker: Option<Broker>,
    /// How to reach the broker.
    pub kafka: KafkaConfig,
    /// The worker.
    pub worker: Worker,
    /// The model.
    pub model: Arc<Model>,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The connectors' cursors.
    pub cursors: CursorStore,
    servers: Servers,
    ready: Arc<AtomicBool>,
}

impl Plant {
    /// Starts everything on a data folder; without a cluster, an embedded broker. `doors` says where and to whom it is shown;
    /// `routes` are served beside those of the tables and metrics.
    pub async fn start(
        folder: &Path,
        cluster: Option<KafkaConfig>,
        doors: Doors,
        clock: Arc<dyn Clock>,
        routes: Router,
    ) -> anyhow::Result<Self> {
        kafka::assert_features()?;
        let store = Store::local(folder)?;
        let model = Arc::new(Model::embedded()?);
        let metrics = Arc::new(Metrics::new().context("registering metrics")?);
        metrics.observe_data_folder(folder);
        let (broker, kafka) = match cluster {
            Some(kafka) => (None, kafka),
            None => {
                let now = || SystemClock.now().timestamp_millis();
                let broker = Broker::start(BrokerConfig::new(folder.join("broker"), now))?;
                let brokers = broker.address().to_string();
                (Some(broker), KafkaConfig { brokers, ..KafkaConfig::default() })
            }
        };
        again(async || kafka::create_topics(&kafka).await).await?;
        let engine =
            Engine::open(store, Arc::clone(&model), Arc::clone(&clock), Arc::clone(&metrics)).await?;
        let ready = Arc::new(AtomicBool::new(false));
        let shown = Shown {
            snapshots: engine.snapshots(),
            metrics: Arc::clone(&metrics),
            clock,
            folder: folder.to_owned(),
            ready: Ready::Shows(Arc::clone(&ready)),
            model: Arc::clone(&model),
            access: doors.access.clone(),
            publisher: doors.publisher.clone(),
        };
        let worker = Worker::connect(engine, &kafka).await?;
        let servers = Servers::start(doors, shown, routes).await?;
        let cursors = CursorStore::new(cursors(folder));
        Ok(Self { broker, kafka, worker, model, metrics, cursors, servers, ready })
    }

    /// Where the HTTP server listens.
    pub fn address(&self) -> SocketAddr {
        self.servers.http.address()
    }

    /// Where the SQL endpoint listens, if there is one.
    pub fn sql_address(&self) -> Option<SocketAddr> {
        self.servers.sql_address()
    }

    /// Tells `/readyz` that the worker has caught up.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Stops everything in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.servers.stop().await?;
        drop(self.worker);
        if let Some(broker) = self.broker {
            broker.shutdown().await?;
        }
        Ok(())
    }
}

/// Does what may fail for a while until it does not: Kafka may be away, and topics that were just made have no leader for a moment.
pub async fn again<T>(mut attempt: impl AsyncFnMut() -> Result<T, RuntimeError>) -> Result<T, RuntimeError> {
    loop {
        match attempt().await {
            Err(error @ RuntimeError::Retry { .. }) => {
                tracing::warn!(%error, "trying again");
                tokio::time::sleep(AGAIN).await;
            }
            ended => return ended,
        }
    }
}
