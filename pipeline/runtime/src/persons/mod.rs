//! Persons: from new rows to changed cells, exactly.
//!
//! A batch names the persons it touches; so does a new as-of day, and so do delivered wages. For them the histories are
//! read as they were and as they are, both are evaluated with the same SQL, and the difference goes into the cells
//! ([`Shard::change`]). A backlog, or a batch that is large beside the log, recomputes whole buckets instead
//! ([`bulk`]). Nothing of a change is visible before the epoch that carries it is committed.
//!
//! Two parts share the work. A [`Shard`] knows the histories of the persons of some buckets and turns what comes into a
//! [`Contribution`]: files and positions. The [`State`] knows the cells of everybody and takes contributions of any number
//! of shards into an epoch. In one process there is one shard of all buckets; several workers have one each.

mod audit;
mod bulk;
mod cells;
mod change;
mod contribution;
mod file;
mod log;
mod owned;
mod shard;
mod state;
mod tail;
mod wakes;
mod whole;

use std::collections::BTreeMap;

use rettidig_model::persons::Parameters;
use serde::{Deserialize, Serialize};

pub use audit::{Audit, AuditReport};
pub use bulk::Spill;
pub use cells::CellStore;
pub use change::PersonChange;
pub use contribution::Contribution;
pub(crate) use file::index_of;
pub use log::{LogChange, PersonLog};
pub use owned::Owned;
pub(crate) use shard::note_positions;
pub use shard::{Accepted, Misplaced, Shard, ShardOptions};
pub use state::{Added, State, Written};
pub use tail::{BucketEntry, LogFiles, TailEntry};
pub use wakes::Wakes;
pub(crate) use whole::cells_of;

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::store::{FileEntry, Store};

/// Where one way of working ends and another begins. None of them changes a result; tests make them small.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Persons evaluated together.
    pub chunk_persons: usize,
    /// New rows beyond which a batch recomputes buckets, if they are also many beside the log.
    pub bulk_rows: u64,
    /// Share of the log (one in so many rows) beyond which they are.
    pub bulk_share: u64,
    /// New rows kept in memory before they are spilled.
    pub spill_rows: usize,
    /// Rows of the tail beyond which buckets are compacted.
    pub tail_rows: usize,
    /// Small tail files beyond which they are merged into one.
    pub tail_files: usize,
    /// Rows that one step of the auditor evaluates, or one bucket if it has more.
    pub audit_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chunk_persons: 2_048,
            bulk_rows: 200_000,
            bulk_share: 8,
            spill_rows: 2_000_000,
            tail_rows: 2_000_000,
            tail_files: 32,
            audit_rows: 20_000,
        }
    }
}

/// The state of the persons as a manifest names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonsEntry {
    /// File with the entries of all buckets; `None` if nothing is settled yet.
    pub buckets: Option<FileEntry>,
    /// Tail files.
    pub tail: Vec<TailEntry>,
    /// Files of the cells by measure; their rows add up.
    pub cells: BTreeMap<String, Vec<FileEntry>>,
    /// Files of the next changes; the latest row of a person holds.
    pub wakes: Vec<FileEntry>,
    /// Newest month whose wages are delivered, by municipality.
    pub income_delivered: BTreeMap<i32, i32>,
    /// Rows of the log.
    pub rows: u64,
    /// When the persons of each partition changed.
    #[serde(default)]
    pub changed: Changed,
}

impl PersonsEntry {
    /// The files of the log.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the list of the buckets is gone or damaged.
    pub async fn log_files(&self, store: &Store) -> Result<LogFiles, RuntimeError> {
        let buckets = match &self.buckets {
            Some(file) => {
                let attempt = format!("opening {}", file.path);
                let stop = |cause: String| {
                    RuntimeError::stop(&attempt, cause, "restore the data folder from a copy")
                };
                let bytes =
                    store.get(&file.path).await?.ok_or_else(|| stop("the file is not there".to_owned()))?;
                serde_json::from_slice(&bytes).map_err(|error| stop(error.to_string()))?
            }
            None => LogFiles::empty().buckets,
        };
        Ok(LogFiles { buckets, tail: self.tail.clone() })
    }
}

/// When the state of the persons changed: what was computed from an older state is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The newest epoch in which one process changed all of them.
    pub whole: u64,
    /// How many partitions the topics about persons had then; 0 as long as one process does all.
    pub partition_count: i32,
    /// By partition of the person topics: the newest epoch in which a worker changed it.
    pub partitions: BTreeMap<i32, ChangedPartition>,
}

/// The newest change of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPartition {
    /// The epoch.
    pub epoch: u64,
    /// Id of the proposal that brought it.
    pub proposal: String,
}

impl Changed {
    /// The newest epoch in which the persons of a partition changed.
    pub fn epoch_of(&self, partition: i32) -> u64 {
        self.partitions.get(&partition).map_or(0, |changed| changed.epoch).max(self.whole)
    }
}

/// What the cells of an epoch were evaluated with.
pub fn parameters_of(manifest: &Manifest) -> Parameters {
    Parameters { as_of: manifest.as_of, income_delivered: manifest.persons.income_delivered.clone() }
}
