//! A local server that speaks the recorded shapes of both publishers, for the demo and the tests.
//!
//! It serves the figures of August 2026 in four steps around a real release (`fixtures/PROVENANCE.md` says what
//! is real and what is reconstructed): jobindsats under `/v3`, StatBank under `/v1`. The errors the services
//! were seen or are documented to give are served by the same rules, and a test can script a fault for a path
//! ([`ReplayServer::script`]): each is used once, in order. It is no mock of a client's calls: a request that
//! the service would refuse is refused here.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod fault;
mod jobindsats;
mod statbank;
mod vintages;

pub use self::fault::Fault;

/// The steps: the instant at which a poll would see them (RFC 3339 UTC), and a label for people.
pub const REPLAY_STEPS: [(&str, &str); 4] = [
    ("2026-08-19T05:03:20Z", "before the release"),
    ("2026-08-19T07:58:44Z", "the release"),
    ("2026-08-20T07:04:00Z", "the next day"),
    ("2026-08-21T07:04:00Z", "re-delivery"),
];

/// The newest requests that are remembered.
const REQUESTS_MAX: usize = 10_000;

/// The largest request body, bytes.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// The server could not start or stop.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The address cannot be listened on.
    #[error("replay server: listening on {address}; is another one running there?")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// An embedded fixture does not parse: a defect of the build.
    #[error("replay server: fixture {0}")]
    Fixture(String),
    /// The server ended with an error.
    #[error("replay server: stopping")]
    Stop(#[source] std::io::Error),
}

struct Shared {
    step: AtomicUsize,
    token: Option<String>,
    faults: Mutex<VecDeque<(String, Fault)>>,
    requests: Mutex<VecDeque<String>>,
    shutdown: CancellationToken,
    vintages: vintages::Vintages,
    statbank: statbank::Tables,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server; it ends when it is shut down or dropped.
pub struct ReplayServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<std::io::Result<()>>>,
}

impl ReplayServer {
    /// Starts at step 0; port 0 takes a free one. Any token is accepted.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(address: SocketAddr) -> Result<Self, ReplayError> {
        Self::start_with_token(address, None).await
    }

    /// As [`ReplayServer::start`]; jobindsats answers 401 without this token.
    ///
    /// # Errors
    /// As [`ReplayServer::start`].
    pub async fn start_with_token(address: SocketAddr, token: Option<&str>) -> Result<Self, ReplayError> {
        let listen = |source| ReplayError::Listen { address, source };
        let shared = Arc::new(Shared {
            step: AtomicUsize::new(0),
            token: token.map(str::to_owned),
            faults: Mutex::default(),
            requests: Mutex::default(),
            shutdown: CancellationToken::new(),
            vintages: vintages::Vintages::read().map_err(ReplayError::Fixture)?,
            statbank: statbank::Tables::read().map_err(ReplayError::Fixture)?,
        });
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let router = router(shared.clone());
        let stop = shared.shutdown.clone();
        let task = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        });
        Ok(Self { address, shared, task: Some(task) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base address for the source `jobindsats`.
    pub fn jobindsats_url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// The base address for the source `statbank`.
    pub fn statbank_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base address for a source of the list.
    pub fn url_of(&self, source: &str) -> Option<String> {
        match source {
            "jobindsats" => Some(self.jobindsats_url()),
            "statbank" => Some(self.statbank_url()),
            _ => None,
        }
    }

    /// Goes to a step of [`REPLAY_STEPS`]; a higher number means the last one.
    pub fn set_step(&self, step: usize) {
        self.shared.step.store(step.min(REPLAY_STEPS.len() - 1), Ordering::SeqCst);
    }

    /// The step it is at.
    pub fn step(&self) -> usize {
        self.shared.step.load(Ordering::SeqCst)
    }

    /// Answers the next request whose path contains `path` with `fault`. Faults wait in line; each is used once.
    pub fn script(&self, path: &str, fault: Fault) {
        lock(&self.shared.faults).push_back((path.to_owned(), fault));
    }

    /// Scripted faults that no request has met yet.
    pub fn scripted(&self) -> usize {
        lock(&self.shared.faults).len()
    }

    /// The newest requests, oldest first: method, path and query.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).iter().cloned().collect()
    }

    /// Stops listening, ends answers that hang, and waits for the end.
    ///
    /// # Errors
    /// If the server had failed.
    pub async fn shutdown(mut self) -> Result<(), ReplayError> {
        self.shared.shutdown.cancel();
        let Some(mut task) = self.task.take() else { return Ok(()) };
        // A client that keeps its connection open must not keep the server.
        match tokio::time::timeout(Duration::from_secs(2), &mut task).await {
            Ok(Ok(result)) => result.map_err(ReplayError::Stop),
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                task.abort();
                Ok(())
            }
        }
    }
}

impl Drop for ReplayServer {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v3/tables", get(jobindsats_tables))
        .route("/v3/data/{id}", get(jobindsats_data))
        .route("/v1/tables", get(statbank_tables))
        .route("/v1/tableinfo/{id}", get(statbank_info))
        .route("/v1/data", post(statbank_data))
        .layer(from_fn_with_state(shared.clone(), watch))
        .layer(axum::extract::DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(shared)
}

/// Notes the request and applies the first scripted fault for its path.
async fn watch(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let path = request.uri().path().to_owned();
    {
        let mut requests = lock(&shared.requests);
        if requests.len() == REQUESTS_MAX {
            requests.pop_front();
        }
        requests.push_back(line);
    }
    let fault = {
        let mut faults = lock(&shared.faults);
        let place = faults.iter().position(|(wanted, _)| path.contains(wanted.as_str()));
        place.and_then(|place| faults.remove(place))
    };
    match fault {
        None => next.run(request).await,
        Some((_, fault)) => fault.apply(next.run(request), &shared.shutdown).await,
    }
}

/// A body with its status and content type.
struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, self.content_type), (header::CACHE_CONTROL, "no-cache")];
        (self.status, headers, Body::from(self.body)).into_response()
    }
}

impl Shared {
    fn step(&self) -> usize {
        self.step.load(Ordering::SeqCst)
    }

    fn refuses(&self, headers: &HeaderMap) -> Option<Reply> {
        let token = self.token.as_ref()?;
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        (given != Some(&format!("Bearer {token}"))).then(jobindsats::unauthorized)
    }
}

type Pairs = Query<Vec<(String, String)>>;

async fn jobindsats_tables(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Reply {
    shared.refuses(&headers).unwrap_or_else(|| jobindsats::tables(shared.step(), &shared.vintages))
}

async fn jobindsats_data(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Reply {
    shared.refuses(&headers).unwrap_or_else(|| jobindsats::data(shared.step(), &shared.vintages, &id, &pairs))
}

async fn statbank_tables(State(shared): State<Arc<Shared>>, Query(pairs): Pairs) -> Reply {
    shared.statbank.list(shared.step(), &pairs)
}

async fn statbank_info(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Reply {
    shared.statbank.info(&id)
}

async fn statbank_data(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    shared.statbank.data(&body)
}
