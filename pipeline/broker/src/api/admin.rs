//! Making, growing, deleting and describing topics. A topic has one replica, on this node. Refused: replica
//! assignments that name another node, and configuration that would not be honoured.

use super::text;
use crate::node::{NODE_ID, Node};
use crate::topics::{TopicConfig, TopicError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
};

/// Resource types of DescribeConfigs.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a configuration value comes from.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

type Refused = (ResponseError, String);

fn refused(error: TopicError) -> Refused {
    let code = match &error {
        TopicError::Name => ResponseError::InvalidTopicException,
        TopicError::Exists => ResponseError::TopicAlreadyExists,
        TopicError::Unknown => ResponseError::UnknownTopicOrPartition,
        TopicError::Partitions(_) => ResponseError::InvalidPartitions,
        TopicError::Storage(source) => {
            tracing::error!(cause = ?source, "{error}");
            ResponseError::KafkaStorageError
        }
    };
    (code, error.to_string())
}

/// Makes topics, each for itself.
pub(super) fn create_topics(node: &Node, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let result = CreatableTopicResult::default().with_name(topic.name.clone());
        match create(node, &topic, request.validate_only) {
            Ok(()) => result,
            Err((code, message)) => {
                result.with_error_code(code.code()).with_error_message(Some(text(message)))
            }
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn create(node: &Node, topic: &CreatableTopic, check_only: bool) -> Result<(), Refused> {
    let mut partitions = topic.num_partitions;
    if topic.assignments.is_empty() {
        if !matches!(topic.replication_factor, -1 | 1) {
            let reason = "there is one node: the replication factor must be 1";
            return Err((ResponseError::InvalidReplicationFactor, reason.to_owned()));
        }
        if partitions == -1 {
            partitions = 1;
        }
    } else {
        if topic.assignments.iter().any(|assigned| assigned.broker_ids != [NODE_ID]) {
            let reason = "there is one node, number 1: each partition must be assigned to it alone";
            return Err((ResponseError::InvalidReplicaAssignment, reason.to_owned()));
        }
        partitions = i32::try_from(topic.assignments.len()).unwrap_or(i32::MAX);
    }
    let mut config = TopicConfig::default();
    for entry in &topic.configs {
        config
            .set(&entry.name, entry.value.as_deref())
            .map_err(|reason| (ResponseError::InvalidConfig, reason))?;
    }
    node.topics.create(&topic.name, partitions, config, check_only).map(|_| ()).map_err(refused)
}

/// Deletes topics with their messages and the offsets committed for them.
pub(super) fn delete_topics(node: &Node, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let responses = request.topic_names.into_iter().map(|name| {
        let deleted = node.topics.delete(&name).map_err(refused).and_then(|()| {
            node.commits.forget_topic(&name).map_err(|error| {
                tracing::error!(topic = %&*name, cause = %error, "could not forget the topic's offsets");
                (ResponseError::KafkaStorageError, error.to_string())
            })
        });
        let code = deleted.err().map_or(0, |(code, _)| code.code());
        DeletableTopicResult::default().with_name(Some(name)).with_error_code(code)
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

/// Adds partitions.
pub(super) fn create_partitions(node: &Node, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|topic| {
        let elsewhere = topic.assignments.iter().flatten().any(|assigned| assigned.broker_ids != [NODE_ID]);
        let grown = if elsewhere {
            let reason = "there is one node, number 1: each partition must be assigned to it alone";
            Err((ResponseError::InvalidReplicaAssignment, reason.to_owned()))
        } else {
            node.topics.grow(&topic.name, topic.count, request.validate_only).map_err(refused)
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        match grown {
            Ok(()) => result,
            Err((code, message)) => {
                result.with_error_code(code.code()).with_error_message(Some(text(message)))
            }
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

/// The configuration of topics; the node itself shows none.
pub(super) fn describe_configs(node: &Node, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| describe(node, resource));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe(node: &Node, resource: DescribeConfigsResource) -> DescribeConfigsResult {
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    match resource.resource_type {
        BROKER => result,
        TOPIC => match node.topics.get(&resource.resource_name) {
            None => result.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
            Some(topic) => {
                let asked = |name: &str| {
                    resource
                        .configuration_keys
                        .as_ref()
                        .is_none_or(|keys| keys.iter().any(|key| **key == *name))
                };
                let entries = topic.config.entries(&node.config).into_iter();
                let entry = |(name, value, is_default): (&str, String, bool)| {
                    DescribeConfigsResourceResult::default()
                        .with_name(text(name))
                        .with_value(Some(text(value)))
                        .with_config_source(if is_default { SOURCE_DEFAULT } else { SOURCE_TOPIC })
                };
                result.with_configs(entries.filter(|(name, ..)| asked(name)).map(entry).collect())
            }
        },
        _ => result
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_error_message(Some(text("only topics and the broker have configuration here"))),
    }
}
