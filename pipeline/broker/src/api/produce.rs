//! Produce and InitProducerId. A batch is acknowledged when it is written (see `FsyncPolicy`); with one node
//! acks=1 and acks=all are the same. Refused: transactions, message formats before 2.

use super::text;
use crate::log::batch::BatchFault;
use crate::log::partition::{AppendError, Appended};
use crate::node::Node;
use crate::producers::Verdict;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
};

/// Appends the batches of a request, each for itself.
pub(super) fn produce(node: &Node, request: ProduceRequest) -> ProduceResponse {
    let refused = if request.transactional_id.is_some() {
        Some(ResponseError::TransactionalIdAuthorizationFailed)
    } else if !(-1..=1).contains(&request.acks) {
        Some(ResponseError::InvalidRequiredAcks)
    } else {
        None
    };
    let topic = |topic: kafka_protocol::messages::produce_request::TopicProduceData| {
        let partition = |data: PartitionProduceData| match refused {
            Some(error) => failed(data.index, error, error.to_string()),
            None => append(node, &topic.name, data),
        };
        let partitions = topic.partition_data.into_iter().map(partition).collect();
        TopicProduceResponse::default().with_name(topic.name.clone()).with_partition_responses(partitions)
    };
    ProduceResponse::default().with_responses(request.topic_data.into_iter().map(topic).collect())
}

fn append(node: &Node, topic: &str, data: PartitionProduceData) -> PartitionProduceResponse {
    let Some(partition) = node.topics.partition(topic, data.index) else {
        return failed(data.index, ResponseError::UnknownTopicOrPartition, "no such topic or partition");
    };
    match partition.append(&data.records.unwrap_or_default()) {
        Ok(Appended { base_offset, log_start }) => PartitionProduceResponse::default()
            .with_index(data.index)
            .with_base_offset(base_offset)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(log_start),
        Err(error) => {
            if let AppendError::Storage { source, .. } = &error {
                tracing::error!(topic, partition = data.index, cause = %source, "{error}");
            }
            failed(data.index, code(&error), &error)
        }
    }
}

fn code(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Fault(BatchFault::Magic(_)) => ResponseError::UnsupportedForMessageFormat,
        AppendError::Fault(BatchFault::Count) | AppendError::NotOneBatch => ResponseError::InvalidRecord,
        AppendError::Fault(BatchFault::Transactional) => ResponseError::InvalidTxnState,
        AppendError::Fault(BatchFault::CutOff | BatchFault::Length | BatchFault::Checksum) => {
            ResponseError::CorruptMessage
        }
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::Sequence(Verdict::StaleEpoch) => ResponseError::InvalidProducerEpoch,
        AppendError::Sequence(Verdict::OldDuplicate) => ResponseError::DuplicateSequenceNumber,
        AppendError::Sequence(_) => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Deleted => ResponseError::UnknownTopicOrPartition,
        AppendError::Storage { .. } => ResponseError::KafkaStorageError,
    }
}

fn failed(index: i32, error: ResponseError, message: impl std::fmt::Display) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(error.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_error_message(Some(text(message)))
}

/// Gives out an id that no producer had before, also not before a restart.
pub(super) fn init_producer_id(node: &Node, request: InitProducerIdRequest) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        let refused = ResponseError::TransactionalIdAuthorizationFailed;
        return InitProducerIdResponse::default().with_error_code(refused.code());
    }
    match node.producer_ids.next() {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => {
            tracing::error!(cause = %error, "could not reserve producer ids on disk: free space there");
            InitProducerIdResponse::default().with_error_code(ResponseError::KafkaStorageError.code())
        }
    }
}
