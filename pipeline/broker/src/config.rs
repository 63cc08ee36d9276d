//! What the broker may be told. Every field is a limit, a place or a duration; sizes are bytes, times are
//! milliseconds or `Duration`. There is no field for what the broker does not do.

use crate::error::BrokerError;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// When appended batches are forced to the disk.
///
/// Either way a batch is handed to the operating system before it is acknowledged, so it survives the death
/// of the process (kill -9). The policy decides what survives the death of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// At this interval, when a segment is full, and at shutdown: a power cut loses at most the interval.
    Interval(Duration),
    /// Before each acknowledgement: a power cut loses nothing that was acknowledged. Slow.
    EveryBatch,
}

/// How a broker is started.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Folder of all data; made when it is missing. One broker at a time may use it.
    pub dir: PathBuf,
    /// Address to listen on, which is also the address that clients are told. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// When appended batches are forced to the disk.
    pub fsync: FsyncPolicy,
    /// Hard limit of the log of one partition, over what the topic's own `retention.bytes` says. The oldest
    /// segments are deleted to keep it, read or not.
    pub partition_bytes_max: u64,
    /// Size at which a segment is closed, for topics without `segment.bytes`. Never more than half of
    /// `partition_bytes_max`.
    pub segment_bytes: u64,
    /// Largest request that is read; a longer one closes its connection.
    pub request_bytes_max: u32,
    /// Connections served at the same time; further ones are closed at once.
    pub connections_max: usize,
    /// How often `retention.ms` and `retention.bytes` are applied, apart from when a segment is full.
    pub retention_check_interval: Duration,
    /// The wall clock, in milliseconds since 1970 UTC. Only `retention.ms` uses it.
    pub now: fn() -> i64,
}

impl BrokerConfig {
    /// The defaults: a free port on loopback, fsync each second, 8 GiB a partition.
    pub fn new(dir: impl Into<PathBuf>, now: fn() -> i64) -> Self {
        Self {
            dir: dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            fsync: FsyncPolicy::Interval(Duration::from_secs(1)),
            partition_bytes_max: 8 << 30,
            segment_bytes: 64 << 20,
            request_bytes_max: 40 << 20,
            connections_max: 256,
            retention_check_interval: Duration::from_secs(30),
            now,
        }
    }

    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        let problem = if self.partition_bytes_max < 4096 {
            "partition_bytes_max must be at least 4096"
        } else if self.segment_bytes < 1024 {
            "segment_bytes must be at least 1024"
        } else if self.request_bytes_max < 4096 || self.request_bytes_max > (1 << 30) {
            "request_bytes_max must be between 4 KiB and 1 GiB"
        } else if self.listen.ip().is_unspecified() {
            "listen must be an address that clients can be told, not 0.0.0.0 or [::]"
        } else if self.connections_max == 0 {
            "connections_max must be at least 1"
        } else if self.retention_check_interval.is_zero()
            || self.fsync == FsyncPolicy::Interval(Duration::ZERO)
        {
            "an interval must be longer than zero; for fsync at each batch use FsyncPolicy::EveryBatch"
        } else {
            return Ok(());
        };
        Err(BrokerError::Config { problem })
    }
}
