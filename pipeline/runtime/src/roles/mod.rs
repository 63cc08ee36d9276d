//! Several processes on one data folder: workers evaluate persons, one committer makes the epochs.
//!
//! Kafka shares out the work and elects: the partitions of the payments among the workers, the one partition of the
//! topic of [`proposal`]s among the committers. A worker reads the partitions it was given of all topics about persons from
//! where the newest epoch stands, evaluates, writes files and proposes them; the committer takes proposals into an epoch
//! and announces it. State passes from process to process as files that a manifest names, never otherwise.
//!
//! Whoever is wrong about what is its own does no harm. A proposal names the epoch it was computed from, and is refused if
//! the persons of its partitions have changed since. An epoch is committed by a put that only one can win, and whoever
//! becomes the committer begins with an epoch of a higher term.

pub(crate) mod committer;
pub mod proposal;
pub(crate) mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rettidig_event::Clock;
use rettidig_model::Model;

pub use committer::run_committer;
pub use worker::run_worker;

use crate::kafka::KafkaConfig;
use crate::metrics::Metrics;
use crate::persons::Limits;
use crate::store::Store;
use crate::{EpochReport, RuntimeError};

/// How long to wait after a failure that may pass.
const BACK_OFF: Duration = Duration::from_millis(500);

/// What a process with a role works with.
#[derive(Clone)]
pub struct Setting {
    /// The data folder; the same for all.
    pub store: Store,
    /// The model; the same for all.
    pub model: Arc<Model>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Where one way of working ends and another begins.
    pub limits: Limits,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// A name of this process that stays the same when it is started again.
    pub instance: Option<String>,
    /// Set once the process has its place among those of its role.
    pub joined: Arc<AtomicBool>,
}

/// Told of every epoch that this process had a part in, and of failures that may pass.
pub type Watch<'a> = dyn FnMut(Result<&EpochReport, &RuntimeError>) + Send + 'a;

/// A group that a process can no longer be in.
fn not_a_member(cause: String) -> RuntimeError {
    let remedy = "give each process a name of its own with --instance, then start again";
    RuntimeError::stop("staying in the group", cause, remedy)
}

/// The names of partitions, for people.
fn listed(partitions: &BTreeSet<i32>) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
