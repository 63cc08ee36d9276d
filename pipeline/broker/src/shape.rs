//! Checks the shape of a request before it is decoded. The decoder of `kafka-protocol` believes the lengths
//! of arrays and reserves memory for them at once: four bytes of garbage could ask for hundreds of gigabytes
//! and end the process. Here each request is walked first, so that every array element is really there.
//! Refused: what is cut off, negative lengths, more than 100,000 array elements.
//!
//! Only the versions in `api::SUPPORTED` are described; a test decodes a request of each version.

use Shape::{Array, Bytes, CompactArray, CompactString, Fixed, Since, String, Tags, Versions};
use kafka_protocol::messages::ApiKey;

/// Array elements of one request, all arrays together. A request of librdkafka has one for each partition.
const ELEMENTS_MAX: usize = 100_000;

/// A part of a request.
enum Shape {
    /// This many bytes.
    Fixed(usize),
    /// Two bytes of length, -1 for none.
    String,
    /// Four bytes of length, -1 for none.
    Bytes,
    /// Four bytes of count, -1 for none.
    Array(&'static [Shape]),
    /// Variable length plus one, 0 for none.
    CompactString,
    /// Variable count plus one, 0 for none.
    CompactArray(&'static [Shape]),
    /// Tagged fields.
    Tags,
    /// From this version on.
    Since(i16, &'static Shape),
    /// From one version to another.
    Versions(i16, i16, &'static Shape),
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("the request is cut off or a length is impossible")]
    CutOff,
    #[error("the request has more than {ELEMENTS_MAX} array elements")]
    TooManyElements,
}

fn shape_of(key: ApiKey, version: i16) -> &'static [Shape] {
    match key {
        ApiKey::Produce => &[String, Fixed(6), Array(&[String, Array(&[Fixed(4), Bytes])])],
        ApiKey::Fetch => &[
            Fixed(17),
            Since(7, &Fixed(8)),
            Array(&[
                String,
                Array(&[Fixed(4), Since(9, &Fixed(4)), Fixed(8), Since(5, &Fixed(8)), Fixed(4)]),
            ]),
            Since(7, &Array(&[String, Array(&[Fixed(4)])])),
            Since(11, &String),
        ],
        ApiKey::ListOffsets => &[
            Fixed(4),
            Since(2, &Fixed(1)),
            Array(&[String, Array(&[Fixed(4), Since(4, &Fixed(4)), Fixed(8)])]),
        ],
        ApiKey::Metadata if version >= 9 => &[
            CompactArray(&[Since(10, &Fixed(16)), CompactString, Tags]),
            Fixed(2),
            Versions(9, 10, &Fixed(1)),
            Tags,
        ],
        ApiKey::Metadata => &[Array(&[String]), Since(4, &Fixed(1)), Since(8, &Fixed(2))],
        ApiKey::OffsetCommit => &[
            String,
            Fixed(4),
            String,
            Since(7, &String),
            Versions(2, 4, &Fixed(8)),
            Array(&[String, Array(&[Fixed(12), Since(6, &Fixed(4)), String])]),
        ],
        ApiKey::OffsetFetch => &[String, Array(&[String, Array(&[Fixed(4)])])],
        ApiKey::FindCoordinator => &[String, Since(1, &Fixed(1))],
        ApiKey::JoinGroup => {
            &[String, Fixed(4), Since(1, &Fixed(4)), String, String, Array(&[String, Bytes])]
        }
        ApiKey::SyncGroup => &[String, Fixed(4), String, Array(&[String, Bytes])],
        ApiKey::Heartbeat => &[String, Fixed(4), String],
        ApiKey::LeaveGroup => &[String, String],
        ApiKey::ApiVersions if version >= 3 => &[CompactString, CompactString, Tags],
        ApiKey::CreateTopics => &[
            Array(&[String, Fixed(6), Array(&[Fixed(4), Array(&[Fixed(4)])]), Array(&[String, String])]),
            Fixed(5),
        ],
        ApiKey::DeleteTopics => &[Array(&[String]), Fixed(4)],
        ApiKey::CreatePartitions => &[Array(&[String, Fixed(4), Array(&[Array(&[Fixed(4)])])]), Fixed(5)],
        ApiKey::DescribeConfigs => {
            &[Array(&[Fixed(1), String, Array(&[String])]), Fixed(1), Since(3, &Fixed(1))]
        }
        ApiKey::InitProducerId => &[String, Fixed(4)],
        _ => &[],
    }
}

/// Checks the body of a request, header not included.
pub(crate) fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<(), ShapeError> {
    let mut walk = Walk { rest: body, version, elements: 0 };
    walk.all(shape_of(key, version))
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    elements: usize,
}

impl Walk<'_> {
    fn all(&mut self, shapes: &'static [Shape]) -> Result<(), ShapeError> {
        shapes.iter().try_for_each(|shape| self.one(shape))
    }

    fn one(&mut self, shape: &'static Shape) -> Result<(), ShapeError> {
        match shape {
            Fixed(bytes) => self.skip(*bytes).map(|_| ()),
            String => {
                let length = self.big_endian(2)?;
                self.skip(if length == 0xffff { 0 } else { length }).map(|_| ())
            }
            Bytes => {
                let length = self.big_endian(4)?;
                self.skip(if length == 0xffff_ffff { 0 } else { length }).map(|_| ())
            }
            Array(element) => {
                let count = self.big_endian(4)?;
                self.elements(if count == 0xffff_ffff { 0 } else { count }, element)
            }
            CompactString => {
                let length = self.variable()?;
                self.skip(length.saturating_sub(1)).map(|_| ())
            }
            CompactArray(element) => {
                let count = self.variable()?;
                self.elements(count.saturating_sub(1), element)
            }
            Tags => {
                for _ in 0..self.variable()? {
                    self.variable()?;
                    let length = self.variable()?;
                    self.skip(length)?;
                }
                Ok(())
            }
            Since(first, shape) if self.version >= *first => self.one(shape),
            Versions(first, last, shape) if (*first..=*last).contains(&self.version) => self.one(shape),
            Since(..) | Versions(..) => Ok(()),
        }
    }

    fn elements(&mut self, count: usize, element: &'static [Shape]) -> Result<(), ShapeError> {
        self.elements = self.elements.saturating_add(count);
        if self.elements > ELEMENTS_MAX {
            return Err(ShapeError::TooManyElements);
        }
        (0..count).try_for_each(|_| self.all(element))
    }

    fn skip(&mut self, bytes: usize) -> Result<&[u8], ShapeError> {
        let (skipped, rest) = self.rest.split_at_checked(bytes).ok_or(ShapeError::CutOff)?;
        self.rest = rest;
        Ok(skipped)
    }

    fn big_endian(&mut self, bytes: usize) -> Result<usize, ShapeError> {
        Ok(self.skip(bytes)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    fn variable(&mut self) -> Result<usize, ShapeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.big_endian(1)?;
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ShapeError::CutOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    fn walked(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, ShapeError> {
        let mut walk = Walk { rest: body, version, elements: 0 };
        walk.all(shape_of(key, version)).map(|()| walk.rest.len())
    }

    /// Goal: the shapes are those of `kafka-protocol`, in each version that is offered. Method: requests with
    /// something in every array are encoded; the walk must end exactly at their end, and fail on each part.
    #[test]
    fn shapes_fit_every_supported_version() {
        for (key, first, last) in crate::api::SUPPORTED {
            for version in first..=last {
                let body = encoded(key, version);
                assert_eq!(walked(key, version, &body), Ok(0), "{key:?} {version}");
                for cut in 0..body.len() {
                    assert_eq!(
                        walked(key, version, &body[..cut]),
                        Err(ShapeError::CutOff),
                        "{key:?} {version}"
                    );
                }
            }
        }
    }

    #[test]
    fn announced_elements_must_be_there() {
        let huge = [0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(check(ApiKey::DeleteTopics, 1, &huge[4..]), Err(ShapeError::TooManyElements));
        let many = [0, 1, 0x86, 0x9f];
        assert_eq!(check(ApiKey::DeleteTopics, 1, &many), Err(ShapeError::CutOff));
    }

    fn s(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    fn topic() -> TopicName {
        TopicName(s("topic"))
    }

    fn encode(message: &impl Encodable, version: i16) -> Vec<u8> {
        let mut body = Vec::new();
        message.encode(&mut body, version).expect("a valid request");
        body
    }

    fn encoded(key: ApiKey, version: i16) -> Vec<u8> {
        match key {
            ApiKey::Produce => {
                let partition = produce_request::PartitionProduceData::default()
                    .with_records(Some(bytes::Bytes::from_static(b"records")));
                let topic = produce_request::TopicProduceData::default()
                    .with_name(topic())
                    .with_partition_data(vec![partition]);
                encode(&ProduceRequest::default().with_topic_data(vec![topic; 2]), version)
            }
            ApiKey::Fetch => {
                let partition = fetch_request::FetchPartition::default();
                let wanted = fetch_request::FetchTopic::default()
                    .with_topic(topic())
                    .with_partitions(vec![partition; 2]);
                let mut request = FetchRequest::default().with_topics(vec![wanted; 2]);
                if version >= 7 {
                    let forgotten =
                        fetch_request::ForgottenTopic::default().with_topic(topic()).with_partitions(vec![1]);
                    request = request.with_forgotten_topics_data(vec![forgotten]);
                }
                if version >= 11 {
                    request = request.with_rack_id(s("rack"));
                }
                encode(&request, version)
            }
            ApiKey::ListOffsets => {
                let partition = list_offsets_request::ListOffsetsPartition::default();
                let topic = list_offsets_request::ListOffsetsTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![partition; 2]);
                encode(&ListOffsetsRequest::default().with_topics(vec![topic]), version)
            }
            ApiKey::Metadata => {
                let asked = metadata_request::MetadataRequestTopic::default().with_name(Some(topic()));
                encode(&MetadataRequest::default().with_topics(Some(vec![asked; 2])), version)
            }
            ApiKey::OffsetCommit => {
                let partition = offset_commit_request::OffsetCommitRequestPartition::default()
                    .with_committed_metadata(Some(s("metadata")));
                let topic = offset_commit_request::OffsetCommitRequestTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![partition; 2]);
                encode(&OffsetCommitRequest::default().with_topics(vec![topic]), version)
            }
            ApiKey::OffsetFetch => {
                let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
                    .with_name(topic())
                    .with_partition_indexes(vec![1, 2]);
                encode(&OffsetFetchRequest::default().with_topics(Some(vec![topic])), version)
            }
            ApiKey::FindCoordinator => {
                encode(&FindCoordinatorRequest::default().with_key(s("group")), version)
            }
            ApiKey::JoinGroup => {
                let protocol = join_group_request::JoinGroupRequestProtocol::default()
                    .with_name(s("range"))
                    .with_metadata(bytes::Bytes::from_static(b"metadata"));
                encode(&JoinGroupRequest::default().with_protocols(vec![protocol; 2]), version)
            }
            ApiKey::SyncGroup => {
                let assignment = sync_group_request::SyncGroupRequestAssignment::default()
                    .with_member_id(s("member"))
                    .with_assignment(bytes::Bytes::from_static(b"assignment"));
                encode(&SyncGroupRequest::default().with_assignments(vec![assignment; 2]), version)
            }
            ApiKey::Heartbeat => encode(&HeartbeatRequest::default().with_member_id(s("member")), version),
            ApiKey::LeaveGroup => encode(&LeaveGroupRequest::default().with_member_id(s("member")), version),
            ApiKey::ApiVersions => encode(&ApiVersionsRequest::default(), version),
            ApiKey::CreateTopics => {
                let assignment = create_topics_request::CreatableReplicaAssignment::default()
                    .with_broker_ids(vec![BrokerId(1); 2]);
                let config =
                    create_topics_request::CreatableTopicConfig::default().with_value(Some(s("value")));
                let topic = create_topics_request::CreatableTopic::default()
                    .with_name(topic())
                    .with_assignments(vec![assignment; 2])
                    .with_configs(vec![config; 2]);
                encode(&CreateTopicsRequest::default().with_topics(vec![topic; 2]), version)
            }
            ApiKey::DeleteTopics => {
                encode(&DeleteTopicsRequest::default().with_topic_names(vec![topic(); 2]), version)
            }
            ApiKey::CreatePartitions => {
                let assignment = create_partitions_request::CreatePartitionsAssignment::default()
                    .with_broker_ids(vec![BrokerId(1)]);
                let topic = create_partitions_request::CreatePartitionsTopic::default()
                    .with_name(topic())
                    .with_assignments(Some(vec![assignment; 2]));
                encode(&CreatePartitionsRequest::default().with_topics(vec![topic; 2]), version)
            }
            ApiKey::DescribeConfigs => {
                let resource = describe_configs_request::DescribeConfigsResource::default()
                    .with_configuration_keys(Some(vec![s("key"); 2]));
                encode(&DescribeConfigsRequest::default().with_resources(vec![resource; 2]), version)
            }
            ApiKey::InitProducerId => encode(&InitProducerIdRequest::default(), version),
            other => panic!("no sample of {other:?}"),
        }
    }
}
