//! What the one node has: its folder, address, topics, groups and committed offsets. The lock of the folder
//! is held as long as anything still uses the node, so that a second broker never sees half-finished work;
//! it is a lock of the operating system, which a killed process does not leave behind.

use crate::commits::Commits;
use crate::config::BrokerConfig;
use crate::error::BrokerError;
use crate::groups::Groups;
use crate::log::files;
use crate::topics::Topics;
use kafka_protocol::messages::BrokerId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The number of the one node.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);
/// Producer ids reserved on disk at a time.
const PRODUCER_IDS_RESERVED: i64 = 1_000;

/// The one node.
#[derive(Debug)]
pub(crate) struct Node {
    pub config: BrokerConfig,
    /// Where it listens, which is what clients are told.
    pub address: SocketAddr,
    pub cluster_id: String,
    pub topics: Topics,
    pub groups: Groups,
    pub commits: Commits,
    pub producer_ids: ProducerIds,
    /// Cancelled when the broker stops.
    pub stop: CancellationToken,
    _lock: File,
}

/// The content of `serving.json`.
#[derive(Debug, Serialize, Deserialize)]
struct ServingFile {
    address: SocketAddr,
}

/// Where the broker that has last used a folder listens, or listened: whether it still does, the lock tells.
pub(crate) fn last_address(dir: &Path) -> Option<SocketAddr> {
    files::read_json::<ServingFile>(&dir.join("serving.json")).ok().flatten().map(|file| file.address)
}

/// The content of `cluster.json`.
#[derive(Debug, Serialize, Deserialize)]
struct ClusterFile {
    cluster_id: Uuid,
}

impl Node {
    /// Takes the folder and loads everything in it.
    pub(crate) fn open(config: BrokerConfig, lock: File, address: SocketAddr) -> Result<Self, BrokerError> {
        let dir = &config.dir;
        let cluster_path = dir.join("cluster.json");
        let cluster_id = match files::read_json::<ClusterFile>(&cluster_path)? {
            Some(known) => known.cluster_id,
            None => {
                let cluster_id = Uuid::from_u128(fastrand::u128(1..));
                files::write_json(&cluster_path, &ClusterFile { cluster_id })
                    .map_err(BrokerError::io("write", &cluster_path))?;
                cluster_id
            }
        };
        let serving_path = dir.join("serving.json");
        files::write_json(&serving_path, &ServingFile { address })
            .map_err(BrokerError::io("write", &serving_path))?;
        let topics = Topics::open(&config)?;
        let commits_path = dir.join("commits.log");
        let commits = Commits::open(commits_path.clone())?;
        commits
            .forget_missing(|topic| topics.get(topic).is_some())
            .map_err(BrokerError::io("write", &commits_path))?;
        Ok(Self {
            address,
            cluster_id: cluster_id.simple().to_string(),
            topics,
            groups: Groups::default(),
            commits,
            producer_ids: ProducerIds::open(dir.join("producer-ids.json"))?,
            stop: CancellationToken::new(),
            config,
            _lock: lock,
        })
    }

    /// Forces everything to disk; the first error is returned after all was tried.
    pub(crate) fn sync(&self) -> Result<(), BrokerError> {
        let mut result = self.commits.sync();
        for partition in self.topics.all_partitions() {
            result = result.and(partition.sync());
        }
        result
    }

    /// Applies the retention of all topics.
    pub(crate) fn apply_retention(&self) {
        let now_ms = (self.config.now)();
        for topic in self.topics.all() {
            for (index, partition) in topic.partitions().iter().enumerate() {
                if let Err(error) = partition.apply_retention(now_ms) {
                    tracing::error!(topic = topic.name, partition = index, cause = %error, "could not apply retention: look at the disk");
                }
            }
        }
    }
}

/// Makes the folder and locks it.
pub(crate) fn lock(dir: &Path) -> Result<File, BrokerError> {
    fs::create_dir_all(dir).map_err(BrokerError::io("make folder", dir))?;
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(BrokerError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BrokerError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(BrokerError::Io { attempt: "lock", path, source }),
    }
}

/// Ids for idempotent producers; never given twice, because a block is reserved on disk before use.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    path: PathBuf,
    /// Next id, and the first that is not reserved.
    state: Mutex<(i64, i64)>,
}

impl ProducerIds {
    fn open(path: PathBuf) -> Result<Self, BrokerError> {
        let reserved: i64 = files::read_json(&path)?.unwrap_or(1);
        Ok(Self { path, state: Mutex::new((reserved, reserved)) })
    }

    /// The next id.
    pub(crate) fn next(&self) -> io::Result<i64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, reserved) = *state;
        if next == reserved {
            files::write_json(&self.path, &(reserved + PRODUCER_IDS_RESERVED))?;
            state.1 = reserved + PRODUCER_IDS_RESERVED;
        }
        state.0 = next + 1;
        Ok(next)
    }
}
