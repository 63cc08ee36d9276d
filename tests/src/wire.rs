//! Requests of the Kafka protocol that librdkafka does not offer, straight over a socket.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, encode_request_header_into_buffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Limit of one question.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Asks the broker at `address`, without any security.
///
/// # Errors
/// If no answer comes in time.
pub async fn ask<R: Request>(address: &str, request: &R, version: i16) -> Result<R::Response> {
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let mut frame = Vec::new();
    encode_request_header_into_buffer(&mut frame, &header)?;
    request.encode(&mut frame, version)?;
    let mut answer = timeout(ANSWERED_WITHIN, exchange(address, &frame)).await??;
    ResponseHeader::decode(&mut answer, <R::Response as HeaderVersion>::header_version(version))?;
    R::Response::decode(&mut answer, version)
}

/// Sends one frame and reads one.
async fn exchange(address: &str, frame: &[u8]) -> Result<Bytes> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_u32(u32::try_from(frame.len())?).await?;
    stream.write_all(frame).await?;
    let length = usize::try_from(stream.read_u32().await?)?;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(answer.into())
}
