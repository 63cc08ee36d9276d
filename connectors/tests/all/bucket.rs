//! Buckets, against a server like S3: moto, from PyPI, in the environment of scripts/python.sh.
//!
//! It keeps its objects in memory: started again it has none, and the test puts them back. Azure and Google are not
//! tried here; they share all but the signing of requests.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt as _, PutPayload};
use rettidig_connectors::driver::chain;
use rettidig_event::{Source, Topic};

use crate::golden::{FEEDS, raw};
use crate::program::{Program, free_port};
use crate::support::{
    AtFirst, FeedBench, MemorySink, Poller, by_rename, feed_at, feed_start, income_rows, within,
};

const INCOME: &str = "income-101-2026-08-19.csv";
const SECRET: &str = "hemmelig-4711";

/// More than one range, so that something is left to fetch when the first event comes.
const ROWS: usize = 150_000;

fn python(arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/python.sh");
    let mut command = Command::new(script);
    command.args(arguments);
    command
}

/// A server with the bucket `kommune`.
struct Server {
    program: Program,
    port: u16,
    store: AmazonS3,
}

impl Server {
    async fn start(port: u16) -> Self {
        let port_text = port.to_string();
        let mut command = python(&["-m", "moto.server", "-H", "127.0.0.1", "-p", &port_text]);
        let (program, _) = Program::start(&mut command, "-TERM", "Running on http://").await;
        let bucket = format!("http://127.0.0.1:{port}/kommune");
        let made = reqwest::Client::new().put(bucket).send().await.expect("bucket");
        assert!(made.status().is_success(), "{made:?}");
        let store = AmazonS3Builder::new()
            .with_bucket_name("kommune")
            .with_endpoint(format!("http://127.0.0.1:{port}"))
            .with_allow_http(true)
            .with_access_key_id("test")
            .with_secret_access_key(SECRET)
            .build()
            .expect("store");
        Self { program, port, store }
    }

    /// From now on every request must be signed with the key that this returns, and its secret.
    async fn demand_signatures(&self) -> (String, String) {
        let client = reqwest::Client::new();
        let address = format!("http://127.0.0.1:{}", self.port);
        let mut key = String::new();
        let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}]}";
        for (action, more) in [
            ("CreateUser", ""),
            ("PutUserPolicy", &*format!("&PolicyName=all&PolicyDocument={policy}")),
            ("CreateAccessKey", ""),
        ] {
            let answer = client
                .post(&address)
                .header("Content-Type", "application/x-www-form-urlencoded")
                // Nothing is verified yet; this says which of its services is meant.
                .header("Authorization", "AWS4-HMAC-SHA256 Credential=x/20260820/us-east-1/iam/aws4_request")
                .body(format!("Action={action}&Version=2010-05-08&UserName=kommune{more}"))
                .send()
                .await
                .expect("answer");
            assert!(answer.status().is_success(), "{action}: {answer:?}");
            key = answer.text().await.expect("text");
        }
        let part = |name: &str| {
            let (_, rest) = key.split_once(&format!("<{name}>")).expect(name);
            rest.split_once('<').expect(name).0.to_owned()
        };
        let demanded = client.post(format!("{address}/moto-api/reset-auth")).body("0").send().await;
        assert!(demanded.expect("answer").status().is_success());
        (part("AccessKeyId"), part("SecretAccessKey"))
    }

    async fn put(&self, name: &str, bytes: &[u8]) {
        let payload = PutPayload::from(bytes.to_vec());
        let key = object_store::path::Path::parse(format!("drop/yr/{name}")).expect("key");
        self.store.put(&key, payload).await.expect("put");
    }

    fn source(&self, name: &str, yaml: Option<&str>) -> Box<dyn Source> {
        source(self.port, "s3://kommune/drop/yr", name, yaml, &[]).expect("source")
    }
}

fn source(
    port: u16,
    place: &str,
    name: &str,
    yaml: Option<&str>,
    more: &[(&str, &str)],
) -> Result<Box<dyn Source>, String> {
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut settings = vec![
        ("aws_endpoint", endpoint.as_str()),
        ("aws_allow_http", "true"),
        ("aws_access_key_id", "test"),
        ("aws_secret_access_key", SECRET),
    ];
    // A later one of the same name takes the place of an earlier one.
    settings.extend(more);
    feed_at(name, yaml, place, &settings)
}

/// Within a limit, after making the environment, which takes as long as the network lets it.
fn with_python(test: impl Future<Output = ()>) {
    let made = python(&["-c", "import moto.server"]).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "no Python for the tests: run `make setup`, see above"
    );
    within(600, test);
}

async fn from_a_folder(name: &str, yaml: &str, file: &str, bytes: &[u8]) -> MemorySink {
    let mut folder = FeedBench::new(name, Some(yaml));
    folder.drop_file(file, bytes);
    let mut sink = MemorySink::default();
    folder.poll(&mut sink).await.expect("poll");
    sink
}

/// Goal: an object becomes the events that the same file becomes in a folder, whatever else lies there, and is read
/// once. Method: the shipped profiles with their fixtures, read from both.
#[test]
fn objects_become_the_same_events_as_files_of_a_folder() {
    with_python(async {
        let server = Server::start(free_port()).await;
        for other in ["løn #1%20.csv", "income-101-2026-08-18.csv/x", "empty"] {
            server.put(other, b"").await;
        }
        for (source, name, file) in FEEDS {
            let mut folder = FeedBench::new(source, None);
            folder.drop_file(name, &raw(file));
            server.put(name, &raw(file)).await;
            let mut poller = Poller::new(server.source(source, None), feed_start());
            poller.reads_as_from(&mut folder, source).await;
        }
    });
}

/// Goal: no mixture of two versions is noted as read. Method: the object is replaced, by one of the same size, when
/// the first event of its first range comes.
#[test]
fn an_object_that_is_replaced_while_it_is_read_is_left_for_the_next_poll() {
    with_python(async {
        let server = Server::start(free_port()).await;
        let profile = by_rename("income");
        let mut poller = Poller::new(server.source("income", Some(&profile)), feed_start());
        let (body, other) = (income_rows(ROWS), income_rows(ROWS).replace("28,00", "29,00"));
        server.put(INCOME, body.as_bytes()).await;
        let (server, replaced) = (Arc::new(server), other.clone());
        let own = Arc::clone(&server);
        let mut sink = AtFirst::new(async move { own.put(INCOME, replaced.as_bytes()).await });
        let outcome = poller.poll(&mut sink).await.expect("poll");
        assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
        let text = chain(&outcome.failures[0]);
        assert!(text.contains("it changes while it is read"), "{text}");
        assert!(sink.sink.of(Topic::Income).len() < ROWS && sink.sink.of(Topic::Deliveries).is_empty());
        let (_, sink) = poller.polled().await;
        assert!(sink.told() == from_a_folder("income", &profile, INCOME, other.as_bytes()).await.told());
        drop(server);
    });
}

/// Goal: nothing is lost or half noted when the server goes away, in the middle of a file or between polls.
#[test]
fn a_server_that_goes_away_is_an_error_and_nothing_is_lost() {
    with_python(async {
        const FIRST: &str = "income-101-2026-08-18.csv";
        let server = Server::start(free_port()).await;
        let port = server.port;
        let profile = by_rename("income");
        let (first, body) = (income_rows(3), income_rows(ROWS));
        server.put(FIRST, first.as_bytes()).await;
        let mut poller = Poller::new(server.source("income", Some(&profile)), feed_start());
        assert_eq!(poller.polled().await.1.of(Topic::Income).len(), 3);

        server.put(INCOME, body.as_bytes()).await;
        let mut sink = AtFirst::new(async move { drop(server.program) });
        let outcome = poller.poll(&mut sink).await.expect("poll");
        assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
        let text = chain(&outcome.failures[0]);
        assert!(text.contains(&format!("reading {INCOME}")) && !text.contains(SECRET), "{text}");
        assert!(sink.sink.of(Topic::Income).len() < ROWS && sink.sink.of(Topic::Deliveries).is_empty());
        let error = poller.poll(&mut MemorySink::default()).await.expect_err("nobody there");
        let text = chain(&error);
        assert!(!error.is_final() && text.contains("listing") && !text.contains(SECRET), "{text}");

        let server = Server::start(port).await;
        server.put(FIRST, first.as_bytes()).await;
        server.put(INCOME, body.as_bytes()).await;
        let (outcome, sink) = poller.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert!(sink.told() == from_a_folder("income", &profile, INCOME, body.as_bytes()).await.told());
        assert!(poller.polled().await.1.sent.is_empty());
    });
}

#[test]
fn what_is_wrong_is_told_without_the_secret() {
    with_python(async {
        let server = Server::start(free_port()).await;
        let wrong = source(server.port, "s3://no-such-bucket/drop", "income", None, &[]).expect("source");
        let error =
            Poller::new(wrong, feed_start()).poll(&mut MemorySink::default()).await.expect_err("refused");
        let text = chain(&error);
        assert!(text.contains("NoSuchBucket") && !text.contains(SECRET), "{text}");
        // A key that the storage crate cannot keep apart from a folder stops the listing, and is told.
        let odd = format!("http://127.0.0.1:{}/kommune/drop/yr//x.csv", server.port);
        reqwest::Client::new().put(odd).body("x").send().await.expect("put");
        let mut poller = Poller::new(server.source("income", None), feed_start());
        let text = chain(&poller.poll(&mut MemorySink::default()).await.expect_err("refused"));
        assert!(text.contains("drop/yr//") && !text.contains(SECRET), "{text}");
    });
}

/// Requests are signed as S3 wants it, also for a name that is not plain; a wrong secret is refused, and not told.
#[test]
fn only_the_right_secret_opens_it() {
    with_python(async {
        let server = Server::start(free_port()).await;
        let profile = by_rename("income").replace("\"income-{", "\"løn #1 [50%]-{");
        server.put("løn #1 [50%]-101-2026-08-19.csv", income_rows(3).as_bytes()).await;
        let (id, secret) = server.demand_signatures().await;
        for (secret, right) in [(secret.as_str(), true), ("forkert-4711", false)] {
            let settings = [("aws_access_key_id", id.as_str()), ("aws_secret_access_key", secret)];
            let own = source(server.port, "s3://kommune/drop/yr", "income", Some(&profile), &settings);
            let mut poller = Poller::new(own.expect("source"), feed_start());
            if right {
                assert_eq!(poller.polled().await.1.of(Topic::Income).len(), 3);
            } else {
                let text = chain(&poller.poll(&mut MemorySink::default()).await.expect_err("refused"));
                assert!(text.contains("SignatureDoesNotMatch") && !text.contains(secret), "{text}");
            }
        }
    });
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    for (place, more, expected) in [
        ("s3://kommune/drop", ("aws_secret_acces_key", SECRET), "storage.aws_secret_acces_key: this kind"),
        ("s3://kommune/drop", ("aws_allow_http", SECRET), "storage: a setting that cannot be used"),
        ("az://kommune/drop", ("azure_storage_account_name", "x"), "storage.aws_access_key_id: this kind"),
        ("gs://kommune/drop", ("google_service_account", "/x"), "storage.aws_access_key_id: this kind"),
        ("s3://u:hemmelig-4711@kommune/drop", ("aws_region", "x"), "without a password"),
        ("memory:///", ("aws_region", "x"), "place: expected a folder, s3://"),
        ("ftp://kommune/drop", ("aws_region", "x"), "place: expected a folder, s3://"),
    ] {
        let text = source(1, place, "income", None, &[more]).err().expect("refused");
        assert!(text.contains(expected) && !text.contains(SECRET), "{text}");
    }
}
