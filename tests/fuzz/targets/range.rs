//! Headers of a request for a published table, `Range` among them: the server answers, with the file or the part of it that its
//! answer says, and goes on serving. The input stands behind `Range: `; line ends begin other headers.
#![no_main]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rettidig_event::ManualClock;
use rettidig_model::Model;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, Store};
use rettidig_serve::access::{Access, Reader};
use rettidig_serve::{Door, Server, Shown};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

struct Bench {
    runtime: Runtime,
    address: SocketAddr,
    file: Vec<u8>,
    _server: Server,
    _engine: Engine,
    _folder: TempDir,
}

fn bench() -> Bench {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (server, engine) = runtime.block_on(async {
        let store = Store::local(folder.path()).expect("a store");
        let model = Arc::new(Model::embedded().expect("the model"));
        let clock = Arc::new(ManualClock::new("2026-08-25T10:00:00Z".parse().expect("an instant")));
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let mut engine =
            Engine::open(store, model, clock.clone(), Arc::clone(&metrics)).await.expect("an engine");
        engine.commit().await.expect("an epoch");
        let shown = Shown {
            snapshots: engine.snapshots(),
            metrics,
            clock,
            folder: folder.path().to_owned(),
            ready: Arc::new(AtomicBool::new(true)),
            model: Arc::new(Model::embedded().expect("the model")),
            access: Access::all(Reader::Public),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        (Server::start(Door::plain(address), shown).await.expect("a server"), engine)
    });
    let file = std::fs::read(folder.path().join("tables/latest/indicators.parquet")).expect("a table");
    Bench { address: server.address(), runtime, file, _server: server, _engine: engine, _folder: folder }
}

async fn ask(address: SocketAddr, headers: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    let begin = b"GET /tables/indicators.parquet HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: ";
    // The server may have closed already.
    let _ = stream.write_all(&[&begin[..], headers, b"\r\n\r\n"].concat()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name));
    head.lines().find_map(|line| Some(named(line)?.1))
}

fn check(answer: &[u8], file: &[u8]) {
    // Nothing at all: a second request in the input closed the connection.
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return };
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = &answer[end + 4..];
    if head.starts_with("HTTP/1.1 200") {
        assert!(body.starts_with(file), "{head}");
    } else if head.starts_with("HTTP/1.1 206") && header(&head, "content-type") != Some("multipart/byteranges") {
        let range = header(&head, "content-range").expect("which part");
        let (part, _) = range.trim_start_matches("bytes ").split_once('/').expect("of how much");
        let (from, to) = part.split_once('-').expect("from and to");
        let (from, to): (usize, usize) = (from.parse().expect("from"), to.parse().expect("to"));
        assert!(body.starts_with(&file[from..=to]), "{head}");
    } else {
        let is_refusal = ["400", "403", "404", "405", "412", "416", "417", "431", "304", "501"]
            .iter()
            .any(|status| head.starts_with(&format!("HTTP/1.1 {status}")));
        assert!(is_refusal, "{head}");
    }
}

fuzz_target!(|data: &[u8]| {
    thread_local! {
        static BENCH: RefCell<Bench> = RefCell::new(bench());
    }
    BENCH.with_borrow(|bench| {
        let answer = bench.runtime.block_on(async {
            tokio::time::timeout(ANSWER_MAX, ask(bench.address, data)).await.expect("an answer in time")
        });
        check(&answer, &bench.file);
        let whole = bench.runtime.block_on(async {
            tokio::time::timeout(ANSWER_MAX, ask(bench.address, b"bytes=0-")).await.expect("it goes on serving")
        });
        assert!(whole.ends_with(&bench.file), "the file");
    });
});
