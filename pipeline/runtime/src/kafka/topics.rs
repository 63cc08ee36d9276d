//! How the topics must be, and which part of the work needs what of them.

use rettidig_event::{Topic, person};

use super::GROUP;
use crate::committer;
use crate::engine::TOPICS;
use crate::roles::proposal::{PROPOSALS, RETENTION_MS};
use crate::roles::{committer as committer_role, worker as worker_role};

/// A topic as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicSpec {
    pub(crate) name: &'static str,
    /// Partitions at least.
    pub(crate) partitions: i32,
    /// Milliseconds for which messages stay at least.
    pub(crate) retention_ms: i64,
    /// Largest message, bytes.
    pub(crate) max_message_bytes: i32,
}

impl TopicSpec {
    /// The topics of the contract.
    pub(crate) fn of_contract() -> impl Iterator<Item = Self> {
        Topic::ALL.into_iter().map(Self::of)
    }

    fn of(topic: Topic) -> Self {
        Self {
            name: topic.name(),
            partitions: topic.partitions(),
            retention_ms: topic.retention_ms(),
            max_message_bytes: topic.max_message_bytes(),
        }
    }

    /// The topic on which workers and committers talk to each other.
    pub(crate) fn proposals() -> Self {
        Self {
            name: PROPOSALS,
            partitions: 1,
            retention_ms: RETENTION_MS,
            max_message_bytes: Topic::DeadLetter.max_message_bytes(),
        }
    }
}

/// What is needed of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) topic: TopicSpec,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

/// A part of the work, as a user of Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything in one process.
    All,
    /// The sources.
    Connectors,
    /// Evaluating persons.
    Worker,
    /// Committing epochs.
    Committer,
}

impl Part {
    /// The group that it reads in.
    pub(crate) fn group(self) -> Option<&'static str> {
        match self {
            Self::All => Some(GROUP),
            Self::Connectors => None,
            Self::Worker => Some(worker_role::GROUP),
            Self::Committer => Some(committer_role::GROUP),
        }
    }

    /// What it needs, topic by topic; `helm/kafka-acls.yaml` allows the same.
    pub(crate) fn needs(self) -> Vec<Need> {
        let (reads, writes): (&[Topic], &[Topic]) = match self {
            Self::All => (&TOPICS, &Topic::ALL),
            Self::Connectors => (&[], &Topic::ALL),
            Self::Worker => {
                (&person::TOPICS, &[Topic::Payments, Topic::Cases, Topic::Income, Topic::DeadLetter])
            }
            Self::Committer => (&committer::TOPICS, &[Topic::DeadLetter]),
        };
        let of_contract = Topic::ALL.into_iter().map(|topic| Need {
            topic: TopicSpec::of(topic),
            reads: reads.contains(&topic),
            writes: writes.contains(&topic),
        });
        // The committer looks how many partitions the topics about persons have.
        let is_seen = |need: &Need| {
            let of_persons = person::TOPICS.iter().any(|topic| topic.name() == need.topic.name);
            need.reads || need.writes || (self == Self::Committer && of_persons)
        };
        let mut needs: Vec<Need> = of_contract.filter(is_seen).collect();
        if matches!(self, Self::Worker | Self::Committer) {
            needs.push(Need { topic: TopicSpec::proposals(), reads: true, writes: true });
        }
        needs
    }
}
