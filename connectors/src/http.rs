//! The only way out to the network, bounded in every direction.
//!
//! One request has a time limit and a size limit; a failing one is tried again a bounded number of times with
//! exponential waits and jitter (429, 5xx, timeouts, broken connections), at most for a total time; a
//! `Retry-After` is honoured when it fits into that total. Waiting goes through [`Pause`], so that a test can
//! watch it. Neither headers nor queries are ever logged, and the token lives in a [`SecretString`].
//!
//! Units: milliseconds and bytes. Environment variables are not read, proxies included: a proxy is named in
//! the profile.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use rettidig_event::SourceError;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// How the connectors wait.
pub type Pause = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Waits on Tokio's timer.
pub fn tokio_pause() -> Pause {
    Arc::new(|duration| Box::pin(tokio::time::sleep(duration)))
}

/// The limits of a source's requests; section `http` of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// Time for one request, answer included.
    pub timeout_ms: u64,
    /// Requests for one answer, the first one included.
    pub attempts: u64,
    /// The first wait between two attempts; doubles from there, plus jitter.
    pub first_wait_ms: u64,
    /// The longest wait between two attempts that the back-off itself chooses.
    pub wait_ms_max: u64,
    /// Time for all attempts and waits together.
    pub total_ms: u64,
    /// The largest answer.
    pub body_bytes_max: u64,
    /// A proxy's address, where one is needed.
    pub proxy: Option<String>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            timeout_ms: 90_000,
            attempts: 5,
            first_wait_ms: 500,
            wait_ms_max: 30_000,
            total_ms: 300_000,
            body_bytes_max: 64 << 20,
            proxy: None,
        }
    }
}

/// A complete answer: any status that another attempt would not change.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer {
    /// The first part of the body, for an error text.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        line.trim().to_owned()
    }
}

/// An answer that is read as it comes.
pub(crate) enum Streamed {
    /// Status 2xx: the body.
    Body(BoxStream<'static, Result<Bytes, String>>),
    /// Any other final status.
    Answer(Answer),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct HttpError {
    cause: String,
    retryable: bool,
    retry_after: Option<Duration>,
    too_large: bool,
}

impl HttpError {
    fn retry(cause: String) -> Self {
        Self { cause, retryable: true, retry_after: None, too_large: false }
    }

    /// The error of the poll.
    pub(crate) fn into_source_error(self, attempt: &str) -> SourceError {
        if self.too_large {
            return SourceError::Stop {
                attempt: attempt.to_owned(),
                cause: self.cause,
                remedy: "raise http.body_bytes_max in the profile or ask for fewer periods".to_owned(),
            };
        }
        SourceError::Retry { attempt: attempt.to_owned(), cause: self.cause }
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Request<'a> {
    Get,
    Post(&'a serde_json::Value),
}

/// A client of one delivering system.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: reqwest::Client,
    limits: HttpLimits,
    pause: Pause,
    token: Option<SecretString>,
    /// StatBank answers 404 for a while around a release; jobindsats does not.
    retry_not_found: bool,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client; the text of an error names the key of the profile that is wrong.
    pub(crate) fn new(
        limits: HttpLimits,
        token: Option<SecretString>,
        retry_not_found: bool,
        pause: Pause,
    ) -> Result<Self, String> {
        let timeout = Duration::from_millis(limits.timeout_ms);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rettidig/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(15)))
            .read_timeout(timeout)
            .redirect(reqwest::redirect::Policy::limited(3))
            .no_proxy();
        if let Some(proxy) = &limits.proxy {
            builder = builder
                .proxy(reqwest::Proxy::all(proxy).map_err(|_| "http.proxy: expected an address".to_owned())?);
        }
        let client = builder.build().map_err(|error| format!("http: {}", error.without_url()))?;
        if let Some(token) = &token {
            bearer(token)?;
        }
        Ok(Self { client, limits, pause, token, retry_not_found })
    }

    /// Asks until there is an answer that another attempt would not change, within the limits.
    pub(crate) async fn fetch(&self, url: &Url, request: Request<'_>) -> Result<Answer, HttpError> {
        match self.retried(url, request, true).await? {
            Streamed::Answer(answer) => Ok(answer),
            Streamed::Body(_) => Err(HttpError::retry("the answer came in parts".to_owned())),
        }
    }

    /// As [`HttpClient::fetch`], but hands out a good body as it comes. Only the way to the first byte is tried
    /// again; each pause between two chunks is bounded by the time limit of a request.
    pub(crate) async fn stream(&self, url: &Url, request: Request<'_>) -> Result<Streamed, HttpError> {
        self.retried(url, request, false).await
    }

    async fn retried(&self, url: &Url, request: Request<'_>, whole: bool) -> Result<Streamed, HttpError> {
        let limits = &self.limits;
        let total = Duration::from_millis(limits.total_ms);
        let started = Instant::now();
        let mut waited = Duration::ZERO;
        let mut attempts = 1_u64;
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(limits.first_wait_ms))
            .with_max_delay(Duration::from_millis(limits.wait_ms_max))
            .with_max_times(usize::try_from(limits.attempts.saturating_sub(1)).unwrap_or(usize::MAX))
            .with_jitter()
            .build();
        loop {
            let error = match self.once(url, request, whole).await {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.retryable => return Err(error),
                Err(error) => error,
            };
            let wait = waits
                .next()
                .map(|wait| error.retry_after.map_or(wait, |asked| asked.max(wait)))
                .filter(|wait| started.elapsed().max(waited) + *wait <= total);
            let Some(wait) = wait else {
                return Err(HttpError { cause: format!("{} (attempts: {attempts})", error.cause), ..error });
            };
            tracing::debug!(path = url.path(), cause = error.cause, ?wait, "trying again");
            waited += wait;
            attempts += 1;
            (self.pause)(wait).await;
        }
    }

    async fn once(&self, url: &Url, request: Request<'_>, whole: bool) -> Result<Streamed, HttpError> {
        let response = self.send(url, request, whole).await?;
        let status = response.status();
        if status.is_success() && !whole {
            let chunks = response.bytes_stream();
            return Ok(Streamed::Body(
                chunks.map(|chunk| chunk.map_err(|error| describe(error).cause)).boxed(),
            ));
        }
        let limit = self.limits.body_bytes_max;
        let mut stream = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(describe)?);
            if body.len() as u64 > limit {
                return Err(HttpError {
                    cause: format!("the answer is larger than {limit} bytes"),
                    retryable: false,
                    retry_after: None,
                    too_large: true,
                });
            }
        }
        Ok(Streamed::Answer(Answer { status, body: body.into() }))
    }

    async fn send(
        &self,
        url: &Url,
        request: Request<'_>,
        whole: bool,
    ) -> Result<reqwest::Response, HttpError> {
        let builder = match request {
            Request::Get => self.client.get(url.clone()),
            Request::Post(json) => self.client.post(url.clone()).json(json),
        };
        let mut builder = builder.header(ACCEPT, "application/json, text/json, text/csv");
        if whole {
            builder = builder.timeout(Duration::from_millis(self.limits.timeout_ms));
        }
        if let Some(token) = &self.token {
            let header =
                bearer(token).map_err(|cause| HttpError { retryable: false, ..HttpError::retry(cause) })?;
            builder = builder.header(AUTHORIZATION, header);
        }
        let response = builder.send().await.map_err(describe)?;
        let status = response.status();
        let passing = status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT
            || status.is_server_error()
            || (status == StatusCode::NOT_FOUND && self.retry_not_found);
        if passing {
            let retry_after = retry_after(response.headers());
            return Err(HttpError { retry_after, ..HttpError::retry(format!("HTTP {}", status.as_u16())) });
        }
        Ok(response)
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, String> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| {
        "token: contains a character that no header may hold; is there a line break?".to_owned()
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn describe(error: reqwest::Error) -> HttpError {
    let cause = if error.is_timeout() {
        "no answer within the time limit".to_owned()
    } else if error.is_connect() {
        "no connection".to_owned()
    } else if error.is_body() || error.is_decode() || error.is_request() {
        "the connection broke off".to_owned()
    } else {
        error.without_url().to_string()
    };
    HttpError::retry(cause)
}

/// Seconds, or a date relative to the answer's own date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let until = date(text)? - date(headers.get(DATE)?.to_str().ok()?)?;
    until.to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 19 Aug 2026 08:00:30 GMT"));
        assert_eq!(retry_after(&headers), None, "no date to compare with");
        headers.insert(DATE, HeaderValue::from_static("Wed, 19 Aug 2026 08:00:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_client_shows_no_token() {
        let token = Some(SecretString::from("geheim-42".to_owned()));
        let client = HttpClient::new(HttpLimits::default(), token, false, tokio_pause()).expect("client");
        assert!(!format!("{client:?}").contains("geheim"));
        let broken = Some(SecretString::from("geheim\n42".to_owned()));
        let error =
            HttpClient::new(HttpLimits::default(), broken, false, tokio_pause()).expect_err("refused");
        assert!(error.starts_with("token:") && !error.contains("geheim"), "{error}");
    }
}
