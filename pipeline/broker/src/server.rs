//! Connections and framing. A frame is four bytes of length and that many bytes. A connection serves one
//! request after the other, as in Kafka, so it never holds more than one request and one answer. Refused,
//! each with a log line and the end of that connection alone: too many connections, frames that are too
//! long or too short, malformed requests, clients that stop in the middle of a frame or do not read.

use crate::api::{self, HEADER_BYTES_MIN, RequestError};
use crate::node::Node;
use bytes::{Bytes, BytesMut};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// A connection without requests is closed after this; Kafka's `connections.max.idle.ms`.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// A frame or an answer that takes longer than this has lost its client.
const TRANSFER_MAX: Duration = Duration::from_secs(60);
/// Memory is taken as a frame arrives, not as it is announced: this much at first, then doubling.
const FRAME_STEP_BYTES: usize = 64 << 10;
/// Memory for large frames, all connections together, in units of a step.
const LARGE_FRAMES_STEPS: usize = (256 << 20) / FRAME_STEP_BYTES;
/// Wait after a failed accept, which is usually a lack of file handles.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Why a connection is closed by the broker.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("a frame of {bytes} bytes is announced, {HEADER_BYTES_MIN} to {bytes_max} are accepted")]
    FrameLength { bytes: usize, bytes_max: usize },
    #[error("a frame or an answer was not transferred within {} s", TRANSFER_MAX.as_secs())]
    TooSlow,
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Accepts connections until the broker stops.
pub(crate) async fn serve(node: Arc<Node>, listener: TcpListener, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(node.config.connections_max));
    let largest = usize::try_from(node.config.request_bytes_max).unwrap_or(usize::MAX) / FRAME_STEP_BYTES;
    let memory = Arc::new(Semaphore::new(LARGE_FRAMES_STEPS.max(2 * largest)));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = node.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, client)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let (node, memory) = (Arc::clone(&node), Arc::clone(&memory));
                    tasks.spawn(connection(node, stream, client, place, memory));
                }
                Err(_) => {
                    let connections_max = node.config.connections_max;
                    tracing::warn!(%client, connections_max, "closed a connection: there are too many");
                }
            },
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(
    node: Arc<Node>,
    stream: TcpStream,
    client: SocketAddr,
    _place: OwnedSemaphorePermit,
    memory: Arc<Semaphore>,
) {
    match requests(&node, stream, &memory).await {
        Ok(()) | Err(ConnectionError::Request(RequestError::Stopping)) => {}
        Err(ConnectionError::Io(error)) => tracing::debug!(%client, %error, "a connection broke"),
        Err(error) => tracing::warn!(%client, %error, "closed a connection"),
    }
}

async fn requests(node: &Node, stream: TcpStream, memory: &Semaphore) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let bytes_max = usize::try_from(node.config.request_bytes_max).unwrap_or(usize::MAX);
    let mut stream = BufReader::new(stream);
    loop {
        let length = tokio::select! {
            length = timeout(IDLE_MAX, stream.read_u32()) => match length {
                Ok(Ok(length)) => usize::try_from(length).unwrap_or(usize::MAX),
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Ok(()),
            },
            () = node.stop.cancelled() => return Ok(()),
        };
        if !(HEADER_BYTES_MIN..=bytes_max).contains(&length) {
            return Err(ConnectionError::FrameLength { bytes: length, bytes_max });
        }
        let steps = u32::try_from(length / FRAME_STEP_BYTES).unwrap_or(u32::MAX);
        let Ok(_memory) = memory.acquire_many(steps).await else { return Ok(()) };
        let frame = tokio::select! {
            frame = timeout(TRANSFER_MAX, read_frame(&mut stream, length)) => {
                frame.map_err(|_| ConnectionError::TooSlow)??
            }
            () = node.stop.cancelled() => return Ok(()),
        };
        if let Some(answer) = api::serve(node, frame).await? {
            timeout(TRANSFER_MAX, stream.write_all(&answer))
                .await
                .map_err(|_| ConnectionError::TooSlow)??;
        }
    }
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Bytes> {
    let mut frame = BytesMut::new();
    while frame.len() < length {
        let missing = length - frame.len();
        frame.reserve(missing.min(FRAME_STEP_BYTES.max(frame.len())));
        if (&mut *stream).take(missing as u64).read_buf(&mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(frame.freeze())
}
