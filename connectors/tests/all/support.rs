//! A sink in memory, a pause that records, a server and sources that know each other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use rettidig_connectors::driver::{CursorStore, PollError, poll_once};
use rettidig_connectors::http::Pause;
use rettidig_connectors::pseudonym::PseudonymKey;
use rettidig_connectors::replay::{REPLAY_STEPS, ReplayServer};
use rettidig_connectors::sources::{FeedOptions, Options, build_feed, build_with, default_feed_profile};
use rettidig_event::{Clock as _, DeadLetter, ManualClock, PollOutcome, Sink, SinkError, Source, Topic};
use secrecy::SecretString;
use serde_json::Value;

/// Runs a test with a hard limit.
pub fn within(limit_seconds: u64, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(limit_seconds), test).await.expect("within the time limit");
    });
}

/// What was sent, in order; can be told to fail.
#[derive(Default)]
pub struct MemorySink {
    pub sent: Vec<(Topic, String, Vec<u8>)>,
    pub fail_flush: bool,
    pub fail_send_after: Option<usize>,
}

#[async_trait]
impl Sink for MemorySink {
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        if self.fail_send_after.is_some_and(|limit| self.sent.len() >= limit) {
            return Err(SinkError("queue closed".to_owned()));
        }
        self.sent.push((topic, key.to_owned(), payload));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        if self.fail_flush { Err(SinkError("not acknowledged".to_owned())) } else { Ok(()) }
    }
}

/// Identity of a figure: table, measure, area, period, breakdown.
pub type Key = (String, String, i64, String, String);

impl MemorySink {
    /// What was sent, without the time at which a delivery came: each place tells it by a clock of its own.
    pub fn told(&self) -> Vec<(Topic, String, Vec<u8>)> {
        let timeless = |(topic, key, payload): &(Topic, String, Vec<u8>)| {
            let mut payload = payload.clone();
            if *topic == Topic::Deliveries {
                let mut event: Value = serde_json::from_slice(&payload).expect("JSON");
                assert!(event["delivered_at"].take().is_string(), "a delivery says when it came");
                payload = event.to_string().into_bytes();
            }
            (*topic, key.clone(), payload)
        };
        self.sent.iter().map(timeless).collect()
    }

    pub fn of(&self, topic: Topic) -> Vec<Value> {
        let payloads = self.sent.iter().filter(|(t, ..)| *t == topic);
        payloads.map(|(_, _, payload)| serde_json::from_slice(payload).expect("json")).collect()
    }

    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let payloads = self.sent.iter().filter(|(topic, ..)| *topic == Topic::DeadLetter);
        payloads.map(|(_, _, payload)| serde_json::from_slice(payload).expect("dead letter")).collect()
    }

    /// Figures of one table: identity to value and status.
    pub fn figures(&self, table: &str) -> BTreeMap<Key, (Value, Value)> {
        let mut figures = BTreeMap::new();
        for event in self.of(Topic::Official).iter().filter(|event| event["table"] == table) {
            let text = |key: &str| event[key].as_str().expect(key).to_owned();
            let key = (
                text("table"),
                text("measure"),
                event["area"].as_i64().expect("area"),
                text("period"),
                event["breakdown"].to_string(),
            );
            let value = (event["value"].clone(), event["status"].clone());
            assert!(figures.insert(key, value).is_none(), "a figure was sent twice: {event}");
        }
        figures
    }

    /// Every event as the pipeline would decode it: none may be refused.
    pub fn assert_decodable(&self) {
        for topic in [Topic::Official, Topic::Deliveries, Topic::Payments, Topic::Cases, Topic::Income] {
            let messages: Vec<_> = self
                .sent
                .iter()
                .filter(|(t, ..)| *t == topic)
                .map(|(_, _, payload)| rettidig_event::Message { partition: 0, offset: 0, payload })
                .collect();
            let count = messages.len();
            let decoded = match topic {
                Topic::Official => rettidig_event::official::decode(messages),
                Topic::Payments | Topic::Cases | Topic::Income => {
                    rettidig_event::person::decode(topic, messages)
                }
                _ => rettidig_event::delivery::decode(messages),
            };
            assert_eq!(decoded.rejected, [], "{topic:?}");
            assert_eq!((decoded.batch.num_rows(), decoded.unknown_fields), (count, 0), "{topic:?}");
        }
    }
}

/// Does something just before the first event arrives: in the middle of reading a file.
pub struct AtFirst {
    action: Option<BoxFuture<'static, ()>>,
    pub sink: MemorySink,
}

impl AtFirst {
    pub fn new(action: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { action: Some(Box::pin(action)), sink: MemorySink::default() }
    }
}

#[async_trait]
impl Sink for AtFirst {
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        if let Some(action) = self.action.take() {
            action.await;
        }
        self.sink.send(topic, key, payload).await
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Records waits and returns at once.
pub fn recorder() -> (Pause, Arc<Mutex<Vec<Duration>>>) {
    let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let seen = waits.clone();
    let pause: Pause = Arc::new(move |wait| {
        seen.lock().expect("waits").push(wait);
        Box::pin(std::future::ready(()))
    });
    (pause, waits)
}

/// A source, its cursor in a folder of its own, and a clock.
pub struct Poller {
    pub source: Box<dyn Source>,
    pub store: CursorStore,
    pub clock: ManualClock,
    pub folder: tempfile::TempDir,
}

impl Poller {
    pub fn new(source: Box<dyn Source>, now: DateTime<Utc>) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        Self::within(folder, source, now)
    }

    fn within(folder: tempfile::TempDir, source: Box<dyn Source>, now: DateTime<Utc>) -> Self {
        let store = CursorStore::new(folder.path().join("cursors"));
        Self { source, store, clock: ManualClock::new(now), folder }
    }

    pub async fn poll(&mut self, sink: &mut dyn Sink) -> Result<PollOutcome, PollError> {
        poll_once(self.source.as_mut(), &self.store, &self.clock, sink).await
    }

    /// Polls into a new sink; the poll as a whole must go well.
    pub async fn polled(&mut self) -> (PollOutcome, MemorySink) {
        let mut sink = MemorySink::default();
        let outcome = self.poll(&mut sink).await.expect("poll");
        let letters = sink.dead_letters().len();
        assert_eq!(outcome.records as usize + letters, sink.sent.len());
        assert_eq!(outcome.dead_letters as usize, letters);
        sink.assert_decodable();
        (outcome, sink)
    }

    pub fn cursor(&self) -> Value {
        self.store.load(self.source.name()).expect("cursor")
    }

    pub fn later(&self, seconds: i64) {
        self.clock.set(self.clock.now() + chrono::Duration::seconds(seconds));
    }

    /// What lies here becomes the events that it becomes in a folder: not at first sight, then whole, then never again.
    pub async fn reads_as_from(&mut self, folder: &mut FeedBench, source: &str) {
        assert!(self.polled().await.1.sent.is_empty(), "nothing is read at first sight");
        self.later(60);
        let (outcome, sink) = self.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert!(!sink.sent.is_empty() && sink.told() == folder.polled().await.1.told(), "{source}");
        let cursor = self.cursor();
        self.later(60);
        assert!(self.polled().await.1.sent.is_empty(), "{source} is read once");
        assert_eq!(self.cursor(), cursor);
    }
}

/// A server and a source that is polled against it.
pub struct Bench {
    pub server: ReplayServer,
    pub waits: Arc<Mutex<Vec<Duration>>>,
    poller: Poller,
    name: String,
    yaml: Option<String>,
}

impl Deref for Bench {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Poller {
        &mut self.poller
    }
}

pub const TOKEN: &str = "hemmelig-4711";

impl Bench {
    pub async fn new(name: &str, yaml: Option<&str>) -> Self {
        let address = "127.0.0.1:0".parse().expect("address");
        let server = ReplayServer::start_with_token(address, Some(TOKEN)).await.expect("server");
        let (source, waits) = source(name, yaml, &server);
        let yaml = yaml.map(str::to_owned);
        Self { server, waits, poller: Poller::new(source, instant(0)), name: name.to_owned(), yaml }
    }

    /// As after a restart of the program: the same cursor folder, another source.
    pub fn restart(&mut self) {
        (self.poller.source, self.waits) = source(&self.name, self.yaml.as_deref(), &self.server);
    }

    pub fn step(&self, step: usize) {
        self.server.set_step(step);
        self.clock.set(instant(step));
    }
}

fn source(
    name: &str,
    yaml: Option<&str>,
    server: &ReplayServer,
) -> (Box<dyn Source>, Arc<Mutex<Vec<Duration>>>) {
    let (pause, waits) = recorder();
    let url = server.url_of(name).expect("url");
    let token = (name == "jobindsats").then(|| SecretString::from(TOKEN.to_owned()));
    let options = Options { profile_yaml: yaml, base_url: Some(&url), token, pause };
    (build_with(name, &options).expect("source"), waits)
}

pub fn instant(step: usize) -> DateTime<Utc> {
    REPLAY_STEPS[step].0.parse().expect("instant")
}

/// A profile of jobindsats with some of the default tables, and few attempts.
pub fn jobindsats_profile(tables: &[&str]) -> String {
    edited_profile(tables, |_| {})
}

/// As [`jobindsats_profile`], edited.
pub fn edited_profile(tables: &[&str], edit: impl FnOnce(&mut serde_yaml_ng::Value)) -> String {
    let default = rettidig_connectors::sources::default_profile("jobindsats").expect("profile");
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(default).expect("yaml");
    value.apply_merge().expect("merge");
    let list = value["tables"].as_sequence_mut().expect("tables");
    list.retain(|table| tables.contains(&table["id"].as_str().expect("id")));
    value["http"]["timeout_ms"] = 20_000.into();
    value["http"]["attempts"] = 3.into();
    edit(&mut value);
    serde_yaml_ng::to_string(&value).expect("yaml")
}

thread_local! {
    static LOGGED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct ThreadLog;

impl std::io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.as_mut().map(|logged| logged.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps from now on, for [`logged`], what this thread logs. One subscriber serves all threads: with one of its
/// own for each, tracing asks whichever thread comes to a line first whether anybody wants to see it.
pub fn watch_the_log() {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(|| ThreadLog)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
        // Lines that another thread came to while it was set.
        tracing::callsite::rebuild_interest_cache();
    });
    LOGGED.set(Some(Vec::new()));
}

/// What this thread has logged since [`watch_the_log`].
pub fn logged() -> Vec<u8> {
    LOGGED.with_borrow(|logged| logged.clone().expect("the log is watched"))
}

/// A key for tests.
pub fn test_key() -> Arc<PseudonymKey> {
    let text = SecretString::from("rettidig test key, 32 bytes long!".to_owned());
    Arc::new(PseudonymKey::from_text(text).expect("key"))
}

/// A folder that files with person records arrive in, and a source that reads it.
pub struct FeedBench(Poller);

impl Deref for FeedBench {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.0
    }
}

impl DerefMut for FeedBench {
    fn deref_mut(&mut self) -> &mut Poller {
        &mut self.0
    }
}

impl FeedBench {
    pub fn new(name: &str, yaml: Option<&str>) -> Self {
        Self::keyed(name, yaml, test_key())
    }

    pub fn keyed(name: &str, yaml: Option<&str>, key: Arc<PseudonymKey>) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let drop = folder.path().join("drop");
        std::fs::create_dir(&drop).expect("folder");
        let options = FeedOptions { place: drop.to_str().expect("path"), storage: &BTreeMap::new(), key };
        let source = build_feed(name, yaml, &options).expect("source");
        Self(Poller::within(folder, source, feed_start()))
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("drop").join(name)
    }

    pub fn drop_file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("write");
        let file = std::fs::File::options().write(true).open(self.path(name)).expect("file");
        file.set_modified(self.clock.now().into()).expect("time");
    }

    /// Polls twice, a minute apart, so that what lies there is stable.
    pub async fn polled(&mut self) -> (PollOutcome, MemorySink) {
        let mut sink = MemorySink::default();
        self.poll(&mut sink).await.expect("poll");
        assert!(sink.sent.is_empty(), "nothing is read at first sight");
        self.later(60);
        self.0.polled().await
    }
}

/// When polling for files with person records begins.
pub fn feed_start() -> DateTime<Utc> {
    "2026-08-20T06:00:00Z".parse().expect("instant")
}

pub fn feed(name: &str, yaml: Option<&str>, folder: &std::path::Path) -> Box<dyn Source> {
    let place = folder.join("drop");
    feed_at(name, yaml, place.to_str().expect("path"), &[]).expect("source")
}

/// A source of files at any place, with the settings of its storage.
pub fn feed_at(
    name: &str,
    yaml: Option<&str>,
    place: &str,
    settings: &[(&str, &str)],
) -> Result<Box<dyn Source>, String> {
    let storage: BTreeMap<String, String> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    build_feed(name, yaml, &FeedOptions { place, storage: &storage, key: test_key() })
        .map_err(|error| error.to_string())
}

/// A shipped profile that takes every file whose name fits as complete.
pub fn by_rename(name: &str) -> String {
    edited(name, "{ stable_seconds: 60 }", "rename")
}

/// A shipped profile with another line in place of one of its own.
pub fn edited(name: &str, from: &str, to: &str) -> String {
    let profile = default_feed_profile(name).expect("profile");
    assert!(profile.contains(from), "{from}");
    profile.replace(from, to)
}

/// A file of the profile `income` with so many rows.
pub fn income_rows(rows: usize) -> String {
    let mut text = "cpr;maaned;loen_kr;timer;indberetning_id;revision\n".to_owned();
    for row in 0..rows {
        text.push_str(&format!("6101701234;2026-07;28,00;1;A{row};1\n"));
    }
    text
}
