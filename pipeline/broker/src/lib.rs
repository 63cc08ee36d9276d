//! Embedded broker that speaks the Kafka protocol: one node, in this process, its data in a folder.
//!
//! **For the demo, for tests and for one small machine. Production is Apache Kafka.** There is no
//! replication, no TLS and no SASL; it listens on loopback unless told otherwise, and whoever reaches the
//! port may do everything.
//!
//! What clients get (checked with librdkafka in `tests/tests/kafka/conformance`): topics with
//! configuration and ids, idempotent produce in every compression, fetch with long polling, offsets by
//! timestamp, consumer groups of the classic protocol, durable committed offsets. What they do not get, and
//! are not told they could: transactions, log compaction, the group protocol of KIP-848, static members,
//! quotas, creation of a topic by use, changing a topic's configuration.
//!
//! Durability: a batch is given to the operating system before it is acknowledged, so it survives kill -9.
//! [`FsyncPolicy`] decides what survives a power cut. A torn tail is cut at the next start, with a warning.
//!
//! Bounds: memory does not grow with the data but for an index of about a thousandth; the disk is bounded by
//! each topic's retention and by [`BrokerConfig::partition_bytes_max`]; requests, connections, partitions,
//! groups and producers have limits, each named where it is enforced.
//!
//! The crate knows nothing of the rest of Rettidig.

mod api;
mod commits;
mod config;
mod error;
mod groups;
mod log;
mod node;
mod producers;
mod server;
#[cfg(test)]
mod server_tests;
mod shape;
mod topics;

pub use config::{BrokerConfig, FsyncPolicy};
pub use error::{BrokerError, BrokerErrorKind};

use node::Node;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::TaskTracker;

/// Where the broker of a folder listens. Means something only while starting another one on the folder gives
/// [`BrokerError::Locked`]; `None` if no broker has served there.
pub fn serving_address(dir: &std::path::Path) -> Option<SocketAddr> {
    node::last_address(dir)
}

/// Threads that serve requests. They are the broker's own, so that its disk never blocks the caller's tasks.
const THREADS: usize = 2;
/// How long open connections may take to end at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// A running broker. Dropping it without [`Broker::shutdown`] ends it like a kill: nothing that was
/// acknowledged is lost, but nothing is forced to disk either.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    tasks: TaskTracker,
    runtime: Option<Runtime>,
}

impl Broker {
    /// Opens the folder, recovers what a crash left, and serves. Blocks for as long as the recovery takes:
    /// the last segment of each partition is read.
    pub fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        config.check()?;
        let lock = node::lock(&config.dir)?;
        let listen = config.listen;
        let unbound = |source| BrokerError::Listen { address: listen, source };
        let socket = std::net::TcpListener::bind(listen).map_err(unbound)?;
        socket.set_nonblocking(true).map_err(unbound)?;
        let address = socket.local_addr().map_err(unbound)?;
        let node = Arc::new(Node::open(config, lock, address)?);
        let tasks = TaskTracker::new();
        // Last, because a runtime must not be dropped where the caller is asynchronous.
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("rettidig-broker")
            .enable_all()
            .build()
            .map_err(|source| BrokerError::Threads { source })?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(socket)
        };
        let listener = match listener {
            Ok(listener) => listener,
            Err(source) => {
                runtime.shutdown_background();
                return Err(unbound(source));
            }
        };
        tasks.spawn_on(server::serve(Arc::clone(&node), listener, tasks.clone()), runtime.handle());
        tasks.spawn_on(watch_groups(Arc::clone(&node)), runtime.handle());
        let retention = node.config.retention_check_interval;
        tasks.spawn_on(repeat(Arc::clone(&node), retention, Node::apply_retention), runtime.handle());
        if let FsyncPolicy::Interval(period) = node.config.fsync {
            tasks.spawn_on(repeat(Arc::clone(&node), period, sync_and_log), runtime.handle());
        }
        tracing::info!(%address, dir = %node.config.dir.display(), cluster_id = node.cluster_id, "broker serves");
        Ok(Self { node, tasks, runtime: Some(runtime) })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.node.address
    }

    /// Ends the connections, forces everything to disk and frees the folder.
    pub async fn shutdown(mut self) -> Result<(), BrokerError> {
        self.node.stop.cancel();
        self.tasks.close();
        let Some(runtime) = self.runtime.take() else { return Ok(()) };
        let (node, tasks) = (Arc::clone(&self.node), self.tasks.clone());
        let end = runtime.spawn(async move {
            if timeout(SHUTDOWN_MAX, tasks.wait()).await.is_err() {
                tracing::warn!(tasks = tasks.len(), "some connections did not end in time");
            }
            node.sync()
        });
        let synced = end
            .await
            .unwrap_or_else(|error| Err(BrokerError::Threads { source: std::io::Error::other(error) }));
        runtime.shutdown_background();
        tracing::info!(dir = %self.node.config.dir.display(), "broker stopped");
        synced
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.node.stop.cancel();
        // Waiting for the threads is not allowed where the caller is asynchronous.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn watch_groups(node: Arc<Node>) {
    node.groups.watch_deadlines(node.stop.clone()).await;
}

fn sync_and_log(node: &Node) {
    if let Err(error) = node.sync() {
        tracing::error!(cause = ?error, "{error}");
    }
}

/// Runs work that blocks on the disk at each interval.
async fn repeat(node: Arc<Node>, period: Duration, work: fn(&Node)) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = node.stop.cancelled() => return,
        }
        let node = Arc::clone(&node);
        if tokio::task::spawn_blocking(move || work(&node)).await.is_err() {
            tracing::error!("background work of the broker panicked");
        }
    }
}
