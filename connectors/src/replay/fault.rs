//! What can go wrong with an answer, on request.

use std::future::Future;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

/// The largest good answer that a fault is applied to, bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A fault in the answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This answer instead of the good one.
    Answer {
        /// Status.
        status: u16,
        /// Content type.
        content_type: String,
        /// Body.
        body: Vec<u8>,
        /// Header `Retry-After`, if any.
        retry_after: Option<String>,
    },
    /// No answer until the server is shut down.
    Slow,
    /// The first half of the good body, as if it were whole.
    Truncated,
    /// The first half of the good body, then the connection breaks.
    Cut,
    /// The good status, no body.
    Empty,
    /// The good body in Windows-1252.
    Windows1252,
    /// The good body behind a byte order mark.
    ByteOrderMark,
    /// The good body, edited: first text to second.
    Replaced(String, String),
}

impl Fault {
    /// An answer with a status and a JSON or text body.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer {
            status,
            content_type: "application/json".to_owned(),
            body: body.into(),
            retry_after: None,
        }
    }

    /// A page with status 200: a proxy or a login in the publisher's place.
    pub fn html() -> Self {
        Self::Answer {
            status: 200,
            content_type: "text/html; charset=utf-8".to_owned(),
            body: b"<!DOCTYPE html><html><body>Log in to continue</body></html>".to_vec(),
            retry_after: None,
        }
    }

    /// 403 as the service gives it (recorded text).
    pub fn forbidden() -> Self {
        Self::answer(403, "You do not have permission to view this directory or page.")
    }

    /// 429 with a number of seconds to wait.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::Answer {
            status: 429,
            content_type: "text/plain".to_owned(),
            body: b"Too many requests".to_vec(),
            retry_after: Some(retry_after_seconds.to_string()),
        }
    }

    pub(super) async fn apply(
        self,
        good: impl Future<Output = Response>,
        shutdown: &CancellationToken,
    ) -> Response {
        match self {
            Self::Answer { status, content_type, body, retry_after } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = (status, body).into_response();
                let headers = response.headers_mut();
                if let Ok(value) = HeaderValue::from_str(&content_type) {
                    headers.insert(header::CONTENT_TYPE, value);
                }
                if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
                    headers.insert(header::RETRY_AFTER, value);
                }
                response
            }
            Self::Slow => {
                shutdown.cancelled().await;
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
            Self::Cut => {
                let body = body_of(good.await).await;
                let half = body.slice(..body.len() / 2);
                // The pause lets the first half reach the wire before the connection breaks.
                let broken = async {
                    tokio::task::yield_now().await;
                    Err(std::io::Error::other("cut by the script"))
                };
                let chunks = stream::iter([Ok(half)]).chain(stream::once(broken));
                Body::from_stream(chunks).into_response()
            }
            edit => {
                let (parts, body) = good.await.into_parts();
                let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
                let mut response = edit.edited(&body).into_response();
                *response.status_mut() = parts.status;
                if let Some(value) = parts.headers.get(header::CONTENT_TYPE) {
                    response.headers_mut().insert(header::CONTENT_TYPE, value.clone());
                }
                response
            }
        }
    }

    /// The good body after an edit; as it is for faults that are no edits.
    pub fn edited(&self, body: &[u8]) -> Vec<u8> {
        let text = || String::from_utf8_lossy(body);
        match self {
            Self::Truncated => body[..body.len() / 2].to_vec(),
            Self::Empty => Vec::new(),
            // Danish letters have the same code there as in Unicode.
            Self::Windows1252 => text().chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
            Self::ByteOrderMark => [b"\xef\xbb\xbf", body].concat(),
            Self::Replaced(from, to) => text().replace(from, to).into_bytes(),
            _ => body.to_vec(),
        }
    }
}

async fn body_of(response: Response) -> Bytes {
    to_bytes(response.into_body(), BODY_BYTES_MAX).await.unwrap_or_default()
}
