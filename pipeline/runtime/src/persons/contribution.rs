//! What a shard brings to an epoch.

use std::collections::BTreeMap;

use rettidig_model::persons::Parameters;
use serde::{Deserialize, Serialize};

use crate::manifest::{Counts, Positions};
use crate::store::FileEntry;

/// Files and positions, nothing in memory: whoever has it and the storage can commit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// What the cells were evaluated with.
    pub with: Parameters,
    /// The cells are not differences but the cells themselves, made with another model than before.
    pub redefined: bool,
    /// Where the partitions stand after it.
    pub positions: Positions,
    /// New files of buckets; `None` for a bucket without rows.
    pub buckets: BTreeMap<usize, Option<FileEntry>>,
    /// The file of the new rows that are in no bucket file.
    pub tail: Option<FileEntry>,
    /// What is added to the cells, by measure.
    pub cells: BTreeMap<String, FileEntry>,
    /// Next changes of persons.
    pub wakes: Option<FileEntry>,
    /// What was counted.
    pub counts: Counts,
    /// Persons evaluated.
    pub persons: u64,
}
