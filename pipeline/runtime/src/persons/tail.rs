//! Which files the person log consists of, as a manifest names them: one a bucket, and those of the tail.
//!
//! Every epoch may add tail files, one a worker. Rows of a tail file that are in their bucket's file already are told by
//! the epoch up to which the bucket is settled; a file of which nothing is left goes, and small ones are merged.

use std::collections::BTreeMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use rettidig_event::person::{self, BUCKETS, PersonId, bucket_of};
use rettidig_model::persons::unique;
use serde::{Deserialize, Serialize};

use super::file::{encode, person_at};
use crate::RuntimeError;
use crate::store::{FileEntry, Store};

/// Folder of the person log.
const FOLDER: &str = "log/persons";

/// Rows up to which a tail file is small.
const SMALL_FILE_ROWS: u64 = 100_000;

/// A bucket as the manifest names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEntry {
    /// Its file; `None` if it holds nothing yet.
    pub file: Option<FileEntry>,
    /// Tail rows of epochs up to this one are in the file.
    pub through: u64,
}

/// A tail file as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailEntry {
    /// The file.
    pub file: FileEntry,
    /// The epoch that its rows belong to.
    pub epoch: u64,
}

/// The files of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFiles {
    /// One entry a bucket.
    pub buckets: Vec<BucketEntry>,
    /// The tail, by epoch.
    pub tail: Vec<TailEntry>,
}

/// The rows of some buckets.
pub(super) fn rows_in(
    rows: &RecordBatch,
    is_wanted: &dyn Fn(usize) -> bool,
) -> Result<RecordBatch, RuntimeError> {
    let keep: Vec<u32> = (0..rows.num_rows())
        .zip(0_u32..)
        .filter(|(row, _)| is_wanted(bucket_of(&person_at(rows, *row))))
        .map(|(_, number)| number)
        .collect();
    if keep.len() == rows.num_rows() {
        return Ok(rows.clone());
    }
    Ok(take_record_batch(rows, &UInt32Array::from(keep))?)
}

/// Writes a file of the log.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails.
pub(super) async fn put(
    store: &Store,
    stem: &str,
    rows: &RecordBatch,
    index: Option<&[(PersonId, u32)]>,
) -> Result<FileEntry, RuntimeError> {
    store.put_immutable(FOLDER, stem, encode(rows, index)?, rows.num_rows() as u64).await
}

impl LogFiles {
    /// Of an empty log.
    pub fn empty() -> Self {
        Self { buckets: vec![BucketEntry::default(); BUCKETS], tail: Vec::new() }
    }

    /// Takes over what one worker wrote for an epoch. Whoever settled a bucket knew all its rows of the epochs before.
    pub fn take(
        &mut self,
        epoch: u64,
        buckets: &BTreeMap<usize, Option<FileEntry>>,
        tail: Option<&FileEntry>,
    ) {
        for (bucket, file) in buckets {
            self.buckets[*bucket] = BucketEntry { file: file.clone(), through: epoch - 1 };
        }
        self.tail.extend(tail.map(|file| TailEntry { file: file.clone(), epoch }));
    }

    /// Lets go of tail files of which all is settled, and merges the small ones if they are more than `files_max`.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn tidy(&mut self, store: &Store, files_max: usize) -> Result<(), RuntimeError> {
        let oldest = self.buckets.iter().map(|bucket| bucket.through).min().unwrap_or(0);
        self.tail.retain(|entry| entry.epoch > oldest);
        let is_small = |entry: &TailEntry| entry.file.rows <= SMALL_FILE_ROWS;
        if self.tail.iter().filter(|entry| is_small(entry)).count() <= files_max {
            return Ok(());
        }
        let (small, mut kept): (Vec<_>, Vec<_>) = self.tail.iter().cloned().partition(is_small);
        let mut batches = Vec::with_capacity(small.len());
        for entry in &small {
            let rows = store.get_parquet(&entry.file, person::schema()).await?;
            batches.push(rows_in(&rows, &|bucket| self.buckets[bucket].through < entry.epoch)?);
        }
        let rows = concat_batches(&person::schema(), &batches)?;
        if rows.num_rows() > 0 {
            let rows = take_record_batch(&rows, &UInt32Array::from(unique(&rows).order))?;
            let file = put(store, "tail", &rows, None).await?;
            // What is left of them is in no bucket file yet, so the newest epoch of them fits all.
            kept.push(TailEntry { file, epoch: small.last().map_or(0, |entry| entry.epoch) });
        }
        kept.sort_by_key(|entry| entry.epoch);
        self.tail = kept;
        Ok(())
    }
}
