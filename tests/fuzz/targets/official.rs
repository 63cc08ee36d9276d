//! Answers of jobindsats and StatBank: what is sent can be used, and no answer ends the poll with a panic. The first
//! byte says which answer the rest replaces; the others are the recorded ones.
#![no_main]

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use libfuzzer_sys::fuzz_target;
use rettidig_connectors::sources::{Options, build_with, default_profile};
use rettidig_event::{Clock, ManualClock, Source};
use rettidig_fuzz::MemorySink;
use secrecy::SecretString;
use serde_json::Value;
use tokio::runtime::Runtime;

/// Which answers can be replaced: the source (0 jobindsats, 1 StatBank, 2 StatBank in bulk) and a part of the path.
const REPLACED: [(usize, &str); 7] = [
    (0, "/tables"),
    (0, "/data"),
    (1, "/tables"),
    (1, "/tableinfo"),
    (1, "/data"),
    (2, "/tableinfo"),
    (2, "/data"),
];

/// What the server answers: to paths with this part, these bytes.
type Answers = Arc<Mutex<Vec<(&'static str, Vec<u8>)>>>;

async fn answer(State(answers): State<Answers>, uri: Uri) -> Vec<u8> {
    let answers = answers.lock().expect("answers");
    answers
        .iter()
        .find(|(part, _)| uri.path().contains(part))
        .map(|(_, body)| body.clone())
        .unwrap_or_default()
}

/// The recorded answers of a source.
fn recorded(source: usize) -> Vec<(&'static str, Vec<u8>)> {
    match source {
        0 => vec![
            (
                "/tables",
                br#"[{"table_id":"y25i01","update_latest":"2026-08-19","update_next":"2026-09-16"}]"#
                    .to_vec(),
            ),
            ("/data", include_bytes!("../../../connectors/fixtures/jobindsats/raw.json").to_vec()),
        ],
        _ => {
            let data: &[u8] = if source == 1 {
                include_bytes!("../../../connectors/fixtures/statbank/raw.json")
            } else {
                include_bytes!("../../../connectors/fixtures/statbank/raw.csv")
            };
            vec![
                ("/tables", br#"[{"id":"AUS08","updated":"2026-08-31T08:00:00"}]"#.to_vec()),
                (
                    "/tableinfo",
                    include_bytes!("../../../connectors/fixtures/statbank/raw.tableinfo.json").to_vec(),
                ),
                ("/data", data.to_vec()),
            ]
        }
    }
}

struct Bench {
    runtime: Runtime,
    sources: [Box<dyn Source>; 3],
    answers: Answers,
    clock: ManualClock,
}

fn bench() -> Bench {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answers = Answers::default();
    let router = Router::new().fallback(answer).with_state(answers.clone());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    runtime.spawn(async move { axum::serve(listener, router).await });
    let sources = [("jobindsats", false), ("statbank", false), ("statbank", true)].map(|(name, bulk)| {
        let shipped = default_profile(name).expect("a profile");
        let profile = if bulk {
            shipped.replace("- id: AUS08", "- id: AUS08\n    bulk: true")
        } else {
            shipped.to_owned()
        };
        let options = Options {
            profile_yaml: Some(&profile),
            base_url: Some(&url),
            token: (name == "jobindsats").then(|| SecretString::from("token")),
            pause: Arc::new(|_| Box::pin(std::future::ready(()))),
        };
        build_with(name, &options).expect("a source")
    });
    let clock = ManualClock::new("2026-09-01T07:58:44Z".parse().expect("an instant"));
    Bench { runtime, sources, answers, clock }
}

fuzz_target!(|data: &[u8]| {
    thread_local! {
        static BENCH: RefCell<Bench> = RefCell::new(bench());
    }
    let Some((choice, bytes)) = data.split_first() else { return };
    let (index, replaced) = REPLACED[usize::from(*choice) % REPLACED.len()];
    BENCH.with_borrow_mut(|Bench { runtime, sources, answers, clock }| {
        let mut bodies = recorded(index);
        bodies.iter_mut().filter(|(part, _)| *part == replaced).for_each(|(_, body)| *body = bytes.to_vec());
        *answers.lock().expect("answers") = bodies;
        let clock: &dyn Clock = clock;
        let mut sink = MemorySink::default();
        // A poll may fail as a whole, for instance where a table is too large; then what was sent is not judged.
        if let Ok(outcome) = runtime.block_on(sources[index].poll(&Value::Null, clock, &mut sink)) {
            sink.assert_usable(&outcome);
        }
    });
});
