//! HTTP over committed epochs.
//!
//! | path | what |
//! |---|---|
//! | `/metrics` | Prometheus exposition, one epoch |
//! | `/healthz` | the process runs |
//! | `/readyz` | an epoch is there and the worker has caught up once |
//! | `/tables` | names, rows and checksums of the newest epoch, JSON |
//! | `/tables/<table>.parquet` | the file of the newest epoch: `ETag`, ranges, `HEAD`, `If-None-Match` |
//! | `/tables/_epoch.json` | the marker of the newest epoch |
//!
//! The caller may mount routes of its own beside these ([`Server::start_with`]).
//!
//! It reads committed epochs only and knows neither Kafka nor the engine's state. A Parquet answer comes from
//! the immutable file of one epoch, so a reader that holds on to an `ETag` never sees two epochs mixed.

pub mod access;
mod audit;
pub mod sql;
pub mod view;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use rettidig_event::Clock;
use rettidig_model::contract::Table;
use rettidig_model::{Model, ModelError};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Manifest, Snapshot};
use serde_json::json;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::access::{Access, Reader};
use crate::view::View;

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
    /// Whether the worker has caught up since the start.
    pub ready: Arc<AtomicBool>,
    /// The model, for names and descriptions.
    pub model: Arc<Model>,
    /// Who may read what.
    pub access: Access,
}

impl Shown {
    /// The newest epoch as a reader may see it; `None` before the first.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn view(&self, reader: Reader) -> Result<Option<View>, ModelError> {
        newest(self).map(|snapshot| View::new(snapshot, &self.model, reader)).transpose()
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

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    shutdown: CancellationToken,
}

impl Server {
    /// Listens and serves until [`Server::stop`].
    ///
    /// # Errors
    /// [`ServeError::Listen`] if the address cannot be had.
    pub async fn start(address: SocketAddr, shown: Shown) -> Result<Self, ServeError> {
        Self::start_with(address, shown, Router::new()).await
    }

    /// As [`Server::start`], with routes of the caller's beside its own. They must not take one of the paths above.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(address: SocketAddr, shown: Shown, beside: Router) -> Result<Self, ServeError> {
        let listen = |source| ServeError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let access = axum::middleware::from_fn_with_state(shown.access.clone(), access::identify);
        let router = router(shown).layer(access).merge(beside);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        });
        Ok(Self { address, task, shutdown })
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
        self.shutdown.cancel();
        let ended = self.task.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        ended.map_err(ServeError::Serve)
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/tables", get(index))
        .route("/tables/{file}", get(table))
        .with_state(shown)
}

fn newest(shown: &Shown) -> Option<Arc<Snapshot>> {
    shown.snapshots.borrow().clone()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.exposition(newest(&shown).as_deref(), shown.clock.now()) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be shown");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be shown: see the log\n").into_response()
        }
    }
}

async fn ready(State(shown): State<Shown>) -> Response {
    match newest(&shown) {
        Some(snapshot) if shown.ready.load(Ordering::Acquire) => {
            format!("epoch {}\n", snapshot.manifest.epoch).into_response()
        }
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "catching up with the topics\n").into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n").into_response(),
    }
}

fn epoch_json(manifest: &Manifest) -> serde_json::Value {
    let files: Vec<_> = manifest
        .tables
        .iter()
        .map(|(name, entry)| {
            json!({
                "table": name,
                "path": format!("/tables/{name}.parquet"),
                "rows": entry.rows,
                "bytes": entry.bytes,
                "sha256": entry.sha256,
            })
        })
        .collect();
    json!({
        "epoch": manifest.epoch,
        "committed_at": manifest.committed_at,
        "as_of": manifest.as_of,
        "tables": files,
    })
}

async fn index(State(shown): State<Shown>) -> Response {
    match newest(&shown) {
        Some(snapshot) => Json(epoch_json(&snapshot.manifest)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n").into_response(),
    }
}

async fn table(
    State(shown): State<Shown>,
    Path(file): Path<String>,
    Extension(reader): Extension<Reader>,
    mut request: Request,
) -> Response {
    let Some(snapshot) = newest(&shown) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n").into_response();
    };
    if file == "_epoch.json" {
        return Json(epoch_json(&snapshot.manifest)).into_response();
    }
    let entry = file.strip_suffix(".parquet").and_then(|name| snapshot.manifest.tables.get(name));
    let Some(entry) = entry else {
        let names: Vec<String> =
            snapshot.manifest.tables.keys().map(|name| format!("{name}.parquet")).collect();
        let message = format!("no table {file}: choose one of {}\n", names.join(", "));
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let is_closed = file.strip_suffix(".parquet").and_then(Table::named).is_some_and(|table| table.closed);
    if is_closed && reader.areas().is_some() {
        let text = "the whole of this table is for operators: ask with an operator's token, or for the rows of your own areas at \
                    /data/TABLE.parquet\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let etag = format!("\"{}\"", entry.sha256);
    let headers = request.headers_mut();
    if names_etag(headers, IF_NONE_MATCH.as_str(), &etag) {
        return with_validators(StatusCode::NOT_MODIFIED.into_response(), &etag);
    }
    if headers.contains_key(IF_MATCH) && !names_etag(headers, IF_MATCH.as_str(), &etag) {
        return with_validators(StatusCode::PRECONDITION_FAILED.into_response(), &etag);
    }
    // A range of another epoch's file would tear the answer: give the whole new file instead.
    if headers.contains_key(IF_RANGE) && !names_etag(headers, IF_RANGE.as_str(), &etag) {
        headers.remove(RANGE);
    }
    headers.remove(IF_RANGE);
    let served = ServeFile::new(shown.folder.join(&entry.path)).oneshot(request).await;
    let response = served.map(IntoResponse::into_response);
    let mut response = response.unwrap_or_else(|never| match never {});
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.apache.parquet"));
    with_validators(response, &etag)
}

fn names_etag(headers: &HeaderMap, name: &str, etag: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| {
        let value = value.trim();
        value == "*" || value.trim_start_matches("W/") == etag
    })
}

fn with_validators(mut response: Response, etag: &str) -> Response {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
