//! Memory does not follow the size of a file. A program of its own, so that nothing else grows meanwhile.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use rettidig_connectors::driver::{CursorStore, poll_once};
use rettidig_connectors::pseudonym::PseudonymKey;
use rettidig_connectors::sources::{FeedOptions, build_feed};
use rettidig_event::{ManualClock, Sink, SinkError, Topic};
use secrecy::SecretString;

/// Counts and forgets.
#[derive(Default)]
struct CountingSink {
    sent: u64,
}

#[async_trait]
impl Sink for CountingSink {
    async fn send(&mut self, _: Topic, _: &str, _: Vec<u8>) -> Result<(), SinkError> {
        self.sent += 1;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The most memory that this process has had, KiB; 0 where the system does not tell.
fn resident_kib_max() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Goal: a file of any size is read in little memory. Method: 64 MB through a sink that keeps nothing, read three
/// times over (fingerprint, dry run, events); the process may grow by a fraction of it.
#[test]
fn a_large_file_goes_through_in_pieces() {
    const ROWS: u64 = 1_000_000;
    let folder = tempfile::tempdir().expect("folder");
    let name = "income-101-2026-08-19.csv";
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.path().join(name)).expect("file"));
    writeln!(file, "cpr;maaned;loen_kr;timer;indberetning_id;revision").expect("write");
    for row in 0..ROWS {
        writeln!(file, "610170{:04};2026-07;28.450,75;160,33;INDBERETNING-{row:09};1", row % 10_000)
            .expect("write");
    }
    file.into_inner().expect("written").sync_all().expect("written");

    let profile = rettidig_connectors::sources::default_feed_profile("income").expect("profile");
    let profile = profile.replace("dead_letter", "reject_file").replace("{ stable_seconds: 60 }", "rename");
    let key = PseudonymKey::from_text(SecretString::from("key ".repeat(8))).expect("key");
    let storage = BTreeMap::new();
    let place = folder.path().to_str().expect("path");
    let options = FeedOptions { place, storage: &storage, key: Arc::new(key) };
    let mut source = build_feed("income", Some(&profile), &options).expect("source");
    let store = CursorStore::new(folder.path().join("cursors"));
    let clock = ManualClock::new("2026-08-20T06:00:00Z".parse().expect("instant"));
    let mut sink = CountingSink::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let before = resident_kib_max();
    runtime.block_on(async {
        let limit = std::time::Duration::from_secs(300);
        let poll = poll_once(source.as_mut(), &store, &clock, &mut sink);
        tokio::time::timeout(limit, poll).await.expect("within the time limit").expect("poll");
    });
    let grown = resident_kib_max() - before;
    assert_eq!(sink.sent, ROWS + 1);
    assert!(grown < 16_000, "grown by {grown} KiB");
}
