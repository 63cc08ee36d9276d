//! Goal: what the demo shows is what happened in August 2026. Method: poll the four steps through the driver and
//! compare what was sent at one step with what was sent at the step before.

use std::collections::BTreeMap;

use rettidig_event::Topic;
use serde_json::Value;

use crate::support::{Bench, Key, MemorySink, TOKEN, within};

type Figures = BTreeMap<Key, (Value, Value)>;

/// Figures of both whose value or status differs; those only in the second; those only in the first.
fn compare(before: &Figures, after: &Figures) -> (Vec<Key>, usize, usize) {
    let changed = before.iter().filter(|(key, value)| after.get(*key).is_some_and(|other| other != *value));
    let entered = after.keys().filter(|key| !before.contains_key(*key)).count();
    let left = before.keys().filter(|key| !after.contains_key(*key)).count();
    (changed.map(|(key, _)| key.clone()).collect(), entered, left)
}

fn deliveries(sink: &MemorySink) -> Vec<(String, String, i64)> {
    let events = sink.of(Topic::Deliveries);
    let text = |event: &Value, key: &str| event[key].as_str().expect("text").to_owned();
    events
        .iter()
        .map(|event| {
            (text(event, "source"), text(event, "period"), event["records"].as_i64().expect("count"))
        })
        .collect()
}

fn delivery(source: &str, period: &str, records: i64) -> (String, String, i64) {
    (source.to_owned(), period.to_owned(), records)
}

#[test]
fn jobindsats_through_the_four_steps() {
    within(120, async {
        let mut bench = Bench::new("jobindsats", None).await;

        let (outcome, before) = bench.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(
            deliveries(&before),
            [
                delivery("jobindsats-y25i01", "2026M06", 35_640),
                delivery("jobindsats-y25i09", "2026M06", 10_521)
            ]
        );
        // y25i01 is announced for this day, and it is 07:03: asked again at 07:30.
        assert_eq!(outcome.next_poll.to_rfc3339(), "2026-08-19T05:30:00+00:00");
        let (outcome, again) = bench.polled().await;
        assert_eq!((outcome.records, again.sent.len()), (0, 0), "nothing new emits nothing");

        bench.step(1);
        let (_, release) = bench.polled().await;
        assert_eq!(deliveries(&release), [delivery("jobindsats-y25i01", "2026M07", 35_640)]);
        let (changed, entered, left) = compare(&before.figures("y25i01"), &release.figures("y25i01"));
        assert_eq!((changed.len(), entered, left), (1525, 594, 594));
        assert_eq!(changed.iter().filter(|key| key.2 != 0).count(), 1398, "municipal");
        let events = release.of(Topic::Official);
        assert!(events.iter().all(|event| event["published_at"] == "2026-08-19T06:00:00Z"));
        assert!(events.iter().all(|event| event["retrieved_at"] == "2026-08-19T07:58:44Z"));

        bench.step(2);
        let (_, next_day) = bench.polled().await;
        assert_eq!(
            deliveries(&next_day),
            [
                delivery("jobindsats-y25i09", "2026M07", 10_518),
                delivery("jobindsats-y60a02", "2026M07", 4 * 5940 + 5 * 99),
                delivery("jobindsats-y60c07", "2026M07", 2 * 5940),
                delivery("jobindsats-y60c02", "2026M07", (2 * 6 + 1) * 99),
                delivery("jobindsats-y60j01", "2026M06", 2 * 5940),
            ]
        );
        let (changed, entered, left) = compare(&before.figures("y25i09"), &next_day.figures("y25i09"));
        assert_eq!((changed.len(), entered, left), (517, 291, 294));
        // The areas in the model's terms: 98 municipalities and the whole country, the rest row is skipped.
        let areas: std::collections::BTreeSet<i64> =
            next_day.figures("y60c07").keys().map(|key| key.2).collect();
        assert_eq!((areas.len(), areas.first()), (99, Some(&0)));

        bench.step(3);
        let (_, redelivery) = bench.polled().await;
        assert_eq!(
            deliveries(&redelivery),
            [
                delivery("jobindsats-y25i01", "2026M07", 35_640),
                delivery("jobindsats-y25i09", "2026M07", 10_518)
            ]
        );
        let again = compare(&release.figures("y25i01"), &redelivery.figures("y25i01"));
        assert_eq!(again, (vec![], 0, 0));
        let again = compare(&next_day.figures("y25i09"), &redelivery.figures("y25i09"));
        assert_eq!(again, (vec![], 0, 0));

        bench.restart();
        let (_, after_restart) = bench.polled().await;
        assert_eq!(after_restart.sent.len(), 0, "a restart re-sends nothing");
        for request in bench.server.requests() {
            assert!(!request.contains(TOKEN), "{request}");
        }
    });
}

#[test]
fn jobindsats_names_measures_and_breakdowns_as_the_model_reads_them() {
    within(60, async {
        let mut bench = Bench::new("jobindsats", None).await;
        bench.step(2);
        let (_, sink) = bench.polled().await;
        let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
        for event in sink.of(Topic::Official) {
            let breakdown = event["breakdown"].as_object().expect("object");
            let shown: Vec<String> = breakdown
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().expect("text")))
                .collect();
            let text = |key: &str| event[key].as_str().expect("text").to_owned();
            *counts.entry((text("table"), text("measure"), shown.join(","))).or_default() += 1;
        }
        let shown: Vec<String> = counts
            .iter()
            .map(|((table, measure, breakdown), count)| format!("{table} {measure} {{{breakdown}}} {count}"))
            .collect();
        let expected = include_str!("measures.txt").trim();
        assert_eq!(shown.join("\n"), expected, "measures.txt holds what the model is written against");
        // Every record is keyed by its table, every delivery by its source.
        for (topic, key, payload) in &sink.sent {
            let event: Value = serde_json::from_slice(payload).expect("json");
            let field = if *topic == Topic::Official { "table" } else { "source" };
            assert_eq!(event[field], key.as_str());
        }
    });
}

#[test]
fn statbank_is_sent_once_over_the_four_steps() {
    within(60, async {
        let mut bench = Bench::new("statbank", None).await;
        let (outcome, first) = bench.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(
            deliveries(&first),
            [delivery("dst-STRAF42", "2024", 2), delivery("dst-LBESK104", "2026M05", 303)]
        );
        let figures = first.figures("LBESK104");
        let figure = |breakdown: &str| {
            let key = ("LBESK104", "wage_earners", 0, "2026M05", breakdown);
            figures[&(key.0.to_owned(), key.1.to_owned(), key.2, key.3.to_owned(), key.4.to_owned())]
                .0
                .clone()
        };
        assert_eq!(figure("{}"), "3087910");
        assert_eq!(figure(r#"{"sector":"public"}"#), "898762");
        assert_eq!(figure(r#"{"sector":"private"}"#), "2189148");
        let events = first.of(Topic::Official);
        let stamp =
            |table: &str| events.iter().find(|e| e["table"] == table).expect("event")["published_at"].clone();
        assert_eq!(stamp("STRAF42"), "2025-03-25T07:00:00Z", "Danish winter time brought to UTC");
        assert_eq!(stamp("LBESK104"), "2026-07-21T06:00:00Z", "Danish summer time brought to UTC");
        for step in 0..4 {
            bench.step(step);
            bench.restart();
            let (outcome, sink) = bench.polled().await;
            assert_eq!((outcome.records, sink.sent.len()), (0, 0), "step {step}");
        }
        assert!(bench.server.requests().iter().all(|request| !request.contains("contacts")));
    });
}
