//! Consumer groups on the wire: the coordinator (always this node), joining, and committed offsets.

use super::{RequestError, text};
use crate::commits::{Commit, Place};
use crate::groups::{Join, JoinReply, Joined, NAME_BYTES_MAX, Refusal, SyncReply};
use crate::node::{NODE_ID, Node};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse, TopicName,
};
use std::collections::BTreeMap;

/// Longest metadata of a committed offset, as in Kafka.
const METADATA_BYTES_MAX: usize = 4096;

fn code(result: Result<(), Refusal>) -> i16 {
    result.err().map_or(0, |refusal| refusal.code())
}

/// This node, for groups. There is no coordinator of transactions.
pub(super) fn find_coordinator(node: &Node, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if request.key_type != 0 {
        return FindCoordinatorResponse::default()
            .with_error_code(ResponseError::TransactionalIdAuthorizationFailed.code())
            .with_error_message(Some(text("this broker has no transactions")))
            .with_node_id((-1).into())
            .with_port(-1);
    }
    FindCoordinatorResponse::default()
        .with_node_id(NODE_ID)
        .with_host(text(node.address.ip()))
        .with_port(i32::from(node.address.port()))
}

/// Joins, waiting until the other members have joined too.
pub(super) async fn join(
    node: &Node,
    request: JoinGroupRequest,
    client: &str,
    version: i16,
) -> Result<JoinGroupResponse, RequestError> {
    let asked = request.member_id.clone();
    let rebalance_timeout_ms =
        if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    let reply = node.groups.join(Join {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        client: client.to_owned(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| (protocol.name.to_string(), protocol.metadata))
            .collect(),
        id_required: version >= 4,
    });
    let joined = match reply {
        JoinReply::Now(joined) => joined,
        JoinReply::IdRequired(member) => {
            return Ok(JoinGroupResponse::default()
                .with_error_code(ResponseError::MemberIdRequired.code())
                .with_generation_id(-1)
                .with_protocol_name(Some(text("")))
                .with_member_id(text(member)));
        }
        JoinReply::Later(joined) => tokio::select! {
            // A member removed meanwhile, or asking anew on another connection, has no answer here.
            joined = joined => joined.map_err(|_| Refusal::UnknownMemberId),
            () = node.stop.cancelled() => return Err(RequestError::Stopping),
        },
    };
    Ok(match joined {
        Ok(Joined { generation, protocol, leader, member, members }) => JoinGroupResponse::default()
            .with_generation_id(generation)
            .with_protocol_name(Some(text(protocol)))
            .with_leader(text(leader))
            .with_member_id(text(member))
            .with_members(
                members
                    .into_iter()
                    .map(|(id, metadata)| {
                        JoinGroupResponseMember::default().with_member_id(text(id)).with_metadata(metadata)
                    })
                    .collect(),
            ),
        Err(refusal) => JoinGroupResponse::default()
            .with_error_code(refusal.code())
            .with_generation_id(-1)
            .with_protocol_name(Some(text("")))
            .with_member_id(asked),
    })
}

/// Hands in or receives the assignment.
pub(super) async fn sync(node: &Node, request: SyncGroupRequest) -> Result<SyncGroupResponse, RequestError> {
    let assignments =
        request.assignments.into_iter().map(|one| (one.member_id.to_string(), one.assignment)).collect();
    let assignment =
        match node.groups.sync(&request.group_id, &request.member_id, request.generation_id, assignments) {
            SyncReply::Now(assignment) => assignment,
            SyncReply::Later(assignment) => tokio::select! {
                assignment = assignment => assignment.unwrap_or(Err(Refusal::UnknownMemberId)),
                () = node.stop.cancelled() => return Err(RequestError::Stopping),
            },
        };
    Ok(match assignment {
        Ok(assignment) => SyncGroupResponse::default().with_assignment(assignment),
        Err(refusal) => {
            SyncGroupResponse::default().with_error_code(refusal.code()).with_assignment(Bytes::new())
        }
    })
}

/// Keeps a member alive, and tells it of a rebalance.
pub(super) fn heartbeat(node: &Node, request: HeartbeatRequest) -> HeartbeatResponse {
    let result = node.groups.heartbeat(&request.group_id, &request.member_id, request.generation_id);
    HeartbeatResponse::default().with_error_code(code(result))
}

/// Removes a member.
pub(super) fn leave(node: &Node, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let result = node.groups.leave(&request.group_id, &request.member_id);
    LeaveGroupResponse::default().with_error_code(code(result))
}

/// Commits offsets: all that are valid, or none when the disk refuses.
pub(super) fn commit(node: &Node, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let allowed = if request.group_id.is_empty() || request.group_id.len() > NAME_BYTES_MAX {
        Err(Refusal::InvalidGroupId)
    } else {
        let generation = request.generation_id_or_member_epoch;
        node.groups.check_commit(&request.group_id, &request.member_id, generation)
    };
    let mut commits: Vec<(Place, Commit)> = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let metadata = asked.committed_metadata.unwrap_or_default();
            let result = match allowed {
                Err(refusal) => Err(refusal),
                Ok(()) if node.topics.partition(&topic.name, asked.partition_index).is_none() => {
                    Err(Refusal::UnknownTopicOrPartition)
                }
                Ok(()) if metadata.len() > METADATA_BYTES_MAX => Err(Refusal::OffsetMetadataTooLarge),
                Ok(()) => {
                    let commit = Commit {
                        offset: asked.committed_offset,
                        leader_epoch: asked.committed_leader_epoch,
                        metadata: metadata.to_string(),
                    };
                    commits.push(((topic.name.to_string(), asked.partition_index), commit));
                    Ok(())
                }
            };
            partitions.push((asked.partition_index, code(result)));
        }
        topics.push((topic.name, partitions));
    }
    let stored = node.commits.commit(&request.group_id, commits);
    if let Err(error) = &stored {
        tracing::error!(group = %&*request.group_id, cause = %error, "could not write committed offsets");
    }
    let storage_code = if stored.is_err() { ResponseError::KafkaStorageError.code() } else { 0 };
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, code)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(if code == 0 { storage_code } else { code })
        });
        OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Committed offsets: of the partitions asked for, or all of the group.
pub(super) fn committed(node: &Node, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let answer = |index: i32, commit: Option<Commit>| {
        let commit = commit.unwrap_or(Commit { offset: -1, leader_epoch: -1, metadata: String::new() });
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(commit.offset)
            .with_committed_leader_epoch(commit.leader_epoch)
            .with_metadata(Some(text(commit.metadata)))
    };
    let mut topics: BTreeMap<String, Vec<OffsetFetchResponsePartition>> = BTreeMap::new();
    match request.topics {
        Some(asked) => {
            for topic in asked {
                let partitions = topics.entry(topic.name.to_string()).or_default();
                for index in topic.partition_indexes {
                    partitions.push(answer(index, node.commits.get(&request.group_id, &topic.name, index)));
                }
            }
        }
        None => {
            for ((topic, index), commit) in node.commits.of_group(&request.group_id) {
                topics.entry(topic).or_default().push(answer(index, Some(commit)));
            }
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetFetchResponseTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}
