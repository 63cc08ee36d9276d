//! The immutable file of a table over HTTP: whole or in ranges, as the reader's validators ask.
//!
//! Its `ETag` is its checksum, so ranges of two files never make one answer. That a closed table is read is written down before anything
//! of it is told.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rettidig_model::contract::Table;
use rettidig_runtime::store::FileEntry;
use serde_json::json;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::access::Reader;
use crate::{Shown, audit};

/// The file of a table in an epoch. Whether the reader may have the whole of it has been looked at.
pub(crate) async fn send(
    shown: &Shown,
    table: &Table,
    entry: &FileEntry,
    epoch: u64,
    reader: &Reader,
    mut request: Request,
) -> Response {
    if table.closed {
        let question = json!({ "file": entry.path });
        if let Err(error) = audit::note(&shown.folder, reader, question, epoch, shown.clock.now()).await {
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

/// Whether a header of validators names an `ETag`, or any.
pub(crate) fn names_etag(headers: &HeaderMap, name: &str, etag: &str) -> bool {
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
