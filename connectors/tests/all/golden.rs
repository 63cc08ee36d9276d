//! Raw bodies must become exactly these events. `UPDATE_GOLDENS=1 cargo test -p rettidig-connectors golden` writes
//! the expected files anew; the difference is then reviewed.

use std::path::{Path, PathBuf};

use rettidig_connectors::replay::Fault;

use crate::support::{Bench, FeedBench, MemorySink, jobindsats_profile, within};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

pub fn raw(path: &str) -> Vec<u8> {
    std::fs::read(fixture(path)).expect(path)
}

/// One line an event: topic, key, event.
fn check(sink: &MemorySink, path: &str) {
    let mut got = String::new();
    for (topic, key, payload) in &sink.sent {
        let event = std::str::from_utf8(payload).expect("UTF-8");
        got.push_str(&format!("{{\"topic\":\"{}\",\"key\":\"{key}\",\"event\":{event}}}\n", topic.name()));
    }
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(fixture(path), &got).expect("write");
        return;
    }
    let expected = std::fs::read_to_string(fixture(path)).expect(path);
    for (number, (got, expected)) in got.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, expected, "{path}, line {}", number + 1);
    }
    assert_eq!(got.lines().count(), expected.lines().count(), "{path}: number of events");
}

#[test]
fn golden_jobindsats() {
    within(60, async {
        let mut bench = Bench::new("jobindsats", Some(&jobindsats_profile(&["y25i01"]))).await;
        bench.step(1);
        bench.server.script("/v3/data/y25i01", Fault::answer(200, raw("jobindsats/raw.json")));
        let (_, sink) = bench.polled().await;
        check(&sink, "jobindsats/events.jsonl");
    });
}

const AUS08: &str = "
base_url: https://api.statbank.dk/v1
tables:
  - id: AUS08
    bulk: BULK
    suppresses: SUPPRESSES
    variables:
      OMRÅDE: { role: area }
      SAESONFAK:
        role: measure
        codes:
          \"9\": unemployed_rate_seasonally_adjusted
          \"10\": unemployed_seasonally_adjusted
          \"22\": unemployed_rate_actual
          \"24\": unemployed_actual
      Tid: { role: time }
";

async fn aus08(bulk: bool, suppresses: bool, body: Vec<u8>) -> MemorySink {
    let profile = AUS08.replace("BULK", &bulk.to_string()).replace("SUPPRESSES", &suppresses.to_string());
    let mut bench = Bench::new("statbank", Some(&profile)).await;
    let list = r#"[{"id":"AUS08","updated":"2026-08-31T08:00:00"}]"#;
    bench.server.script("/v1/tables", Fault::answer(200, list));
    bench.server.script("/v1/tableinfo/AUS08", Fault::answer(200, raw("statbank/raw.tableinfo.json")));
    bench.server.script("/v1/data", Fault::answer(200, body));
    bench.polled().await.1
}

#[test]
fn golden_statbank_json_stat() {
    within(60, async {
        check(&aus08(false, false, raw("statbank/raw.json")).await, "statbank/events.jsonl");
    });
}

#[test]
fn golden_statbank_bulk_says_the_same_as_json_stat() {
    within(60, async {
        check(&aus08(true, false, raw("statbank/raw.csv")).await, "statbank/events.jsonl");
    });
}

/// "0" is the recorded `suppressedDataValue`: a figure, unless the profile says that the table suppresses.
#[test]
fn golden_statbank_suppressed() {
    within(60, async {
        for (bulk, body) in [(false, "statbank/raw.json"), (true, "statbank/raw.csv")] {
            check(&aus08(bulk, true, raw(body)).await, "statbank/events.suppressed.jsonl");
        }
    });
}

/// The shipped profiles: source, name under which it arrives, file.
pub const FEEDS: [(&str, &str, &str); 4] = [
    ("amanda", "amanda-101-2026-08-19-17.txt", "amanda/raw.txt"),
    ("income", "income-101-2026-08-19.csv", "income/raw.csv"),
    ("ky", "ky-101-2026-08-19.ndjson", "ky/raw.ndjson"),
    ("yr", "yr-ydelsesrefusion-beregning-101-0017-2026-08-19.csv", "yr/raw.csv"),
];

#[test]
fn golden_feeds() {
    for (source, name, file) in FEEDS {
        within(60, async {
            let mut bench = FeedBench::new(source, None);
            bench.drop_file(name, &raw(file));
            let (_, sink) = bench.polled().await;
            check(&sink, &format!("{source}/events.jsonl"));
        });
    }
}

/// Windows-1252 and UTF-8, with and without a mark, of the same text: the same events.
#[test]
fn golden_yr_in_every_encoding() {
    within(60, async {
        let (source, name, file) = FEEDS[3];
        let text = String::from_utf8(raw(file)).expect("UTF-8");
        let (windows_1252, _, lossy) = encoding_rs::WINDOWS_1252.encode(&text);
        assert!(!lossy);
        for bytes in [
            windows_1252.as_ref(),
            text.replace("\r\n", "\n").as_bytes(),
            format!("\u{feff}{text}").as_bytes(),
        ] {
            let mut bench = FeedBench::new(source, None);
            bench.drop_file(name, bytes);
            let (_, mut sink) = bench.polled().await;
            sink.sent.retain(|(topic, ..)| *topic != rettidig_event::Topic::DeadLetter);
            let mut other = FeedBench::new(source, None);
            other.drop_file(name, text.as_bytes());
            let (_, mut expected) = other.polled().await;
            expected.sent.retain(|(topic, ..)| *topic != rettidig_event::Topic::DeadLetter);
            assert_eq!(sink.sent, expected.sent);
        }
    });
}
