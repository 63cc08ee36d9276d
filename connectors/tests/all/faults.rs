//! What goes wrong at the other side: retried, stopped, or put aside with its bytes, and never a moved cursor.

use std::time::Duration;

use rettidig_connectors::driver::chain;
use rettidig_connectors::replay::Fault;
use rettidig_event::{Origin, Reason, SourceError, Topic};
use serde_json::Value;

use crate::golden::raw;
use crate::support::{
    Bench, MemorySink, TOKEN, edited_profile, jobindsats_profile, logged, watch_the_log, within,
};

async fn jobindsats(tables: &[&str]) -> Bench {
    Bench::new("jobindsats", Some(&jobindsats_profile(tables))).await
}

/// With a time limit that a good answer may miss: only for answers that never come.
async fn impatient() -> Bench {
    let profile = edited_profile(&["y25i09"], |value| value["http"]["timeout_ms"] = 200.into());
    Bench::new("jobindsats", Some(&profile)).await
}

fn is_stop(error: &SourceError) -> bool {
    matches!(error, SourceError::Stop { .. })
}

#[test]
fn an_unknown_period_type_leads_to_the_next_one() {
    within(60, async {
        let period_types = |types: &[&str]| {
            let types: Vec<_> = types.iter().map(|text| serde_yaml_ng::Value::from(*text)).collect();
            edited_profile(&["y25i09"], |value| {
                value["tables"][0]["queries"][0]["period_types"] = types.into()
            })
        };
        let profile = period_types(&["Q", "M"]);
        let mut bench = Bench::new("jobindsats", Some(&profile)).await;
        let (outcome, sink) = bench.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(sink.figures("y25i09").len(), 10_521);
        let asked: Vec<bool> =
            bench.server.requests()[1..].iter().map(|request| request.contains("period.Q=")).collect();
        assert_eq!(asked, [true, false]);

        let profile = period_types(&["Y"]);
        let mut bench = Bench::new("jobindsats", Some(&profile)).await;
        let (outcome, sink) = bench.polled().await;
        assert!(sink.sent.is_empty() && is_stop(&outcome.failures[0]), "{:?}", outcome.failures);
    });
}

#[test]
fn a_refused_token_stops_with_a_remedy() {
    within(60, async {
        for fault in [Fault::forbidden(), Fault::answer(401, "")] {
            let mut bench = jobindsats(&["y25i09", "y25i01"]).await;
            bench.server.script("/v3/tables", fault.clone());
            let error = bench.poll(&mut MemorySink::default()).await.expect_err("refused");
            let text = chain(&error);
            assert!(error.is_final() && text.contains("version 3"), "{text}");
            assert!(text.contains("RETTIDIG_JOBINDSATS_TOKEN"), "names the place, not the value: {text}");
            // On one table: the others go on.
            bench.server.script("/v3/data/y25i01", fault);
            let (outcome, sink) = bench.polled().await;
            assert!(is_stop(&outcome.failures[0]) && outcome.failures.len() == 1);
            assert_eq!(sink.figures("y25i09").len(), 10_521);
        }
    });
}

#[test]
fn passing_faults_are_retried_with_waits() {
    within(60, async {
        let mut bench = jobindsats(&["y25i09"]).await;
        bench.server.script("/v3/tables", Fault::too_many_requests(7));
        bench.server.script("/v3/data", Fault::answer(500, "oops"));
        bench.server.script("/v3/data", Fault::Cut);
        let (outcome, sink) = bench.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(sink.figures("y25i09").len(), 10_521);
        let waits = bench.waits.lock().expect("waits").clone();
        assert_eq!(waits.len(), 3);
        assert_eq!(waits[0], Duration::from_secs(7), "Retry-After");
        assert!(waits[1] >= Duration::from_secs(1) && waits[1] < Duration::from_secs(3), "{waits:?}");
        assert!(waits[2] >= Duration::from_secs(2), "exponential: {waits:?}");
        // A wait longer than all attempts may take is not waited for.
        let mut bench = jobindsats(&["y25i09"]).await;
        bench.server.script("/v3/tables", Fault::too_many_requests(86_400));
        let error = bench.poll(&mut MemorySink::default()).await.expect_err("given up");
        assert!(!error.is_final() && chain(&error).contains("HTTP 429"), "{error:?}");
        assert!(bench.waits.lock().expect("waits").is_empty());
    });
}

#[test]
fn exhausted_attempts_are_a_retry_error_and_move_nothing() {
    within(60, async {
        let mut bench = jobindsats(&["y25i09"]).await;
        for _ in 0..3 {
            bench.server.script("/v3/tables", Fault::answer(502, ""));
        }
        let error = bench.poll(&mut MemorySink::default()).await.expect_err("given up");
        assert!(!error.is_final() && chain(&error).contains("HTTP 502 (attempts: 3)"), "{}", chain(&error));
        assert_eq!(bench.cursor(), Value::Null);
        for _ in 0..3 {
            bench.server.script("/v3/data", Fault::answer(500, ""));
        }
        let (outcome, sink) = bench.polled().await;
        assert!(matches!(outcome.failures[..], [SourceError::Retry { .. }]), "{:?}", outcome.failures);
        assert!(sink.sent.is_empty());
        assert_eq!(bench.cursor()["tables"], serde_json::json!({}));
        assert_eq!(
            outcome.next_poll.to_rfc3339(),
            "2026-08-19T05:18:20+00:00",
            "sooner than the quiet interval"
        );
        assert_eq!(bench.polled().await.1.figures("y25i09").len(), 10_521);
    });
}

#[test]
fn a_slow_answer_runs_into_the_time_limit() {
    within(60, async {
        let mut bench = impatient().await;
        for _ in 0..3 {
            bench.server.script("/v3/tables", Fault::Slow);
        }
        let error = bench.poll(&mut MemorySink::default()).await.expect_err("given up");
        assert!(chain(&error).contains("no answer within the time limit"), "{}", chain(&error));
        assert_eq!(bench.server.scripted(), 0);
    });
}

/// The good body of the last data request, fetched once more.
async fn good_body(bench: &Bench, path: &str) -> Vec<u8> {
    let requests = bench.server.requests();
    let line = requests.iter().rev().find(|line| line.contains(path)).expect("request");
    let url = format!("http://{}{}", bench.server.address(), line.trim_start_matches("GET "));
    let client = reqwest::Client::builder().no_proxy().build().expect("client");
    let answer = client.get(url).bearer_auth(TOKEN).send().await.expect("answer");
    answer.bytes().await.expect("body").to_vec()
}

#[test]
fn unusable_answers_are_put_aside_with_their_bytes() {
    within(120, async {
        let replaced = |from: &str, to: &str| Fault::Replaced(from.to_owned(), to.to_owned());
        for (fault, reason, part) in [
            (Fault::html(), Reason::UnexpectedContent, "page"),
            (Fault::Truncated, Reason::MalformedJson, "EOF"),
            (Fault::Empty, Reason::Empty, "no content"),
            (Fault::Windows1252, Reason::WrongEncoding, "UTF-8"),
            (replaced("\"Periode\"", "\"Tid\""), Reason::UnknownShape, "no period"),
            (replaced("\"rows\"", "\"raekker\""), Reason::UnknownShape, "rows"),
            (replaced("\"A-kasse i alt\",14045", "\"Maritim\",14045"), Reason::UnknownShape, "A-kasse"),
            (replaced("\"Kontanthjælp\"", "\"Kontant\""), Reason::UnknownShape, "cash"),
            (replaced("14045", "\"14.04\""), Reason::InvalidValue, "no number"),
            (replaced("\"2024M01\"", "\"januar\""), Reason::InvalidValue, "not a period"),
            (Fault::answer(200, r#"{"columns":["Periode","Område"],"rows":[]}"#), Reason::Empty, "row"),
        ] {
            let mut bench = jobindsats(&["y25i09", "y60c02"]).await;
            // Two of the edits need a figure that only the first step has.
            bench.step(if matches!(part, "A-kasse" | "no number") { 0 } else { 2 });
            bench.server.script("/v3/data/y25i09", fault.clone());
            let (outcome, sink) = bench.polled().await;
            assert_eq!(outcome.dead_letters, 1, "{fault:?}");
            let letter = &sink.dead_letters()[0];
            assert_eq!(letter.reason, reason, "{fault:?}: {}", letter.message);
            assert!(letter.message.contains(part), "{fault:?}: {}", letter.message);
            assert_eq!(letter.stage, "jobindsats");
            assert_eq!(letter.origin, Origin::File { file: "GET /v3/data/y25i09".to_owned(), line: None });
            let good = good_body(&bench, "/v3/data/y25i09").await;
            let bytes = match &fault {
                Fault::Answer { body, .. } => body.clone(),
                edit => edit.edited(&good),
            };
            assert_eq!(letter.original_bytes(), Some(bytes), "{fault:?}");
            let key = &sink.sent.iter().find(|(topic, ..)| *topic == Topic::DeadLetter).expect("letter").1;
            assert_eq!(key, reason.code());
            assert!(sink.figures("y25i09").is_empty(), "nothing of a refused answer goes out");
            if bench.server.step() == 2 {
                assert!(!sink.figures("y60c02").is_empty(), "the other table goes on");
            }
            assert!(bench.cursor()["tables"].get("y25i09").is_none(), "its cursor does not move");

            bench.server.script("/v3/data/y25i09", fault.clone());
            let (outcome, sink) = bench.polled().await;
            assert!(sink.sent.is_empty() && outcome.dead_letters == 0, "the same content is put aside once");
            let (outcome, sink) = bench.polled().await;
            assert!(outcome.failures.is_empty() && sink.figures("y25i09").len() > 10_000, "{fault:?}");
        }
    });
}

#[test]
fn a_byte_order_mark_is_harmless() {
    within(60, async {
        let mut bench = jobindsats(&["y25i09"]).await;
        bench.server.script("/v3/tables", Fault::ByteOrderMark);
        bench.server.script("/v3/data", Fault::ByteOrderMark);
        assert_eq!(bench.polled().await.1.figures("y25i09").len(), 10_521);
    });
}

#[test]
fn an_unusable_list_of_tables_is_put_aside_once() {
    within(60, async {
        for name in ["jobindsats", "statbank"] {
            let mut bench = Bench::new(name, None).await;
            for fault in [Fault::html(), Fault::html(), Fault::Empty] {
                bench.server.script("/tables", fault);
            }
            let letters: Vec<u64> = [bench.polled().await, bench.polled().await, bench.polled().await]
                .iter()
                .map(|(outcome, _)| outcome.dead_letters)
                .collect();
            assert_eq!(letters, [1, 0, 1], "{name}");
            assert!(bench.polled().await.0.records > 0);
        }
    });
}

#[test]
fn the_token_is_in_no_error_log_or_dead_letter() {
    watch_the_log();
    within(120, async {
        let mut seen = String::new();
        for fault in [
            Fault::forbidden(),
            Fault::answer(401, ""),
            Fault::answer(404, "no such thing"),
            Fault::answer(503, ""),
            Fault::too_many_requests(1),
            Fault::html(),
            Fault::Truncated,
            Fault::Cut,
            Fault::Slow,
        ] {
            for path in ["/v3/tables", "/v3/data"] {
                let mut bench = match fault {
                    Fault::Slow => impatient().await,
                    _ => jobindsats(&["y25i09"]).await,
                };
                for _ in 0..3 {
                    bench.server.script(path, fault.clone());
                }
                let mut sink = MemorySink::default();
                match bench.poll(&mut sink).await {
                    Ok(outcome) => seen.push_str(&format!("{outcome:?}")),
                    Err(error) => seen.push_str(&format!("{error:?} {}", chain(&error))),
                }
                for letter in sink.dead_letters() {
                    seen.push_str(&format!("{letter:?}"));
                    seen.push_str(&String::from_utf8_lossy(&letter.original_bytes().expect("bytes")));
                }
            }
        }
        assert!(!seen.contains(TOKEN));
    });
    let log = String::from_utf8_lossy(&logged()).into_owned();
    assert!(log.contains("trying again"), "the log was captured");
    assert!(!log.contains(TOKEN) && !log.to_lowercase().contains("bearer"), "the token is in the log");
}

const LBESK104: &str = "
base_url: https://api.statbank.dk/v1
http: { attempts: 3, timeout_ms: 2000 }
tables:
  - id: LBESK104
    measure: wage_earners
    variables:
      SEKTOR: { name: sector, total: \"1000\" }
      Tid: { role: time }
";

fn posts(bench: &Bench) -> usize {
    bench.server.requests().iter().filter(|request| request.starts_with("POST")).count()
}

#[test]
fn statbank_requests_are_cut_at_the_limit_of_cells() {
    within(60, async {
        let mut whole = Bench::new("statbank", Some(LBESK104)).await;
        let figures = whole.polled().await.1.figures("LBESK104");
        assert_eq!((figures.len(), posts(&whole)), (303, 1));
        let small = format!("cells_max: 100\n{LBESK104}");
        let mut bench = Bench::new("statbank", Some(&small)).await;
        assert_eq!(bench.polled().await.1.figures("LBESK104"), figures);
        assert_eq!(posts(&bench), 4, "303 cells, halved twice along time");
        // The service finds less than the documented limit too large.
        let mut bench = Bench::new("statbank", Some(LBESK104)).await;
        let limit = br#"{"errorTypeCode":"REQUEST-LIMIT","message":"For mange celler"}"#;
        bench.server.script("/v1/data", Fault::answer(400, limit));
        bench.server.script("/v1/data", Fault::answer(400, limit));
        assert_eq!(bench.polled().await.1.figures("LBESK104"), figures);
        assert_eq!(posts(&bench), 5);
        // BULK brings the same.
        let bulk = LBESK104.replace("measure: wage", "bulk: true\n    measure: wage");
        let mut bench = Bench::new("statbank", Some(&bulk)).await;
        assert_eq!(bench.polled().await.1.figures("LBESK104"), figures);
    });
}

#[test]
fn statbank_profiles_must_name_every_variable() {
    within(60, async {
        for (from, to, expected) in [
            (
                "      SEKTOR: { name: sector, total: \"1000\" }\n",
                "",
                "left out: SEKTOR; unknown: none; the table has: SEKTOR, Tid",
            ),
            ("SEKTOR:", "SEKTR:", "left out: SEKTOR; unknown: SEKTR"),
            ("total: \"1000\"", "select: [\"1023\"]", "has no code 1023; nearest known: 1032"),
        ] {
            let mut bench = Bench::new("statbank", Some(&LBESK104.replace(from, to))).await;
            let (outcome, sink) = bench.polled().await;
            let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
            assert!(is_stop(failure) && failure.to_string().contains(expected), "{failure}");
            assert!(sink.sent.is_empty() && posts(&bench) == 0);
        }
    });
}

#[test]
fn statbank_errors_and_unusable_answers() {
    within(60, async {
        let missing = br#"{"errorTypeCode":"EXTRACT-NOTFOUND","message":"Tabel findes ikke: LBESK104"}"#;
        let stamp = |text: &str| Fault::Replaced("2026-07-21T08:00:00".to_owned(), text.to_owned());
        let page = Fault::html();
        // Path, fault, dead letter's reason or the part of a failure's text, how often scripted.
        let cases: [(&str, Fault, Result<Reason, &str>, usize); 8] = [
            ("/v1/tableinfo", Fault::answer(400, missing), Err("tables are replaced"), 1),
            ("/v1/data", Fault::answer(400, missing), Err("Tabel findes ikke"), 1),
            ("/v1/data", Fault::answer(404, ""), Err("HTTP 404 (attempts: 3)"), 3),
            ("/v1/tableinfo", page.clone(), Ok(Reason::UnexpectedContent), 1),
            ("/v1/data", page, Ok(Reason::UnexpectedContent), 1),
            ("/v1/data", Fault::Truncated, Ok(Reason::MalformedJson), 1),
            ("/v1/data", Fault::Windows1252, Ok(Reason::WrongEncoding), 1),
            ("/v1/tableinfo", stamp("in July"), Ok(Reason::UnknownShape), 1),
        ];
        for (path, fault, expected, times) in cases {
            let mut bench = Bench::new("statbank", Some(LBESK104)).await;
            for _ in 0..times {
                bench.server.script(path, fault.clone());
            }
            let (outcome, sink) = bench.polled().await;
            match expected {
                Ok(reason) => {
                    assert_eq!(sink.dead_letters()[0].reason, reason, "{path} {fault:?}");
                    assert_eq!(sink.dead_letters()[0].stage, "statbank");
                }
                Err(part) => {
                    let text = outcome.failures[0].to_string();
                    assert!(text.contains(part), "{path} {fault:?}: {text}");
                }
            }
            assert!(sink.of(Topic::Official).is_empty());
            assert_eq!(bench.cursor()["tables"], serde_json::json!({}));
            assert_eq!(bench.polled().await.1.figures("LBESK104").len(), 303, "{path} {fault:?}");
        }
        // 404 for a moment, and a stamp that disagrees, do no harm.
        let mut bench = Bench::new("statbank", Some(LBESK104)).await;
        bench.server.script("/v1/data", Fault::answer(404, ""));
        bench.server.script(
            "/v1/data",
            Fault::Replaced("2026-07-21T06:00:00Z".to_owned(), "2026-07-21T08:00:00Z".to_owned()),
        );
        assert_eq!(bench.polled().await.1.figures("LBESK104").len(), 303);
        // An answer that lost a variable is refused, not summed.
        let mut bench = Bench::new("statbank", Some(LBESK104)).await;
        let eliminated = br#"{"dataset":{"dimension":{"ContentsCode":{"category":{"index":{"LBESK104":0}}},
            "Tid":{"category":{"index":{"2026M05":0}}},"id":["ContentsCode","Tid"],"size":[1,1]},"value":[3087910]}}"#;
        bench.server.script("/v1/data", Fault::answer(200, eliminated));
        let (_, sink) = bench.polled().await;
        assert!(sink.dead_letters()[0].message.contains("eliminated"), "{:?}", sink.dead_letters());
        // The contact person of a description is not put aside with it.
        let mut bench = Bench::new("statbank", Some(LBESK104)).await;
        let described = br#"{"id":"LBESK104","contacts":[{"name":"A. Person","phone":"+4500000000"}]}"#;
        bench.server.script("/v1/tableinfo", Fault::answer(200, described));
        let (_, sink) = bench.polled().await;
        assert_eq!(sink.dead_letters()[0].original_bytes().expect("bytes"), br#"{"id":"LBESK104"}"#);
    });
}

#[test]
fn statbank_bulk_puts_the_broken_line_aside() {
    within(60, async {
        let bulk = LBESK104.replace("measure: wage", "bulk: true\n    measure: wage");
        let replaced = |from: &str, to: &str| Fault::Replaced(from.to_owned(), to.to_owned());
        for (fault, reason, line) in [
            (replaced("1000;2018M02;2727183", "1000;2018M02;2.72.7183"), Reason::InvalidValue, 3),
            (replaced("1000;2018M02;", "1000;2018M02;;"), Reason::UnknownShape, 3),
            (replaced("SEKTOR;", "BRANCHE;"), Reason::UnknownShape, 1),
            (Fault::html(), Reason::UnexpectedContent, 1),
            (Fault::Empty, Reason::Empty, 1),
        ] {
            let mut bench = Bench::new("statbank", Some(&bulk)).await;
            bench.server.script("/v1/data", fault.clone());
            let (_, sink) = bench.polled().await;
            let letter = &sink.dead_letters()[0];
            assert_eq!(letter.reason, reason, "{fault:?}");
            let file = "POST /v1/data LBESK104".to_owned();
            assert_eq!(letter.origin, Origin::File { file, line: Some(line) }, "{fault:?}");
            assert!(sink.of(Topic::Deliveries).is_empty());
            assert_eq!(bench.polled().await.1.figures("LBESK104").len(), 303, "{fault:?}");
        }
        let mut bench = Bench::new("statbank", Some(&bulk)).await;
        bench.server.script("/v1/data", Fault::Cut);
        let (outcome, _) = bench.polled().await;
        assert!(matches!(outcome.failures[..], [SourceError::Retry { .. }]), "{:?}", outcome.failures);
        assert_eq!(bench.cursor()["tables"], serde_json::json!({}));
    });
}

/// A code that is longer than an event may carry, empty, or no text: the answer is put aside, not sent as a figure
/// that ingest would refuse.
#[test]
fn a_code_that_no_event_can_carry_is_put_aside() {
    let profile = "
base_url: https://api.statbank.dk/v1
tables:
  - id: AUS08
    bulk: BULK
    measure: unemployed
    variables:
      OMRÅDE: { role: area }
      SAESONFAK: { name: season }
      Tid: { role: time }
";
    let text = |file: &str| String::from_utf8(raw(file)).expect("UTF-8");
    let info = text("statbank/raw.tableinfo.json");
    for (bulk, body) in [(false, text("statbank/raw.json")), (true, text("statbank/raw.csv"))] {
        for code in ["2".repeat(129), String::new(), "2\u{7f}2".to_owned()] {
            within(60, async {
                let profile = profile.replace("BULK", &bulk.to_string());
                let mut bench = Bench::new("statbank", Some(&profile)).await;
                let with_code = |text: &str| {
                    text.replace("\"22\"", &format!("\"{code}\"")).replace(";22;", &format!(";{code};"))
                };
                let list = r#"[{"id":"AUS08","updated":"2026-08-31T08:00:00"}]"#;
                bench.server.script("/v1/tables", Fault::answer(200, list));
                bench.server.script("/v1/tableinfo/AUS08", Fault::answer(200, with_code(&info)));
                bench.server.script("/v1/data", Fault::answer(200, with_code(&body)));
                let (_, sink) = bench.polled().await;
                let letters = sink.dead_letters();
                let [letter] = &letters[..] else { panic!("{bulk} {code:?}: {letters:?}") };
                assert!(letter.message.contains("no event can carry"), "{bulk} {code:?}: {}", letter.message);
            });
        }
    }
}
