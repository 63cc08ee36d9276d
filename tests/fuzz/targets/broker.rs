//! Requests to the embedded broker. The input is a client's frames, each behind two bytes of length; what is missing
//! of the last one is left out. No request ends a task with a panic, the broker goes on serving, and whatever the
//! requests have left in its folder, it starts on it again.
//!
//! Each input has a broker of its own, so that a finding can be repeated from its input alone.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rettidig_broker::{Broker, BrokerConfig};

/// How long an answer is waited for; a fetch or a join may wait longer, and is then given up.
const ANSWER_MAX: Duration = Duration::from_millis(50);

/// The most frames of an input.
const FRAMES_MAX: usize = 16;

fn start(dir: &Path) -> Broker {
    let mut config = BrokerConfig::new(dir, || 1_700_000_000_000);
    config.partition_bytes_max = 1 << 20;
    config.segment_bytes = 4096;
    Broker::start(config).expect("the broker starts")
}

fn frame(key: u8, version: u8, body: &[u8]) -> Vec<u8> {
    [&[0, key, 0, version, 0, 0, 0, 9, 0, 1, b'c'][..], body].concat()
}

/// Sends frames and reads until the broker closes or waits.
fn send(address: SocketAddr, frames: &[&[u8]], patience: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the broker accepts");
    stream.set_read_timeout(Some(patience)).expect("a limit");
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("small").to_be_bytes();
        // The broker may have closed already.
        if stream.write_all(&[&length[..], frame].concat()).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fuzz_target!(|data: &[u8]| {
    let mut frames = Vec::new();
    let mut rest = data;
    while let [high, low, following @ ..] = rest
        && frames.len() < FRAMES_MAX
    {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(following.len());
        let (frame, following) = following.split_at(length);
        frames.push(frame);
        rest = following;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let broker = start(folder.path());
    // A topic `t` with two partitions: CreateTopics, version 2.
    let topic = [&[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 1][..], &[0; 8], &[0, 0, 3, 232, 0]].concat();
    let topic = frame(19, 2, &topic);
    frames.insert(0, &topic);
    send(broker.address(), &frames, ANSWER_MAX);
    let versions = frame(18, 0, &[]);
    let answer = send(broker.address(), &[&versions], Duration::from_secs(5));
    assert_eq!(answer.get(4..10), Some(&[0, 0, 0, 9, 0, 0][..]), "the broker does not serve any more");
    runtime.block_on(broker.shutdown()).expect("the broker stops");
    let again = start(folder.path());
    runtime.block_on(again.shutdown()).expect("the broker stops");
});
