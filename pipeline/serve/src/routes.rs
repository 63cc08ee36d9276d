//! The routes of HTTP, and what is done for every request: who asks, how often, what browsers are told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH,
    IF_RANGE, RANGE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use rettidig_model::contract::Table;
use rettidig_runtime::Manifest;
use serde_json::json;
use tower::ServiceExt;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_http::services::ServeFile;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::access::{self, Reader};
use crate::{Door, Shown, audit, newest};

/// Time a request may take.
const TIME: Duration = Duration::from_secs(60);

/// What browsers are told where a page says nothing else.
const TOLD: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// All routes behind a door.
pub(crate) fn router(door: &Door, shown: Shown) -> Router {
    let mut readers = Router::new()
        .route("/tables", get(index))
        .route("/tables/{file}", get(table))
        .layer(from_fn_with_state(shown.access.clone(), access::identify))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIME));
    if let Some(limit) = door.requests_per_minute {
        readers = limited(readers, limit.get());
    }
    let watchers = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready));
    let mut router = readers.merge(watchers).with_state(shown);
    for (name, value) in TOLD {
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    }
    if door.tls.is_some() {
        let year = HeaderValue::from_static("max-age=31536000");
        router = router.layer(SetResponseHeaderLayer::if_not_present(STRICT_TRANSPORT_SECURITY, year));
    }
    router
}

/// Refuses what one address asks more often than it may.
fn limited(router: Router<Shown>, per_minute: u32) -> Router<Shown> {
    let period = Duration::from_secs(60) / per_minute;
    let mut builder = GovernorConfigBuilder::default();
    let config = builder.period(period).burst_size(per_minute.saturating_mul(2)).finish();
    match config {
        Some(config) => router.layer(GovernorLayer::new(config)),
        // Only a period or a burst of nothing is refused.
        None => router,
    }
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
    if is_closed {
        let question = json!({ "file": entry.path });
        let (epoch, now) = (snapshot.manifest.epoch, shown.clock.now());
        if let Err(error) = audit::note(&shown.folder, &reader, question, epoch, now).await {
            tracing::error!(%error, "a closed table is not told");
            return (StatusCode::INTERNAL_SERVER_ERROR, "closed tables are not told now: see the log\n")
                .into_response();
        }
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
