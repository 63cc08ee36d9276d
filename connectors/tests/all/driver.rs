//! Cursor files and the order of poll, flush, store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rettidig_connectors::driver::{CursorError, PollError, RunLimits, chain, run};
use rettidig_connectors::http::Pause;
use rettidig_connectors::replay::Fault;
use rettidig_event::SourceError;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, MemorySink, jobindsats_profile, within};

#[test]
fn a_failed_flush_or_send_leaves_the_cursor_and_the_next_poll_sends_again() {
    within(60, async {
        let profile = jobindsats_profile(&["y25i09"]);
        let mut bench = Bench::new("jobindsats", Some(&profile)).await;
        for mut sink in [
            MemorySink { fail_flush: true, ..MemorySink::default() },
            MemorySink { fail_send_after: Some(100), ..MemorySink::default() },
        ] {
            let error = bench.poll(&mut sink).await.expect_err("not acknowledged");
            assert!(matches!(error, PollError::Source { source: SourceError::Sink(_), .. }), "{error:?}");
            assert!(!error.is_final());
            assert_eq!(bench.cursor(), Value::Null);
        }
        let (_, sink) = bench.polled().await;
        assert_eq!(sink.figures("y25i09").len(), 10_521);
        assert_ne!(bench.cursor(), Value::Null);
        let (_, sink) = bench.polled().await;
        assert!(sink.sent.is_empty());
    });
}

#[test]
fn a_corrupt_cursor_stops_with_the_files_name() {
    within(30, async {
        let mut bench = Bench::new("statbank", None).await;
        bench.polled().await;
        let path = bench.store.path("statbank").expect("path");
        let good = std::fs::read(&path).expect("cursor");
        std::fs::write(&path, &good[..good.len() / 2]).expect("write");
        let error = bench.poll(&mut MemorySink::default()).await.expect_err("refused");
        assert!(matches!(error, PollError::Cursor(CursorError::Corrupt { .. })) && error.is_final());
        let text = chain(&error);
        assert!(text.contains("statbank.cursor.json") && text.contains("delete it"), "{text}");
        // JSON, but not ours.
        std::fs::write(&path, "[1]").expect("write");
        let error = bench.poll(&mut MemorySink::default()).await.expect_err("refused");
        assert!(error.is_final() && chain(&error).contains("not a cursor"), "{error:?}");
        std::fs::write(&path, &good).expect("write");
        let (outcome, _) = bench.polled().await;
        assert_eq!(outcome.records, 0);
        let files: Vec<_> = std::fs::read_dir(bench.folder.path().join("cursors")).expect("folder").collect();
        assert_eq!(files.len(), 1, "one file for the source, nothing temporary left");
    });
}

#[test]
fn a_changed_definition_fetches_its_table_again() {
    within(60, async {
        let profile = jobindsats_profile(&["y25i09"]);
        let mut bench = Bench::new("jobindsats", Some(&profile)).await;
        bench.polled().await;
        let cursor = bench.cursor();
        let changed = profile.replace("long_term_unemployed", "long_term");
        let mut other = Bench::new("jobindsats", Some(&changed)).await;
        other.store.store("jobindsats", &cursor).expect("store");
        let (_, sink) = other.polled().await;
        assert_eq!(sink.figures("y25i09").len(), 10_521);
    });
}

/// Goal: the loop waits as long as the source says, backs off after failures, ends at shutdown and at what a
/// person must act on. Method: a pause that records, and that cancels or lets pass.
#[test]
fn the_loop_waits_backs_off_and_ends() {
    within(60, async {
        let profile = jobindsats_profile(&["y25i09"]);
        let mut bench = Bench::new("jobindsats", Some(&profile)).await;
        // Two failed polls of three attempts each, one good poll, then shutdown in the wait after it.
        for _ in 0..6 {
            bench.server.script("/v3/tables", Fault::answer(503, "busy"));
        }
        let shutdown = CancellationToken::new();
        let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let (seen, stop) = (waits.clone(), shutdown.clone());
        let pause: Pause = Arc::new(move |wait| {
            let mut seen = seen.lock().expect("waits");
            seen.push(wait);
            if seen.len() == 3 {
                stop.cancel();
            }
            Box::pin(std::future::ready(()))
        });
        let mut results = Vec::new();
        let mut sink = MemorySink::default();
        let own = &mut *bench;
        let ended = run(
            own.source.as_mut(),
            &own.store,
            &own.clock,
            &mut sink,
            RunLimits::default(),
            &pause,
            &shutdown,
            &mut |result| results.push(result.is_ok()),
        )
        .await;
        ended.expect("an orderly end");
        assert_eq!(results, [false, false, true]);
        let waits = waits.lock().expect("waits").clone();
        assert_eq!(waits[..2], [Duration::from_secs(30), Duration::from_secs(60)]);
        // 05:03:20Z; y25i09 is announced for the next day: the quiet interval of six hours.
        assert_eq!(waits[2], Duration::from_secs(6 * 3600));

        bench.server.script("/v3/tables", Fault::forbidden());
        let own = &mut *bench;
        let error = run(
            own.source.as_mut(),
            &own.store,
            &own.clock,
            &mut sink,
            RunLimits::default(),
            &pause,
            &CancellationToken::new(),
            &mut |_| {},
        )
        .await
        .expect_err("a person must act");
        assert!(error.is_final());
    });
}

/// The caller polls on a runtime with several threads.
#[test]
fn polls_can_move_between_threads() {
    fn movable<T: Send>(future: T) -> T {
        future
    }
    within(60, async {
        let profile = jobindsats_profile(&["y25i09"]);
        let mut bench = Bench::new("jobindsats", Some(&profile)).await;
        let mut sink = MemorySink::default();
        let (pause, _) = crate::support::recorder();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let own = &mut *bench;
        let ended = movable(run(
            own.source.as_mut(),
            &own.store,
            &own.clock,
            &mut sink,
            RunLimits::default(),
            &pause,
            &shutdown,
            &mut |result| {
                assert!(result.is_ok());
                stop.cancel();
            },
        ))
        .await;
        ended.expect("an orderly end");
        assert_eq!(sink.figures("y25i09").len(), 10_521);
    });
}
