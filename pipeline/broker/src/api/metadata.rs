//! What the broker can do and what it has: ApiVersions and Metadata. There is one node, number 1, which is
//! controller and leader of everything; leader epochs are always -1. Asking for a topic never makes it.

use super::{SUPPORTED, text};
use crate::node::{NODE_ID, Node};
use crate::topics::Topic;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiVersionsResponse, MetadataRequest, MetadataResponse, TopicName};

/// The supported versions, or the same with the error that the asked version is not among them.
pub(super) fn versions(supported: bool) -> ApiVersionsResponse {
    let kinds = SUPPORTED.map(|(key, first, last)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(first).with_max_version(last)
    });
    let code = if supported { 0 } else { ResponseError::UnsupportedVersion.code() };
    ApiVersionsResponse::default().with_error_code(code).with_api_keys(kinds.into())
}

/// The node and the topics asked for, or all topics.
pub(super) fn metadata(node: &Node, request: MetadataRequest) -> MetadataResponse {
    let topics = match request.topics {
        None => node.topics.all().iter().map(|topic| known(topic)).collect(),
        Some(asked) => asked.into_iter().map(|asked| one(node, asked)).collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE_ID)
        .with_host(text(node.address.ip()))
        .with_port(i32::from(node.address.port()));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(&node.cluster_id)))
        .with_controller_id(NODE_ID)
        .with_topics(topics)
}

fn one(node: &Node, asked: MetadataRequestTopic) -> MetadataResponseTopic {
    let found = match &asked.name {
        Some(name) => node.topics.get(name),
        None => node.topics.get_by_id(asked.topic_id),
    };
    let missing = match asked.name {
        Some(_) => ResponseError::UnknownTopicOrPartition,
        None => ResponseError::UnknownTopicId,
    };
    match found {
        Some(topic) => known(&topic),
        None => MetadataResponseTopic::default()
            .with_error_code(missing.code())
            .with_name(Some(asked.name.unwrap_or_default()))
            .with_topic_id(asked.topic_id),
    }
}

fn known(topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(topic.partitions()).map(|(index, _)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE_ID)
            .with_leader_epoch(-1)
            .with_replica_nodes(vec![NODE_ID])
            .with_isr_nodes(vec![NODE_ID])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}
