//! The broker against clients that send nonsense: it closes their connection and goes on serving.

use crate::api::{self, SUPPORTED};
use crate::node::{self, Node};
use crate::topics::TopicConfig;
use crate::{Broker, BrokerConfig, BrokerErrorKind};
use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn now_ms() -> i64 {
    1_700_000_000_000
}

/// One broker for all cases, so that what one case breaks, the next one sees.
fn address() -> SocketAddr {
    static BROKER: OnceLock<(Broker, TempDir)> = OnceLock::new();
    let (broker, _) = BROKER.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        (Broker::start(BrokerConfig::new(dir.path(), now_ms)).expect("a broker"), dir)
    });
    broker.address()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream
}

/// Sends bytes, ends the sending side, and reads until the broker closes; it must close.
fn send(bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address());
    // The broker may have closed already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the broker keeps the connection"),
        _ => answer,
    }
}

fn frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let header = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 9], &[0, 1, b'c']].concat();
    let length = u32::try_from(header.len() + body.len()).expect("small");
    [&length.to_be_bytes()[..], &header, body].concat()
}

/// A well-formed request is answered: ApiVersions, version 0.
fn assert_serves() {
    let answer = send(&frame(18, 0, &[]));
    assert_eq!(answer.get(4..10), Some(&[0, 0, 0, 9, 0, 0][..]), "correlation 9 and no error: {answer:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_close_the_connection(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        send(&bytes);
        assert_serves();
    }
}

/// A node without connections, that waits for nothing because it is stopping.
fn node() -> &'static (Runtime, Node, TempDir) {
    static NODE: OnceLock<(Runtime, Node, TempDir)> = OnceLock::new();
    NODE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let lock = node::lock(dir.path()).expect("free");
        let node = Node::open(BrokerConfig::new(dir.path(), now_ms), lock, address()).expect("a node");
        node.topics.create("t", 1, TopicConfig::default(), false).expect("a topic");
        node.stop.cancel();
        (Runtime::new().expect("threads"), node, dir)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Called directly, where a panic is seen; on a connection it would end that connection only. The bytes
    /// are those that lengths are made of, so that many requests decode.
    #[test]
    fn random_bodies_never_panic(
        kind in 0..SUPPORTED.len(),
        version in 0i16..14,
        body in prop::collection::vec(
            prop_oneof![6 => Just(0u8), 3 => Just(1), 1 => Just(0xff), 1 => Just(b't'), 1 => any::<u8>()],
            0..120,
        ),
    ) {
        let (runtime, node, _) = node();
        let (key, ..) = SUPPORTED[kind];
        let request = frame(key as i16, version, &body).split_off(4);
        let _ = runtime.block_on(api::serve(node, request.into()));
    }
}

#[test]
fn announced_gigabytes_are_not_reserved() {
    // Longer than the limit: closed at once. Within the limit: the memory is taken as the bytes come.
    assert!(send(&u32::MAX.to_be_bytes()).is_empty());
    assert!(send(&(39u32 << 20).to_be_bytes()).is_empty());
    // DeleteTopics with 2,147,483,647 names.
    assert!(send(&frame(20, 1, &[0x7f, 0xff, 0xff, 0xff])).is_empty());
    assert_serves();
}

#[test]
fn unknown_versions_of_api_versions_are_answered() {
    let answer = send(&frame(18, 99, &[0]));
    assert_eq!(answer.get(8..10), Some(&[0, 35][..]), "UNSUPPORTED_VERSION");
    assert!(send(&frame(0, 99, &[0])).is_empty(), "an unknown version of Produce closes the connection");
    assert!(send(&frame(24, 0, &[0])).is_empty(), "so do transactions");
}

fn start(dir: &Path, change: impl FnOnce(&mut BrokerConfig)) -> Result<Broker, BrokerErrorKind> {
    let mut config = BrokerConfig::new(dir, now_ms);
    change(&mut config);
    Broker::start(config).map_err(|error| error.kind())
}

#[tokio::test]
async fn connections_are_limited() {
    let dir = tempfile::tempdir().expect("a folder");
    let broker = start(dir.path(), |config| config.connections_max = 2).expect("a broker");
    let serves = |stream: &mut TcpStream| {
        stream.write_all(&frame(18, 0, &[])).is_ok() && stream.read_exact(&mut [0; 10]).is_ok()
    };
    let mut kept = [connect(broker.address()), connect(broker.address())];
    assert!(kept.iter_mut().all(serves));
    assert!(!serves(&mut connect(broker.address())), "a third is closed");
    broker.shutdown().await.expect("stops although clients are connected");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let bad = start(dir.path(), |config| config.connections_max = 0);
    assert_eq!(bad.err(), Some(BrokerErrorKind::Configure));
    let broker = start(dir.path(), |_| ()).expect("a broker");
    assert_eq!(start(dir.path(), |_| ()).err(), Some(BrokerErrorKind::Retry), "the folder is locked");
    assert_eq!(crate::serving_address(dir.path()), Some(broker.address()), "who holds it is told");
    let other = tempfile::tempdir().expect("a folder");
    let taken = start(other.path(), |config| config.listen = broker.address());
    assert_eq!(taken.err(), Some(BrokerErrorKind::Configure), "the address is taken");
    broker.shutdown().await.expect("stops");
    start(dir.path(), |_| ()).expect("the folder is free").shutdown().await.expect("stops");
}
