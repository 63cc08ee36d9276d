//! From the bytes of a request to the bytes of its answer. The list below is what clients are told: nothing
//! is in it that the broker does not do. A request outside the list closes its connection, as in Kafka,
//! except ApiVersions, which is answered in version 0 so that a newer client can ask again.
//!
//! Versions end where librdkafka 2.12 has no use for newer ones, or where the next one would promise what is
//! not there: static members (JoinGroup 5), fetching by topic id (Fetch 13).

mod admin;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod produce;

use crate::node::Node;
use crate::shape::{self, ShapeError};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ProduceRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes, decode_request_header_from_buffer};

/// Request kinds with their first and last version.
pub(crate) const SUPPORTED: [(ApiKey, i16, i16); 17] = [
    (ApiKey::Produce, 3, 8),
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ListOffsets, 1, 5),
    (ApiKey::Metadata, 1, 12),
    (ApiKey::OffsetCommit, 2, 7),
    (ApiKey::OffsetFetch, 1, 5),
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::JoinGroup, 0, 4),
    (ApiKey::Heartbeat, 0, 2),
    (ApiKey::LeaveGroup, 0, 2),
    (ApiKey::SyncGroup, 0, 2),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 4),
    (ApiKey::DeleteTopics, 1, 3),
    (ApiKey::InitProducerId, 0, 1),
    (ApiKey::DescribeConfigs, 1, 3),
    (ApiKey::CreatePartitions, 0, 1),
];

/// Bytes of a request before the client's name: kind, version, correlation, length of the name.
pub(crate) const HEADER_BYTES_MIN: usize = 10;

/// Largest request that carries no messages.
const CONTROL_BYTES_MAX: usize = 4 << 20;

/// Why a request is not answered and its connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("request kind {0} is not supported")]
    Kind(i16),
    #[error("{key:?} version {version} is not supported")]
    Version { key: ApiKey, version: i16 },
    #[error("malformed request: {0}")]
    Shape(#[from] ShapeError),
    #[error("malformed request: {0}")]
    Decode(String),
    #[error("{key:?} has {bytes} bytes, {CONTROL_BYTES_MAX} are accepted")]
    Size { key: ApiKey, bytes: usize },
    #[error("the answer could not be encoded: {0}")]
    Encode(String),
    #[error("the broker is stopping")]
    Stopping,
}

/// A request whose header is read.
struct Call {
    key: ApiKey,
    header: RequestHeader,
    body: Bytes,
}

impl Call {
    fn version(&self) -> i16 {
        self.header.request_api_version
    }

    fn decode<R: Decodable>(&mut self) -> Result<R, RequestError> {
        R::decode(&mut self.body, self.header.request_api_version)
            .map_err(|error| RequestError::Decode(error.to_string()))
    }

    /// The whole frame of an answer, length first.
    fn answer<M: Encodable>(&self, version: i16, message: &M) -> Result<Option<BytesMut>, RequestError> {
        let size = message.compute_size(version).map_err(|error| RequestError::Encode(error.to_string()))?;
        let mut frame = BytesMut::with_capacity(size + 16);
        frame.put_u32(0);
        ResponseHeader::default()
            .with_correlation_id(self.header.correlation_id)
            .encode(&mut frame, self.key.response_header_version(version))
            .and_then(|()| message.encode(&mut frame, version))
            .map_err(|error| RequestError::Encode(error.to_string()))?;
        let length =
            u32::try_from(frame.len() - 4).map_err(|error| RequestError::Encode(error.to_string()))?;
        if let Some(field) = frame.get_mut(0..4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        Ok(Some(frame))
    }
}

/// Serves one request. No answer for a produce request with acks=0.
pub(crate) async fn serve(node: &Node, mut frame: Bytes) -> Result<Option<BytesMut>, RequestError> {
    let kind = frame.get(0..2).map_or(-1, |kind| i16::from_be_bytes([kind[0], kind[1]]));
    let key = ApiKey::try_from(kind).map_err(|()| RequestError::Kind(kind))?;
    let version = frame.get(2..4).map_or(-1, |version| i16::from_be_bytes([version[0], version[1]]));
    let (_, first, last) =
        *SUPPORTED.iter().find(|(known, ..)| *known == key).ok_or(RequestError::Kind(kind))?;
    let asks_versions = key == ApiKey::ApiVersions;
    let supported = (first..=last).contains(&version);
    if !supported && !asks_versions {
        return Err(RequestError::Version { key, version });
    }
    if key != ApiKey::Produce && frame.len() > CONTROL_BYTES_MAX {
        return Err(RequestError::Size { key, bytes: frame.len() });
    }
    if frame.len() < HEADER_BYTES_MIN {
        return Err(ShapeError::CutOff.into());
    }
    let header = decode_request_header_from_buffer(&mut frame)
        .map_err(|error| RequestError::Decode(error.to_string()))?;
    let mut call = Call { key, header, body: frame };
    if !supported {
        return call.answer(0, &metadata::versions(false));
    }
    shape::check(key, version, &call.body)?;
    match key {
        ApiKey::Produce => {
            let request: ProduceRequest = call.decode()?;
            let answered = request.acks != 0;
            let response = produce::produce(node, request);
            if answered { call.answer(version, &response) } else { Ok(None) }
        }
        ApiKey::Fetch => {
            let request = call.decode()?;
            call.answer(version, &fetch::fetch(node, request).await)
        }
        ApiKey::ListOffsets => {
            let request = call.decode()?;
            call.answer(version, &offsets::list(node, request))
        }
        ApiKey::Metadata => {
            let request = call.decode()?;
            call.answer(version, &metadata::metadata(node, request))
        }
        ApiKey::OffsetCommit => {
            let request = call.decode()?;
            call.answer(version, &groups::commit(node, request))
        }
        ApiKey::OffsetFetch => {
            let request = call.decode()?;
            call.answer(version, &groups::committed(node, request))
        }
        ApiKey::FindCoordinator => {
            let request = call.decode()?;
            call.answer(version, &groups::find_coordinator(node, request))
        }
        ApiKey::JoinGroup => {
            let request = call.decode()?;
            let client = call.header.client_id.clone().unwrap_or_default();
            call.answer(version, &groups::join(node, request, &client, version).await?)
        }
        ApiKey::SyncGroup => {
            let request = call.decode()?;
            call.answer(version, &groups::sync(node, request).await?)
        }
        ApiKey::Heartbeat => {
            let request = call.decode()?;
            call.answer(version, &groups::heartbeat(node, request))
        }
        ApiKey::LeaveGroup => {
            let request = call.decode()?;
            call.answer(version, &groups::leave(node, request))
        }
        ApiKey::ApiVersions => call.answer(version, &metadata::versions(true)),
        ApiKey::CreateTopics => {
            let request = call.decode()?;
            call.answer(version, &admin::create_topics(node, request))
        }
        ApiKey::DeleteTopics => {
            let request = call.decode()?;
            call.answer(version, &admin::delete_topics(node, request))
        }
        ApiKey::CreatePartitions => {
            let request = call.decode()?;
            call.answer(version, &admin::create_partitions(node, request))
        }
        ApiKey::DescribeConfigs => {
            let request = call.decode()?;
            call.answer(version, &admin::describe_configs(node, request))
        }
        ApiKey::InitProducerId => {
            let request = call.decode()?;
            call.answer(version, &produce::init_producer_id(node, request))
        }
        _ => Err(RequestError::Version { key, version: call.version() }),
    }
}

fn text(text: impl std::fmt::Display) -> StrBytes {
    StrBytes::from_string(text.to_string())
}
