//! HTTP over committed epochs.
//!
//! | path | what |
//! |---|---|
//! | `/metrics` | Prometheus exposition, one epoch |
//! | `/healthz` | the process runs |
//! | `/readyz` | the process has begun its work, see [`Ready`] |
//! | `/tables` | names, rows and checksums of the newest epoch, JSON |
//! | `/tables/<table>.parquet` | the file of the newest epoch: `ETag`, ranges, `HEAD`, `If-None-Match` |
//! | `/tables/_epoch.json` | the marker of the newest epoch |
//! | `/data/…` | every table in other forms, immutable files by epoch, catalogues: see `forms` |
//!
//! The caller may mount routes of its own beside these ([`Server::start_with`]).
//!
//! It reads committed epochs only and knows neither Kafka nor the engine's state. A Parquet answer comes from
//! the immutable file of one epoch, so a reader that holds on to an `ETag` never sees two epochs mixed.

pub mod access;
mod audit;
pub mod catalogue;
mod changes;
pub mod charts;
pub mod delta;
mod files;
mod forms;
pub mod pages;
pub mod report;
mod routes;
pub mod sql;
pub mod tls;
pub mod view;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use axum::Router;
use axum_server::Handle;
use rettidig_event::Clock;
use rettidig_model::{Model, ModelError};
use rettidig_runtime::Snapshot;
use rettidig_runtime::metrics::Metrics;
use thiserror::Error;
use tokio::sync::watch;

use crate::access::{Access, Reader};
use crate::catalogue::Publisher;
use crate::tls::Tls;
use crate::view::View;

/// When a process is ready; what has been reached once is not taken back, so an outage of Kafka moves nobody.
#[derive(Debug, Clone)]
pub enum Ready {
    /// As soon as it shows an epoch and this is set: it has caught up since the start.
    Shows(Arc<AtomicBool>),
    /// As soon as this is set: it has its place among the others.
    Works(Arc<AtomicBool>),
}

/// What the server shows.
#[derive(Clone)]
pub struct Shown {
    /// The newest committed epoch.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The clock that ages are measured with.
    pub clock: Arc<dyn Clock>,
    /// The data folder.
    pub folder: PathBuf,
    /// What `/readyz` says.
    pub ready: Ready,
    /// The model, for names and descriptions.
    pub model: Arc<Model>,
    /// Who may read what.
    pub access: Access,
    /// Who publishes it.
    pub publisher: Publisher,
}

impl Shown {
    /// The newest epoch as a reader may see it; `None` before the first.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn view(&self, reader: Reader) -> Result<Option<View>, ModelError> {
        newest(self).map(|snapshot| View::new(snapshot, self, reader)).transpose()
    }
}

/// The server could not start or broke down.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is taken or not allowed.
    #[error("listening on {address}: {source}; choose another port with --port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The server stopped by itself.
    #[error("serving HTTP")]
    Serve(#[source] std::io::Error),
}

/// How readers reach it.
#[derive(Debug, Clone)]
pub struct Door {
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    /// HTTP and SQL over TLS.
    pub tls: Option<Tls>,
    /// Requests a minute from one address, twice as many at once; `None` if something in front of it limits them. `/metrics`, `/healthz` and
    /// `/readyz` are not limited.
    pub requests_per_minute: Option<NonZeroU32>,
}

impl Door {
    /// Without TLS and limits, for what listens to this machine alone.
    pub fn plain(listen: SocketAddr) -> Self {
        Self { listen, tls: None, requests_per_minute: None }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    handle: Handle<SocketAddr>,
}

/// Time that a request has to say what it asks; who is slower holds a connection of others.
const HEADERS: Duration = Duration::from_secs(10);

/// Time that requests under way have when the server stops.
const FINISH: Duration = Duration::from_secs(10);

impl Server {
    /// Listens and serves until [`Server::stop`].
    ///
    /// # Errors
    /// [`ServeError::Listen`] if the address cannot be had.
    pub async fn start(door: Door, shown: Shown) -> Result<Self, ServeError> {
        Self::start_with(door, shown, Router::new()).await
    }

    /// As [`Server::start`], with routes of the caller's beside its own. They must not take one of the paths above.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(door: Door, shown: Shown, beside: Router) -> Result<Self, ServeError> {
        let address = door.listen;
        let listen = |source| ServeError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let listener = listener.into_std().map_err(listen)?;
        let handle = Handle::new();
        let router = routes::told(routes::router(&door, shown).merge(beside), &door);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let stop = handle.clone();
        let task = match &door.tls {
            Some(tls) => {
                let mut server = axum_server::from_tcp_rustls(listener, tls.http()).map_err(listen)?;
                server.http_builder().http1().header_read_timeout(HEADERS);
                tokio::spawn(async move { server.handle(stop).serve(service).await })
            }
            None => {
                let mut server = axum_server::from_tcp(listener).map_err(listen)?;
                server.http_builder().http1().header_read_timeout(HEADERS);
                tokio::spawn(async move { server.handle(stop).serve(service).await })
            }
        };
        Ok(Self { address, task, handle })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the requests under way and stops.
    ///
    /// # Errors
    /// [`ServeError::Serve`] if it broke down before.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.handle.graceful_shutdown(Some(FINISH));
        let ended = self.task.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        ended.map_err(ServeError::Serve)
    }
}

pub(crate) fn newest(shown: &Shown) -> Option<Arc<Snapshot>> {
    shown.snapshots.borrow().clone()
}

/// A manifest without tables, for tests.
#[cfg(test)]
fn tests_manifest() -> rettidig_runtime::Manifest {
    let file = serde_json::json!({ "path": "none", "rows": 0, "bytes": 0, "sha256": "" });
    let manifest = serde_json::json!({
        "epoch": 1, "previous": null, "committed_at": "2026-08-19T07:58:44Z", "as_of": "2026-08-19",
        "cluster_id": null, "positions": {}, "log": {}, "disclosed": file, "tables": {}, "sql_sha256": "",
        "reference_sha256": "", "frontiers": {},
        "counts": { "events": 0, "duplicates": 0, "dead_letters": {}, "unknown_fields": 0 },
    });
    serde_json::from_value(manifest).expect("a manifest")
}
