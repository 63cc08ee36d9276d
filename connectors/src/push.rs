//! Person records that are pushed over HTTP: `POST /push/<source>`, one JSON object a line.
//!
//! Each sender has a token of its own, which also says for which municipality it delivers. `x-requestId` (1 to 46
//! characters) is required; a repeat answers 412 and changes nothing, also after a restart. 202 is answered only
//! once the sink has acknowledged every record and the id is stored; whatever goes wrong before that may be sent
//! again. Bad lines become dead letters, and the report names them by number and reason, without their content.
//! Everything is bounded: the body (413), the time to send it (408), the requests that wait (503 with
//! `Retry-After`), the ids that are remembered.
//!
//! [`router`] gives the routes and a [`Worker`]; the caller mounts the one, beside its own, and runs the other.
//! TLS is the business of what stands in front.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt as _;
use rettidig_event::{Clock, Sink, SinkError, municipality::is_municipality};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::ids::Ids;
use crate::emit::{Emitter, Refusal};
use crate::profile::ProfileError;
use crate::pseudonym::{PseudonymKey, contains_cpr};
use crate::records::feed::Feed;
use crate::records::lines::Encoding;
use crate::records::profile::{EncodingRule, Format, IdPart, Profile};
use crate::records::{Production, Step};

mod ids;

/// The header with the request's id.
pub const REQUEST_ID: &str = "x-requestid";

/// The longest request id, characters.
pub const REQUEST_ID_MAX: usize = 46;

/// The shortest token, bytes.
pub const TOKEN_BYTES_MIN: usize = 16;

/// The lines that a report names; the others are counted.
const REPORT_LINES_MAX: usize = 100;

/// One that may push.
#[derive(Debug, Clone)]
pub struct PushClient {
    /// The municipality it delivers for: `source` of its events is `<source>-<municipality>`.
    pub municipality: i32,
    /// Its bearer token, at least [`TOKEN_BYTES_MIN`] bytes.
    pub token: SecretString,
}

/// The limits of the endpoint.
#[derive(Debug, Clone, Copy)]
pub struct PushLimits {
    /// The largest body, bytes.
    pub body_bytes_max: usize,
    /// Time to send the body.
    pub body_time_max: Duration,
    /// Requests that are being sent or wait for their turn. Times `body_bytes_max` it bounds the memory.
    pub waiting_max: usize,
    /// What a refused sender is told to wait.
    pub retry_after: Duration,
    /// Request ids that are remembered; beyond it the oldest are forgotten.
    pub ids_max: usize,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 << 20,
            body_time_max: Duration::from_secs(60),
            waiting_max: 16,
            retry_after: Duration::from_secs(5),
            ids_max: 100_000,
        }
    }
}

/// What the endpoint is built from.
pub struct PushOptions<'a> {
    /// Names the shipped profile that is used if none is given: `ky`.
    pub name: &'a str,
    /// The profile's text.
    pub profile_yaml: Option<&'a str>,
    /// Who may push.
    pub clients: Vec<PushClient>,
    /// The key of the pseudonyms.
    pub key: Arc<PseudonymKey>,
    /// Where instants come from.
    pub clock: Arc<dyn Clock>,
    /// The folder of the cursors; the ids are kept there, `push-<source>.ids`.
    pub folder: PathBuf,
    /// The limits.
    pub limits: PushLimits,
}

/// Why the endpoint cannot be built.
#[derive(Debug, Error)]
pub enum PushError {
    /// Profile or clients.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The file of the ids.
    #[error("opening the request ids in {}; check that the folder may be written", path.display())]
    Ids {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What the sender is told.
#[derive(Debug, Serialize)]
struct Report {
    /// Records used.
    accepted: u64,
    /// Lines put aside.
    rejected: u64,
    /// The first of them.
    lines: Vec<ReportLine>,
}

#[derive(Debug, Serialize)]
struct ReportLine {
    line: u64,
    reason: &'static str,
    message: String,
}

impl ReportLine {
    fn new(line: u64, refusal: &Refusal) -> Self {
        Self { line, reason: refusal.reason.code(), message: refusal.message.clone() }
    }
}

struct Job {
    municipality: i32,
    request_id: String,
    body: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

enum Answer {
    Accepted(Report),
    Rejected(Report),
    Repeated,
    Unavailable,
}

struct Shared {
    /// Municipality and digest of the token.
    clients: Vec<(i32, [u8; 32])>,
    limits: PushLimits,
    jobs: mpsc::Sender<Job>,
    ids: Arc<Mutex<Ids>>,
}

/// Hands what was pushed to the sink, one request after the other.
pub struct Worker {
    profile: Profile,
    key: Arc<PseudonymKey>,
    clock: Arc<dyn Clock>,
    jobs: mpsc::Receiver<Job>,
    ids: Arc<Mutex<Ids>>,
}

/// Builds the route `POST /push/<source>` and the worker behind it.
///
/// # Errors
/// With everything that is wrong with profile and clients, or if the ids cannot be read.
pub fn router(options: PushOptions<'_>) -> Result<(Router, Worker), PushError> {
    let yaml = match options.profile_yaml {
        Some(yaml) => yaml,
        None => crate::sources::default_feed_profile(options.name)?,
    };
    let profile = Profile::read(options.name, yaml)?;
    let errors = check(&profile, &options);
    if !errors.is_empty() {
        return Err(ProfileError { source: options.name.to_owned(), errors }.into());
    }
    let path = options.folder.join(format!("push-{}.ids", profile.source));
    let ids = Ids::open(&path, options.limits.ids_max).map_err(|source| PushError::Ids { path, source })?;
    let ids = Arc::new(Mutex::new(ids));
    let (sender, receiver) = mpsc::channel(options.limits.waiting_max.max(1));
    let clients =
        options.clients.iter().map(|client| (client.municipality, digest(client.token.expose_secret())));
    let shared =
        Shared { clients: clients.collect(), limits: options.limits, jobs: sender, ids: Arc::clone(&ids) };
    let route = format!("/push/{}", profile.source);
    tracing::info!(
        route,
        key_id = options.key.key_id(),
        erased = options.key.erased(),
        "push, its pseudonyms made with this key"
    );
    let router = Router::new().route(&route, post(handle)).with_state(Arc::new(shared));
    Ok((router, Worker { profile, key: options.key, clock: options.clock, jobs: receiver, ids }))
}

fn check(profile: &Profile, options: &PushOptions<'_>) -> Vec<String> {
    let mut errors = Vec::new();
    if profile.format != Format::Ndjson || profile.encoding == EncodingRule::Windows1252 {
        errors.push("format: only ndjson in UTF-8 can be pushed".to_owned());
    }
    let by_file = |part: &IdPart| matches!(part, IdPart::File | IdPart::Line);
    if profile.records.iter().any(|map| map.id.iter().any(by_file)) {
        errors.push("records: a pushed record has no file; its id must come from its columns".to_owned());
    }
    if options.clients.is_empty() {
        errors.push("clients: expected at least one municipality with its token".to_owned());
    }
    for (index, client) in options.clients.iter().enumerate() {
        if !is_municipality(client.municipality) {
            errors.push(format!("clients[{index}].municipality: expected one of the 98 codes"));
        }
        let token = client.token.expose_secret();
        if token.len() < TOKEN_BYTES_MIN {
            errors.push(format!("clients[{index}].token: expected at least {TOKEN_BYTES_MIN} bytes"));
        }
        if options.clients[..index].iter().any(|other| other.token.expose_secret() == token) {
            errors.push(format!("clients[{index}].token: another client has the same"));
        }
    }
    errors
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn lock(ids: &Mutex<Ids>) -> std::sync::MutexGuard<'_, Ids> {
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer that is no report.
fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "error": message }))).into_response()
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(municipality) = client(&shared.clients, request.headers()) else {
        let mut response =
            refuse(StatusCode::UNAUTHORIZED, "expected Authorization: Bearer and a known token");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    let Some(request_id) = request_id(request.headers()) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "expected one header x-requestId of 1 to 46 visible ASCII characters, such as a UUID",
        );
    };
    if lock(&shared.ids).contains(municipality, &request_id) {
        return repeated();
    }
    let busy = || {
        let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, "busy; send the same request again");
        response.headers_mut().insert(header::RETRY_AFTER, shared.limits.retry_after.as_secs().into());
        response
    };
    // The place in the queue comes first: it bounds the bodies in memory.
    let Ok(place) = shared.jobs.try_reserve() else { return busy() };
    let body =
        match tokio::time::timeout(shared.limits.body_time_max, read(request.into_body(), &shared)).await {
            Ok(Ok(body)) => body,
            Ok(Err(response)) => return response,
            Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"),
        };
    let (answer, answered) = oneshot::channel();
    place.send(Job { municipality, request_id, body, answer });
    match answered.await {
        Ok(Answer::Accepted(report)) => (StatusCode::ACCEPTED, Json(report)).into_response(),
        Ok(Answer::Rejected(report)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(report)).into_response(),
        Ok(Answer::Repeated) => repeated(),
        Ok(Answer::Unavailable) | Err(_) => busy(),
    }
}

fn repeated() -> Response {
    refuse(StatusCode::PRECONDITION_FAILED, "this x-requestId was accepted before; nothing was changed")
}

/// The municipality of the token; every known one is compared, in constant time.
fn client(clients: &[(i32, [u8; 32])], headers: &HeaderMap) -> Option<i32> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let given = digest(token.trim());
    let mut found = None;
    for (municipality, known) in clients {
        let same: Choice = known.ct_eq(&given);
        if bool::from(same) {
            found = Some(*municipality);
        }
    }
    found
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let id = value.to_str().ok()?.trim();
    let plain = (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    (plain && !contains_cpr(id)).then(|| id.to_owned())
}

async fn read(body: Body, shared: &Shared) -> Result<Vec<u8>, Response> {
    let mut bytes = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| refuse(StatusCode::BAD_REQUEST, "the body broke off"))?;
        if bytes.len() + piece.len() > shared.limits.body_bytes_max {
            let message =
                format!("expected at most {} bytes; send several requests", shared.limits.body_bytes_max);
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, &message));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(refuse(StatusCode::BAD_REQUEST, "expected one JSON object a line, got an empty body"));
    }
    Ok(bytes)
}

impl Worker {
    /// Works until `shutdown` is cancelled or the routes are gone. What was answered with 202 is in the sink; a
    /// request in flight at shutdown is answered with 503.
    pub async fn run(mut self, sink: &mut dyn Sink, shutdown: &CancellationToken) {
        loop {
            let job = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                job = self.jobs.recv() => job,
            };
            let Some(job) = job else { return };
            let answer = if lock(&self.ids).contains(job.municipality, &job.request_id) {
                Answer::Repeated
            } else {
                self.work(&job, sink).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a pushed request was not acknowledged; its sender is told to wait");
                    Answer::Unavailable
                })
            };
            // Nobody listens any more if the sender hung up.
            let _ = job.answer.send(answer);
        }
    }

    async fn work(&self, job: &Job, sink: &mut dyn Sink) -> Result<Answer, SinkError> {
        let now = self.clock.now();
        let file = format!("POST /push/{}/{} {}", self.profile.source, job.municipality, job.request_id);
        let feed = || {
            let municipality = Some(job.municipality);
            Feed::new(&self.profile, &self.key, Encoding::Utf8, &file, municipality, None, now)
        };
        if Feed::needs_dry_run(&self.profile) {
            let mut dry = Production::new(feed(), &file);
            let step = match dry.check(&job.body) {
                Step::Used => dry.check_end(),
                rejected => rejected,
            };
            if let Step::Rejected(bad) = step {
                let mut emitter = Emitter::new(sink, &self.profile.source, &self.profile.source, now);
                emitter.dead_letter(&file, Some(bad.line), &bad.bytes, &bad.refusal).await?;
                sink.flush().await?;
                let lines = vec![ReportLine::new(bad.line, &bad.refusal)];
                return Ok(Answer::Rejected(Report { accepted: 0, rejected: 1, lines }));
            }
        }
        let mut emitter = Emitter::new(sink, &self.profile.source, &self.profile.source, now);
        let mut production = Production::new(feed(), &file);
        // A JSON line that rejects the whole was found above; what is left is used line by line.
        let _ = production.piece(&job.body, &mut emitter).await?;
        let _ = production.end(&mut emitter).await?;
        // The delivery itself is no record of the sender's.
        let (accepted, rejected) = (emitter.records.saturating_sub(1), production.bad);
        sink.flush().await?;
        let stored = lock(&self.ids).remember(job.municipality, &job.request_id, now);
        stored.map_err(|error| SinkError(format!("storing the id of a pushed request: {error}")))?;
        let first = production.bad_lines.iter().take(REPORT_LINES_MAX);
        let lines = first.map(|(line, refusal)| ReportLine::new(*line, refusal)).collect();
        Ok(Answer::Accepted(Report { accepted, rejected, lines }))
    }
}
