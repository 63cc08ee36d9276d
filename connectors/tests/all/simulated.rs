//! What the simulator writes as files of the four source systems must become exactly the events that it writes
//! itself: two implementations of the contract that share no code.

use std::collections::BTreeMap;

use rettidig_connectors::driver::{CursorStore, poll_once};
use rettidig_connectors::pseudonym::Cpr;
use rettidig_connectors::sources::feed_names;
use rettidig_event::{ManualClock, Topic};
use rettidig_simulator::{Simulation, SimulationOptions, write_files, write_ndjson};
use serde_json::Value;

use crate::support::{MemorySink, by_rename, feed_at, test_key, within};

/// Source, id and revision to the event; repeated ones must be equal.
fn by_identity(events: impl Iterator<Item = Value>) -> BTreeMap<(String, String, i64), Value> {
    let mut found = BTreeMap::new();
    for event in events {
        let text = |key: &str| event[key].as_str().expect(key).to_owned();
        let identity = (text("source"), text("id"), event["revision"].as_i64().expect("revision"));
        let earlier = found.insert(identity, event.clone());
        assert!(earlier.is_none_or(|earlier| earlier == event), "{event}");
    }
    found
}

/// A delete is told by its identity; what else stands in it is free.
fn bare(mut event: Value) -> Value {
    if event["op"] == "delete" {
        let kept =
            ["source", "id", "op", "revision", "recorded_at", "person", "birth", "sex", "municipality"];
        event.as_object_mut().expect("object").retain(|key, _| kept.contains(&key.as_str()));
    }
    event
}

#[test]
fn files_of_the_simulator_become_its_events() {
    within(120, async {
        let folder = tempfile::tempdir().expect("folder");
        let (files, events) = (folder.path().join("files"), folder.path().join("events"));
        let key = test_key();
        let pseudonym = |cpr: &str| key.person(&Cpr::parse(cpr).expect("a number")).expect("a pseudonym");
        let options =
            SimulationOptions { persons: 1_500, months: 8, seed: 11, ..SimulationOptions::default() };
        write_files(Simulation::new(&options), &files, &pseudonym).expect("files");
        write_ndjson(Simulation::new(&options), &events, &pseudonym).expect("events");

        let mut sink = MemorySink::default();
        let clock = ManualClock::new("2026-10-01T06:00:00Z".parse().expect("instant"));
        let store = CursorStore::new(folder.path().join("cursors"));
        for name in feed_names() {
            let place = files.join(name);
            let place = place.to_str().expect("path");
            let mut source = feed_at(name, Some(&by_rename(name)), place, &[]).expect("source");
            loop {
                let before = sink.sent.len();
                let outcome = poll_once(source.as_mut(), &store, &clock, &mut sink).await.expect("poll");
                assert!(
                    outcome.failures.is_empty() && outcome.dead_letters == 0,
                    "{:?}",
                    sink.dead_letters()
                );
                if sink.sent.len() == before {
                    break;
                }
            }
        }
        sink.assert_decodable();
        let topics = [Topic::Payments, Topic::Cases, Topic::Income];
        let got = by_identity(topics.iter().flat_map(|topic| sink.of(*topic)).map(bare));

        let mut told = Vec::new();
        for entry in std::fs::read_dir(&events).expect("folder") {
            let text = std::fs::read_to_string(entry.expect("entry").path()).expect("text");
            told.extend(text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()));
        }
        let of_feed = |event: &Value| {
            let source = event["source"].as_str().unwrap_or_default();
            event.get("person").is_some() && feed_names().any(|name| source.starts_with(&format!("{name}-")))
        };
        let expected = by_identity(told.into_iter().filter(of_feed).map(bare));
        assert!(expected.len() > 10_000, "{}", expected.len());
        for (identity, event) in &expected {
            assert_eq!(got.get(identity), Some(event), "{identity:?}");
        }
        assert_eq!(got.len(), expected.len());
    });
}
