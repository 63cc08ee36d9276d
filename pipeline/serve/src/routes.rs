//! The routes of HTTP, and what is done for every request: who asks, how often, what browsers are told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use rettidig_model::contract::Table;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::access::{self, Reader};
use crate::{Door, Ready, Shown, files, forms, newest};

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
        .merge(forms::routes(&shown))
        .merge(crate::pages::router())
        .layer(from_fn_with_state(shown.access.clone(), access::identify))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIME));
    if let Some(limit) = door.requests_per_minute {
        readers = limited(readers, limit.get());
    }
    let watchers = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready));
    readers.merge(watchers).with_state(shown)
}

/// Tells browsers on every answer, also where there is no such path.
pub(crate) fn told(mut router: Router, door: &Door) -> Router {
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
    let not_yet = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match (&shown.ready, newest(&shown)) {
        (Ready::Shows(caught_up), Some(snapshot)) if caught_up.load(Ordering::Acquire) => {
            format!("epoch {}\n", snapshot.manifest.epoch).into_response()
        }
        (Ready::Shows(_), Some(_)) => not_yet("catching up with the topics\n"),
        (Ready::Shows(_), None) => not_yet("no epoch has been committed yet\n"),
        (Ready::Works(begun), _) if begun.load(Ordering::Acquire) => "at work\n".into_response(),
        (Ready::Works(_), _) => not_yet("waiting for Kafka, or for a place in the group\n"),
    }
}

/// Where the files of the newest epoch are.
const NEWEST: &str = "/tables";

async fn index(State(shown): State<Shown>) -> Response {
    match newest(&shown) {
        Some(snapshot) => Json(forms::describe(&snapshot.manifest, NEWEST)).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n").into_response(),
    }
}

async fn table(
    State(shown): State<Shown>,
    Path(file): Path<String>,
    Extension(reader): Extension<Reader>,
    request: Request,
) -> Response {
    let Some(snapshot) = newest(&shown) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n").into_response();
    };
    if file == "_epoch.json" {
        return Json(forms::describe(&snapshot.manifest, NEWEST)).into_response();
    }
    let entry = file.strip_suffix(".parquet").and_then(|name| snapshot.manifest.tables.get(name));
    let Some(entry) = entry else {
        let names: Vec<String> =
            snapshot.manifest.tables.keys().map(|name| format!("{name}.parquet")).collect();
        let message = format!("no table {file}: choose one of {}\n", names.join(", "));
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let Some(table) = file.strip_suffix(".parquet").and_then(Table::named) else {
        return (StatusCode::NOT_FOUND, "this table has no contract\n").into_response();
    };
    if table.closed && reader.areas().is_some() {
        let text = "the whole of this table is for operators: ask with an operator's token, or for the rows of your own areas at \
                    /data/TABLE.parquet\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    files::send(&shown, table, entry, snapshot.manifest.epoch, &reader, request).await
}
