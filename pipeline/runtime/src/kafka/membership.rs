//! Membership in a consumer group, for nothing but to share out partitions among processes.
//!
//! Kafka elects and notices who is gone; what a member does with its partitions is its own affair. The messages are not
//! read through the group, because a position comes from the manifest and a person's partitions of three topics belong
//! together: members share out the partitions of one topic, which stand for all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::KafkaConfig;
use crate::RuntimeError;

/// How a group is kept together; what the user sets under `kafka.settings` goes before.
const DEFAULTS: [(&str, &str); 3] = [
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "2000"),
    // Who joins or leaves does not stop those who stay.
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// The partitions that are a member's now; or why it is a member no longer and will not be again.
pub type Share = Result<BTreeSet<i32>, String>;

/// Notes what is given and taken.
struct Context {
    share: watch::Sender<Share>,
    joined: Arc<AtomicBool>,
}

impl ClientContext for Context {}

fn numbers(list: &TopicPartitionList) -> BTreeSet<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let gone = numbers(list);
            self.share.send_modify(|share| {
                if let Ok(owned) = share {
                    owned.retain(|partition| !gone.contains(partition));
                }
            });
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            // Nothing is read here.
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "partitions of the group are not paused: messages are read in vain");
            }
            // Who is given nothing has its place in the group, too.
            self.joined.store(true, Ordering::Release);
            let new = numbers(list);
            self.share.send_modify(|share| {
                if let Ok(owned) = share {
                    owned.extend(new);
                }
            });
        }
    }
}

/// Membership in a group; ends when dropped.
pub struct Membership {
    share: watch::Receiver<Share>,
    _stop: DropGuard,
}

impl Membership {
    /// Joins a group that shares out the partitions of a topic. With an `instance`, a name that stays the same when the
    /// process is started again, a restart within the session's time moves nothing. `joined` is set once the group has given
    /// this member its share, be it nothing.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the settings are wrong.
    pub fn join(
        config: &KafkaConfig,
        group: &str,
        topic: &str,
        instance: Option<&str>,
        joined: Arc<AtomicBool>,
    ) -> Result<Self, RuntimeError> {
        let stop = |error| {
            RuntimeError::stop(
                format!("joining the group {group}"),
                error,
                "correct the settings under kafka",
            )
        };
        let mut client = config.client()?;
        for (key, value) in DEFAULTS.into_iter().filter(|(key, _)| !config.settings.contains_key(*key)) {
            client.set(key, value);
        }
        if let Some(instance) = instance {
            client.set("group.instance.id", instance);
        }
        client.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "latest");
        let (sender, share) = watch::channel(Ok(BTreeSet::new()));
        let lost = sender.clone();
        let consumer: StreamConsumer<Context> =
            client.create_with_context(Context { share: sender, joined }).map_err(stop)?;
        consumer.subscribe(&[topic]).map_err(stop)?;
        let token = CancellationToken::new();
        let ended = token.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = ended.cancelled() => break,
                    received = consumer.recv() => match received {
                        Ok(_) => {}
                        Err(KafkaError::MessageConsumptionFatal(code)) => {
                            drop(lost.send_replace(Err(code.to_string())));
                            break;
                        }
                        Err(error) => tracing::warn!(%error, "staying in the group is not easy"),
                    },
                }
            }
            // Leaving the group talks to the broker.
            drop(tokio::task::spawn_blocking(move || drop(consumer)).await);
        });
        Ok(Self { share, _stop: token.drop_guard() })
    }

    /// What is this member's now; changes with every rebalance.
    pub fn share(&self) -> watch::Receiver<Share> {
        self.share.clone()
    }
}
