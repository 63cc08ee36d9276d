//! Files with person records, read by the shipped profiles. The first byte picks the profile; the rest is the file.
//! What is sent can be used, no CPR number is left anywhere, and a second reading sends nothing.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use rettidig_connectors::pseudonym::PseudonymKey;
use rettidig_connectors::sources::{FeedOptions, build_feed, default_feed_profile};
use rettidig_event::{Clock, ManualClock, Source};
use rettidig_fuzz::{MemorySink, assert_text};
use secrecy::SecretString;
use serde_json::Value;
use tokio::runtime::Runtime;

const FILES: [(&str, &str); 4] = [
    ("amanda", "amanda-101-2026-08-19-17.txt"),
    ("income", "income-101-2026-08-19.csv"),
    ("ky", "ky-101-2026-08-19.ndjson"),
    ("yr", "yr-ydelsesrefusion-beregning-101-0017-2026-08-19.csv"),
];

struct Bench {
    runtime: Runtime,
    /// Each source with the file that it reads.
    sources: Vec<(Box<dyn Source>, PathBuf)>,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let key = Arc::new(PseudonymKey::from_text(SecretString::from("key ".repeat(8))).expect("a key"));
    let storage = BTreeMap::new();
    let sources = FILES.iter().map(|(name, file)| {
        let place = folder.path().join(name);
        std::fs::create_dir(&place).expect("a folder");
        // Shipped, but for the wait until a file is complete.
        let profile =
            default_feed_profile(name).expect("a profile").replace("{ stable_seconds: 60 }", "rename");
        let options =
            FeedOptions { place: place.to_str().expect("a path"), storage: &storage, key: key.clone() };
        (build_feed(name, Some(&profile), &options).expect("a source"), place.join(file))
    });
    let sources = sources.collect();
    let clock = ManualClock::new("2026-08-20T06:00:00Z".parse().expect("an instant"));
    Bench { runtime, sources, clock, _folder: folder }
}

fuzz_target!(|data: &[u8]| {
    thread_local! {
        static BENCH: RefCell<Bench> = RefCell::new(bench());
    }
    let Some((choice, bytes)) = data.split_first() else { return };
    BENCH.with_borrow_mut(|Bench { runtime, sources, clock, .. }| {
        let index = usize::from(*choice) % sources.len();
        let (source, file) = &mut sources[index];
        std::fs::write(&*file, bytes).expect("a file");
        let clock: &dyn Clock = clock;
        let mut poll = |cursor: &Value| {
            let mut sink = MemorySink::default();
            let outcome = runtime.block_on(source.poll(cursor, clock, &mut sink)).expect("a poll");
            assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
            sink.assert_usable(&outcome);
            sink.assert_no_cpr();
            (outcome, sink)
        };
        let (outcome, sink) = poll(&Value::Null);
        assert!(!sink.0.is_empty(), "a file was read and nothing tells of it");
        assert_text(&outcome.cursor.to_string());
        assert_eq!(poll(&outcome.cursor).1, MemorySink::default(), "a file is read once");
    });
});
