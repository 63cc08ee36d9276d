//! The topics of the broker and their configuration. A topic lives in a folder named by its id, so a topic
//! that is deleted and made again shares nothing with the old one. Its `topic.json` is written last and
//! deleted first: a folder without it is a creation or deletion that a crash cut short, and is removed at
//! start. Refused: configuration that the broker would not honour, more partitions than it may hold open.

use crate::config::{BrokerConfig, FsyncPolicy};
use crate::error::BrokerError;
use crate::log::files;
use crate::log::partition::{Limits, Partition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// Partitions of all topics together: each holds a file open, and 1,024 is a usual limit for those.
const PARTITIONS_MAX: usize = 800;
/// Longest topic name, as in Kafka.
const NAME_BYTES_MAX: usize = 249;

/// The configuration that a topic may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicConfig {
    retention_ms: i64,
    retention_bytes: i64,
    segment_bytes: Option<u64>,
    max_message_bytes: u32,
}

impl Default for TopicConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            retention_ms: 7 * 86_400_000,
            retention_bytes: -1,
            segment_bytes: None,
            max_message_bytes: 1_048_588,
        }
    }
}

impl TopicConfig {
    /// Sets one entry; the error says why not.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let Some(value) = value else { return Err(format!("{name} has no value")) };
        let number = |least: i64, most: i64| match value.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("{name}={value} is not a number between {least} and {most}")),
        };
        match name {
            "retention.ms" => self.retention_ms = number(-1, i64::MAX)?,
            "retention.bytes" => self.retention_bytes = number(-1, i64::MAX)?,
            "segment.bytes" => self.segment_bytes = u64::try_from(number(1024, i64::from(i32::MAX))?).ok(),
            "max.message.bytes" => {
                self.max_message_bytes = u32::try_from(number(0, i64::from(i32::MAX))?).unwrap_or_default();
            }
            // Accepted only with the value that the broker has anyway.
            "cleanup.policy" if value == "delete" => {}
            "compression.type" if value == "producer" => {}
            "message.timestamp.type" if value == "CreateTime" => {}
            "min.insync.replicas" if value == "1" => {}
            _ => return Err(format!("{name}={value} is not supported by this broker")),
        }
        Ok(())
    }

    /// Name, value, and whether the value is the default.
    pub(crate) fn entries(&self, broker: &BrokerConfig) -> Vec<(&'static str, String, bool)> {
        let default = Self::default();
        let segment_bytes = self.segment_bytes.unwrap_or(broker.segment_bytes);
        vec![
            ("cleanup.policy", "delete".to_owned(), true),
            ("compression.type", "producer".to_owned(), true),
            (
                "max.message.bytes",
                self.max_message_bytes.to_string(),
                self.max_message_bytes == default.max_message_bytes,
            ),
            ("message.timestamp.type", "CreateTime".to_owned(), true),
            ("min.insync.replicas", "1".to_owned(), true),
            (
                "retention.bytes",
                self.retention_bytes.to_string(),
                self.retention_bytes == default.retention_bytes,
            ),
            ("retention.ms", self.retention_ms.to_string(), self.retention_ms == default.retention_ms),
            ("segment.bytes", segment_bytes.to_string(), self.segment_bytes.is_none()),
        ]
    }

    fn limits(&self, broker: &BrokerConfig) -> Limits {
        let segment_bytes = self.segment_bytes.unwrap_or(broker.segment_bytes);
        Limits {
            segment_bytes: segment_bytes.min(broker.partition_bytes_max / 2),
            log_bytes_max: broker.partition_bytes_max,
            retention_bytes: self.retention_bytes,
            retention_ms: self.retention_ms,
            batch_bytes_max: usize::try_from(self.max_message_bytes).unwrap_or(usize::MAX),
            sync_each_batch: broker.fsync == FsyncPolicy::EveryBatch,
        }
    }
}

/// The content of `topic.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct TopicFile {
    name: String,
    id: Uuid,
    partitions: usize,
    config: TopicConfig,
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub name: String,
    pub id: Uuid,
    pub config: TopicConfig,
    dir: PathBuf,
    partitions: RwLock<Vec<Arc<Partition>>>,
}

impl Topic {
    /// All partitions, in order.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One partition.
    pub(crate) fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(usize::try_from(index).ok()?).cloned()
    }
}

/// Why a topic was not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error(
        "a topic name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', and is not '.' or '..'"
    )]
    Name,
    #[error("the topic exists")]
    Exists,
    #[error("the topic does not exist")]
    Unknown,
    #[error("the number of partitions must be larger than {0}, and at most {PARTITIONS_MAX} for all topics")]
    Partitions(usize),
    #[error("the broker could not write the topic to its disk")]
    Storage(#[source] BrokerError),
}

/// All topics.
#[derive(Debug)]
pub(crate) struct Topics {
    dir: PathBuf,
    broker: BrokerConfig,
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
}

impl Topics {
    /// Opens all topics below the broker's folder.
    pub(crate) fn open(broker: &BrokerConfig) -> Result<Self, BrokerError> {
        let dir = broker.dir.join("topics");
        fs::create_dir_all(&dir).map_err(BrokerError::io("make folder", &dir))?;
        let mut by_name = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(BrokerError::io("list", &dir))? {
            let topic_dir = entry.map_err(BrokerError::io("list", &dir))?.path();
            let Some(known) = files::read_json::<TopicFile>(&topic_dir.join("topic.json"))? else {
                tracing::warn!(dir = %topic_dir.display(), "removed a topic that was half made or half deleted");
                fs::remove_dir_all(&topic_dir).map_err(BrokerError::io("remove", &topic_dir))?;
                continue;
            };
            let topic = open_topic(topic_dir, known, broker)?;
            by_name.insert(topic.name.clone(), Arc::new(topic));
        }
        Ok(Self { dir, broker: broker.clone(), by_name: RwLock::new(by_name) })
    }

    /// One topic.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// One topic by its id.
    pub(crate) fn get_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.all().into_iter().find(|topic| topic.id == id)
    }

    /// One partition.
    pub(crate) fn partition(&self, name: &str, index: i32) -> Option<Arc<Partition>> {
        self.get(name)?.partition(index)
    }

    /// All topics, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// All partitions of all topics.
    pub(crate) fn all_partitions(&self) -> Vec<Arc<Partition>> {
        self.all().iter().flat_map(|topic| topic.partitions()).collect()
    }

    /// Makes a topic, unless `check_only`.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        config: TopicConfig,
        check_only: bool,
    ) -> Result<Uuid, TopicError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || !name.bytes().all(plain)
            || [".", ".."].contains(&name)
        {
            return Err(TopicError::Name);
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if by_name.contains_key(name) {
            return Err(TopicError::Exists);
        }
        let partitions = self.check_partitions(&by_name, 0, partitions)?;
        let id = Uuid::from_u128(fastrand::u128(1..));
        if check_only {
            return Ok(id);
        }
        let dir = self.dir.join(id.simple().to_string());
        let known = TopicFile { name: name.to_owned(), id, partitions, config };
        let opened = fs::create_dir_all(&dir)
            .map_err(BrokerError::io("make folder", &dir))
            .and_then(|()| open_topic(dir.clone(), known.clone(), &self.broker))
            .and_then(|topic| write_topic(&dir, &known).map(|()| topic))
            .and_then(|topic| {
                files::sync_dir(&self.dir).map_err(BrokerError::io("sync folder", &self.dir)).map(|()| topic)
            });
        match opened {
            Ok(topic) => {
                by_name.insert(name.to_owned(), Arc::new(topic));
                Ok(id)
            }
            Err(error) => {
                // Without its topic.json the folder is removed at the next start at the latest.
                let _ = fs::remove_dir_all(&dir);
                Err(TopicError::Storage(error))
            }
        }
    }

    /// Adds partitions up to `count`, unless `check_only`.
    pub(crate) fn grow(&self, name: &str, count: i32, check_only: bool) -> Result<(), TopicError> {
        let by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let topic = by_name.get(name).ok_or(TopicError::Unknown)?;
        let now = topic.partitions().len();
        let count = self.check_partitions(&by_name, now, count)?;
        if check_only {
            return Ok(());
        }
        let limits = topic.config.limits(&self.broker);
        let mut added = Vec::new();
        for index in now..count {
            let partition = Partition::open(topic.dir.join(index.to_string()), limits);
            added.push(Arc::new(partition.map_err(TopicError::Storage)?));
        }
        let known = TopicFile {
            name: topic.name.clone(),
            id: topic.id,
            partitions: count,
            config: topic.config.clone(),
        };
        write_topic(&topic.dir, &known).map_err(TopicError::Storage)?;
        topic.partitions.write().unwrap_or_else(PoisonError::into_inner).extend(added);
        Ok(())
    }

    fn check_partitions(
        &self,
        by_name: &BTreeMap<String, Arc<Topic>>,
        now: usize,
        wanted: i32,
    ) -> Result<usize, TopicError> {
        let elsewhere = by_name.values().map(|topic| topic.partitions().len()).sum::<usize>() - now;
        match usize::try_from(wanted) {
            Ok(wanted) if wanted > now && wanted <= PARTITIONS_MAX.saturating_sub(elsewhere) => Ok(wanted),
            _ => Err(TopicError::Partitions(now)),
        }
    }

    /// Deletes a topic with its messages.
    pub(crate) fn delete(&self, name: &str) -> Result<(), TopicError> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let topic = by_name.get(name).ok_or(TopicError::Unknown)?;
        let file = topic.dir.join("topic.json");
        fs::remove_file(&file).map_err(BrokerError::io("delete", &file)).map_err(TopicError::Storage)?;
        for partition in topic.partitions() {
            partition.mark_deleted();
        }
        // From here the topic is gone; a rest of the folder is removed at the next start.
        if let Err(error) = fs::remove_dir_all(&topic.dir) {
            tracing::warn!(dir = %topic.dir.display(), %error, "could not remove a deleted topic, the next start does");
        }
        by_name.remove(name);
        Ok(())
    }
}

fn open_topic(dir: PathBuf, known: TopicFile, broker: &BrokerConfig) -> Result<Topic, BrokerError> {
    let limits = known.config.limits(broker);
    let partitions = (0..known.partitions)
        .map(|index| Partition::open(dir.join(index.to_string()), limits).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Topic {
        name: known.name,
        id: known.id,
        config: known.config,
        dir,
        partitions: RwLock::new(partitions),
    })
}

fn write_topic(dir: &Path, known: &TopicFile) -> Result<(), BrokerError> {
    let path = dir.join("topic.json");
    files::write_json(&path, known).map_err(BrokerError::io("write", &path))
}
