//! The push endpoint, over a real socket: who may push, repeats, limits, back-pressure, and no CPR number in
//! any answer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest::StatusCode;
use rettidig_connectors::push::{PushClient, PushLimits, PushOptions, router};
use rettidig_event::{ManualClock, Sink, SinkError, Topic};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::golden::raw;
use crate::support::{MemorySink, test_key, within};

const TOKEN: &str = "hemmelig-token-101-x";
const OTHER_TOKEN: &str = "hemmelig-token-147-x";
const LINE: &str = "{\"uuid\":\"a-1\",\"revision\":1,\"cpr\":\"610170-1234\",\"kommune\":101,\"ydelseskode\":\"cash\",\
                    \"startdato\":\"2026-07-01\",\"slutdato\":\"2026-07-31\",\"beloeb\":1}\n";

/// A sink that is shared with the test, may fail to acknowledge, and acknowledges only with a permit.
#[derive(Clone)]
struct SharedSink {
    sink: Arc<Mutex<MemorySink>>,
    permits: Arc<Semaphore>,
}

#[async_trait]
impl Sink for SharedSink {
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        self.sink.lock().expect("sink").sent.push((topic, key.to_owned(), payload));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.permits.acquire().await.expect("permit").forget();
        let fail = std::mem::take(&mut self.sink.lock().expect("sink").fail_flush);
        if fail { Err(SinkError("not acknowledged".to_owned())) } else { Ok(()) }
    }
}

struct Endpoint {
    address: SocketAddr,
    sink: SharedSink,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    client: reqwest::Client,
}

fn options<'a>(folder: &Path, limits: PushLimits) -> PushOptions<'a> {
    let client =
        |municipality, token: &str| PushClient { municipality, token: SecretString::from(token.to_owned()) };
    PushOptions {
        name: "ky",
        profile_yaml: None,
        clients: vec![client(101, TOKEN), client(147, OTHER_TOKEN)],
        key: test_key(),
        clock: Arc::new(ManualClock::new("2026-08-20T06:00:00Z".parse().expect("instant"))),
        folder: folder.to_owned(),
        limits,
    }
}

impl Endpoint {
    async fn start(folder: &Path, limits: PushLimits, permits: usize) -> Self {
        let (routes, worker) = router(options(folder, limits)).expect("routes");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let address = listener.local_addr().expect("address");
        let sink = SharedSink { sink: Arc::default(), permits: Arc::new(Semaphore::new(permits)) };
        let stop = CancellationToken::new();
        let (mut own, token) = (sink.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move { worker.run(&mut own, &token).await }),
            tokio::spawn(async move { axum::serve(listener, routes).await.expect("serve") }),
        ];
        Self { address, sink, stop, tasks, client: reqwest::Client::new() }
    }

    fn stop(self) {
        self.stop.cancel();
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }

    fn request(&self, token: &str, id: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let url = format!("http://{}/push/ky", self.address);
        self.client.post(url).bearer_auth(token).header("x-requestId", id).body(body)
    }

    async fn push(&self, token: &str, id: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        answered(self.request(token, id, body)).await
    }

    fn sent(&self) -> usize {
        self.sink.sink.lock().expect("sink").sent.len()
    }
}

async fn answered(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("answer");
    let status = response.status();
    let text = response.text().await.expect("text");
    assert!(!text.contains("610170") && !text.contains("1701234"), "{text}");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

#[test]
fn what_is_pushed_is_acknowledged_reported_and_not_taken_twice() {
    within(60, async {
        let folder = tempfile::tempdir().expect("folder");
        let endpoint = Endpoint::start(folder.path(), PushLimits::default(), 100).await;
        let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        let (status, report) = endpoint.push(TOKEN, id, raw("ky/raw.ndjson")).await;
        assert_eq!(
            (status, &report["accepted"], &report["rejected"]),
            (StatusCode::ACCEPTED, &4.into(), &6.into())
        );
        assert_eq!(
            (&report["lines"][0]["line"], &report["lines"][0]["reason"]),
            (&5.into(), &"invalid_value".into())
        );
        let sent = endpoint.sent();
        assert_eq!(sent, 11);
        {
            let sink = endpoint.sink.sink.lock().expect("sink");
            sink.assert_decodable();
            let payments = sink.of(Topic::Payments);
            assert_eq!(payments[0]["source"], "ky-101");
            // The instant of the push, unless the record has its own.
            assert_eq!(payments[0]["recorded_at"], "2026-08-20T06:00:00Z");
            assert_eq!(payments[1]["recorded_at"], "2026-08-02T07:30:00Z");
            let origin = serde_json::to_string(&sink.dead_letters()[0].origin).expect("json");
            assert!(origin.contains("POST /push/ky/101"), "{origin}");
        }
        let (status, _) = endpoint.push(TOKEN, id, LINE).await;
        assert_eq!((status, endpoint.sent()), (StatusCode::PRECONDITION_FAILED, sent));
        // An id is a sender's own.
        let (status, _) = endpoint.push(OTHER_TOKEN, id, LINE).await;
        assert_eq!((status, endpoint.sent()), (StatusCode::ACCEPTED, sent + 2));
        endpoint.stop();
        // After a restart too.
        let endpoint = Endpoint::start(folder.path(), PushLimits::default(), 100).await;
        let (status, _) = endpoint.push(TOKEN, id, LINE).await;
        assert_eq!((status, endpoint.sent()), (StatusCode::PRECONDITION_FAILED, 0));
        endpoint.stop();
    });
}

#[test]
fn who_and_what_is_turned_away() {
    within(60, async {
        let folder = tempfile::tempdir().expect("folder");
        let limits = PushLimits { body_bytes_max: 500, ..PushLimits::default() };
        let endpoint = Endpoint::start(folder.path(), limits, 100).await;
        let url = format!("http://{}/push/ky", endpoint.address);
        let bare = || endpoint.client.post(&url).body(LINE);
        let long = "x".repeat(47);
        for (request, expected) in [
            (bare().header("x-requestId", "a"), StatusCode::UNAUTHORIZED),
            (
                bare().header("x-requestId", "a").header("authorization", format!("Basic {TOKEN}")),
                StatusCode::UNAUTHORIZED,
            ),
            (endpoint.request("hemmelig-token-101-", "a", LINE), StatusCode::UNAUTHORIZED),
            (bare().bearer_auth(TOKEN), StatusCode::BAD_REQUEST),
            (endpoint.request(TOKEN, &long, LINE), StatusCode::BAD_REQUEST),
            (endpoint.request(TOKEN, "610170-1234", LINE), StatusCode::BAD_REQUEST),
            (endpoint.request(TOKEN, "a", LINE).header("x-requestId", "b"), StatusCode::BAD_REQUEST),
            (endpoint.request(TOKEN, "a", " \n"), StatusCode::BAD_REQUEST),
            (endpoint.request(TOKEN, "a", LINE.repeat(4)), StatusCode::PAYLOAD_TOO_LARGE),
            (endpoint.client.get(&url).bearer_auth(TOKEN), StatusCode::METHOD_NOT_ALLOWED),
        ] {
            assert_eq!(answered(request).await.0, expected);
        }
        assert_eq!(endpoint.sent(), 0);
        // None of it used up the id.
        let (status, _) = endpoint.push(TOKEN, "a", LINE).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        endpoint.stop();
    });
}

/// Goal: 202 comes after the acknowledgement and never without it; who does not fit in is told to wait; nothing
/// of this uses up an id. Method: a sink that acknowledges when the test lets it.
#[test]
fn acknowledgement_and_back_pressure() {
    within(60, async {
        let folder = tempfile::tempdir().expect("folder");
        let limits = PushLimits { waiting_max: 1, ..PushLimits::default() };
        let endpoint = Arc::new(Endpoint::start(folder.path(), limits, 0).await);
        let push = |id: &'static str| {
            let endpoint = Arc::clone(&endpoint);
            tokio::spawn(async move { endpoint.push(TOKEN, id, LINE).await })
        };
        // The first is with the sink, the second waits, the third does not fit in.
        let first = push("first");
        while endpoint.sent() < 2 {
            tokio::task::yield_now().await;
        }
        let second = push("second");
        let third = loop {
            let response = endpoint.request(TOKEN, "third", LINE).send();
            let response = tokio::time::timeout(std::time::Duration::from_millis(200), response).await;
            // Before the second has its place, the third takes it and waits: it is given up and tried again.
            if let Ok(response) = response {
                break response.expect("answer");
            }
        };
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(third.headers()["retry-after"], "5");
        assert!(!first.is_finished() && !second.is_finished(), "nothing is acknowledged yet");
        endpoint.sink.permits.add_permits(100);
        assert_eq!(first.await.expect("task").0, StatusCode::ACCEPTED);
        let status = second.await.expect("task").0;
        assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE), "{status}");

        endpoint.sink.sink.lock().expect("sink").fail_flush = true;
        let (status, _) = endpoint.push(TOKEN, "fourth", LINE).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let (status, _) = endpoint.push(TOKEN, "fourth", LINE).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        endpoint.stop.cancel();
    });
}

#[test]
fn what_cannot_be_pushed_to_is_not_built() {
    let folder = tempfile::tempdir().expect("folder");
    let mut wrong = options(folder.path(), PushLimits::default());
    wrong.name = "yr";
    wrong.clients[0].token = SecretString::from("short".to_owned());
    wrong.clients[1].municipality = 102;
    let text = router(wrong).err().expect("refused").to_string();
    for expected in
        ["only ndjson", "its id must come from its columns", "clients[0].token", "clients[1].municipality"]
    {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    assert!(!text.contains("short"), "{text}");
}
