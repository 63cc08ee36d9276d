//! ListOffsets: the first and the next offset, and the first message at or after a timestamp (milliseconds
//! since 1970 UTC). In a compressed batch the answer is the first message of the batch, which may be
//! earlier than asked for: the broker opens no compressed data, and nothing is skipped.

use crate::node::Node;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

/// Special timestamps of the protocol.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// One offset for each partition asked for.
pub(super) fn list(node: &Node, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| one(node, &topic.name, asked)).collect();
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn one(node: &Node, topic: &str, asked: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_leader_epoch(-1)
        .with_offset(-1)
        .with_timestamp(-1);
    let Some(partition) = node.topics.partition(topic, asked.partition_index) else {
        return answer.with_error_code(ResponseError::UnknownTopicOrPartition.code());
    };
    match asked.timestamp {
        LATEST => answer.with_offset(partition.bounds().end),
        EARLIEST => answer.with_offset(partition.bounds().start),
        timestamp if timestamp < 0 => answer.with_error_code(ResponseError::UnsupportedVersion.code()),
        timestamp => match partition.find_timestamp(timestamp) {
            Ok(Some((offset, timestamp))) => answer.with_offset(offset).with_timestamp(timestamp),
            Ok(None) => answer,
            Err(error) => {
                tracing::error!(cause = ?error, "{error}: look at that file");
                answer.with_error_code(ResponseError::KafkaStorageError.code())
            }
        },
    }
}
