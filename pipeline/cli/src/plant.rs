//! What `demo` and `run` have in common: a broker, the topics, an engine with its worker, the HTTP server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use rettidig_broker::{Broker, BrokerConfig};
use rettidig_connectors::driver::CursorStore;
use rettidig_event::{Clock, SystemClock};
use rettidig_model::Model;
use rettidig_runtime::kafka::{self, KafkaConfig};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, Store, Worker};
use rettidig_serve::access::Access;
use rettidig_serve::{Router, Server, Shown};

/// The folder of the connectors' cursors.
pub fn cursors(folder: &Path) -> PathBuf {
    folder.join("cursors")
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
    server: Server,
    ready: Arc<AtomicBool>,
}

impl Plant {
    /// Starts everything on a data folder; without a cluster, an embedded broker. `access` says who may read what; `routes`
    /// are served beside those of the tables and metrics.
    pub async fn start(
        folder: &Path,
        cluster: Option<KafkaConfig>,
        listen: SocketAddr,
        clock: Arc<dyn Clock>,
        access: Access,
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
        kafka::create_topics(&kafka).await?;
        let engine =
            Engine::open(store, Arc::clone(&model), Arc::clone(&clock), Arc::clone(&metrics)).await?;
        let ready = Arc::new(AtomicBool::new(false));
        let shown = Shown {
            snapshots: engine.snapshots(),
            metrics: Arc::clone(&metrics),
            clock,
            folder: folder.to_owned(),
            ready: Arc::clone(&ready),
            model: Arc::clone(&model),
            access,
        };
        let worker = Worker::connect(engine, &kafka).await?;
        let server = Server::start_with(listen, shown, routes).await?;
        let cursors = CursorStore::new(cursors(folder));
        Ok(Self { broker, kafka, worker, model, metrics, cursors, server, ready })
    }

    /// Where the HTTP server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Tells `/readyz` that the worker has caught up.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Stops everything in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        drop(self.worker);
        if let Some(broker) = self.broker {
            broker.shutdown().await?;
        }
        Ok(())
    }
}
