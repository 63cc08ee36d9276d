//! The person log: every accepted event about persons, found by person.
//!
//! 1,024 bucket files hold what is settled, sorted by person; the tail holds what came since, in memory and in one small
//! file an epoch. A person's history is the rows of the bucket file, then those of the tail. Compaction moves a bucket's
//! tail rows into its file, a few buckets an epoch, so the tail stays bounded; which rows of a tail file are in a bucket
//! file already is told by the epoch up to which the bucket is settled.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use rettidig_event::person::{self, BUCKETS, PersonId, bucket_of};
use rettidig_model::persons::unique;
use serde::{Deserialize, Serialize};

use super::Limits;
use super::file::{Opened, encode, index_of, person_at};
use crate::RuntimeError;
use crate::store::{FileEntry, Store, sha256_hex};

/// Rows up to which a tail file is small.
const SMALL_FILE_ROWS: u64 = 100_000;

/// Buckets that one commit compacts at most.
const COMPACT_BUCKETS: usize = 32;

/// A bucket as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Rows of one epoch, in memory until the last bucket that has some is compacted.
#[derive(Debug, Clone)]
struct TailPart {
    rows: RecordBatch,
    /// Rows that are in no bucket file yet.
    left: u32,
}

/// Where a person's rows are in a part of the tail.
#[derive(Debug, Clone, Copy)]
struct Place {
    part: u64,
    end: u32,
    count: u32,
}

/// The log of one data folder.
#[derive(Debug)]
pub struct PersonLog {
    store: Store,
    limits: Limits,
    buckets: Vec<BucketEntry>,
    opened: Mutex<HashMap<String, Arc<Opened>>>,
    tail_files: Vec<TailEntry>,
    /// Parts of the tail by number, in the order of arrival.
    tail: BTreeMap<u64, TailPart>,
    next_part: u64,
    /// By bucket: where the rows of each person are in the tail.
    places: Vec<HashMap<PersonId, Vec<Place>>>,
}

/// A change of the log that is written but not yet committed.
#[derive(Debug)]
pub struct LogChange {
    buckets: BTreeMap<usize, BucketEntry>,
    tail_files: Vec<TailEntry>,
    added: Option<RecordBatch>,
}

impl LogChange {
    /// The tail files after the change.
    pub fn tail_files(&self) -> &[TailEntry] {
        &self.tail_files
    }
}

fn settled(rows: &RecordBatch, buckets: &[BucketEntry], epoch: u64) -> Result<RecordBatch, RuntimeError> {
    let keep: Vec<u32> = (0..rows.num_rows())
        .zip(0_u32..)
        .filter(|(row, _)| buckets[bucket_of(&person_at(rows, *row))].through < epoch)
        .map(|(_, number)| number)
        .collect();
    if keep.len() == rows.num_rows() {
        return Ok(rows.clone());
    }
    Ok(take_record_batch(rows, &UInt32Array::from(keep))?)
}

impl PersonLog {
    /// Opens the log that a manifest names.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        store: Store,
        limits: Limits,
        buckets: Vec<BucketEntry>,
        tail_files: Vec<TailEntry>,
    ) -> Result<Self, RuntimeError> {
        let mut log = Self { buckets, tail_files: tail_files.clone(), ..Self::empty(store, limits) };
        for entry in &tail_files {
            let rows = log.store.get_parquet(&entry.file, person::schema()).await?;
            let rows = settled(&rows, &log.buckets, entry.epoch)?;
            log.remember(rows);
        }
        Ok(log)
    }

    /// A log without rows.
    pub fn empty(store: Store, limits: Limits) -> Self {
        Self {
            store,
            limits,
            buckets: vec![BucketEntry { file: None, through: 0 }; BUCKETS],
            opened: Mutex::new(HashMap::new()),
            tail_files: Vec::new(),
            tail: BTreeMap::new(),
            next_part: 0,
            places: vec![HashMap::new(); BUCKETS],
        }
    }

    /// The buckets as a manifest names them.
    pub fn buckets(&self) -> &[BucketEntry] {
        &self.buckets
    }

    /// Rows in memory.
    pub fn tail_rows(&self) -> usize {
        self.tail.values().map(|part| part.left as usize).sum()
    }

    /// Rows in bucket files and tail.
    pub fn rows(&self) -> u64 {
        let files = self.buckets.iter().filter_map(|bucket| bucket.file.as_ref());
        files.map(|file| file.rows).sum::<u64>() + self.tail_rows() as u64
    }

    /// Keeps rows, sorted by person, in memory.
    fn remember(&mut self, rows: RecordBatch) {
        let part = self.next_part;
        let mut start = 0;
        for (person, end) in index_of(&rows) {
            let places = self.places[bucket_of(&person)].entry(person).or_default();
            places.push(Place { part, end, count: end - start });
            start = end;
        }
        if start > 0 {
            self.tail.insert(part, TailPart { rows, left: start });
            self.next_part += 1;
        }
    }

    /// Forgets the tail rows of a bucket, which are in its file now.
    fn forget(&mut self, bucket: usize) {
        for place in std::mem::take(&mut self.places[bucket]).into_values().flatten() {
            if let Some(part) = self.tail.get_mut(&place.part) {
                part.left -= place.count;
                if part.left == 0 {
                    self.tail.remove(&place.part);
                }
            }
        }
    }

    /// Rows of the tail at some places, in the order of arrival.
    fn tail_at<'p>(&self, places: impl Iterator<Item = &'p Place>) -> Result<Vec<RecordBatch>, RuntimeError> {
        let mut by_part: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for place in places {
            by_part.entry(place.part).or_default().extend(place.end - place.count..place.end);
        }
        let mut batches = Vec::with_capacity(by_part.len());
        for (part, rows) in by_part {
            if let Some(part) = self.tail.get(&part) {
                batches.push(take_record_batch(&part.rows, &UInt32Array::from(rows))?);
            }
        }
        Ok(batches)
    }

    /// The whole histories of some persons, who come sorted and once; of each identity the first to arrive comes first.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn histories(&self, persons: &[PersonId]) -> Result<RecordBatch, RuntimeError> {
        let mut batches = Vec::new();
        for of_bucket in persons.chunk_by(|a, b| bucket_of(a) == bucket_of(b)) {
            if let Some(file) = &self.buckets[bucket_of(&of_bucket[0])].file {
                batches.push(self.read(file, Some(of_bucket)).await?);
            }
        }
        let places = persons.iter().filter_map(|person| self.places[bucket_of(person)].get(person)).flatten();
        batches.extend(self.tail_at(places)?);
        Ok(concat_batches(&person::schema(), &batches)?)
    }

    /// All rows of a bucket; of each identity the first to arrive comes first.
    ///
    /// # Errors
    /// As [`PersonLog::histories`].
    pub async fn bucket(&self, bucket: usize) -> Result<RecordBatch, RuntimeError> {
        let mut batches = Vec::new();
        if let Some(file) = &self.buckets[bucket].file {
            batches.push(self.read(file, None).await?);
        }
        batches.extend(self.tail_at(self.places[bucket].values().flatten())?);
        Ok(concat_batches(&person::schema(), &batches)?)
    }

    async fn read(
        &self,
        file: &FileEntry,
        persons: Option<&[PersonId]>,
    ) -> Result<RecordBatch, RuntimeError> {
        let attempt = format!("opening {}", file.path);
        let remedy = "restore the data folder from a copy, or start with an empty one and let the topics be read again";
        let stop = |cause: String| RuntimeError::stop(&attempt, cause, remedy);
        let bytes =
            self.store.get(&file.path).await?.ok_or_else(|| stop("the file is not there".to_owned()))?;
        let known = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&file.path).cloned();
        let opened = match known {
            Some(opened) => opened,
            None => {
                // Once per file and process: the bytes are the ones that were written.
                if sha256_hex(&bytes) != file.sha256 {
                    return Err(stop("its checksum is not the one in the manifest".to_owned()));
                }
                let opened = Arc::new(Opened::open(&bytes).map_err(stop)?);
                let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(file.path.clone(), Arc::clone(&opened));
                opened
            }
        };
        let ranges = match persons {
            Some(persons) => opened.ranges(persons),
            None => {
                let all = 0..usize::try_from(file.rows).unwrap_or(0);
                vec![all]
            }
        };
        if ranges.is_empty() {
            return Ok(RecordBatch::new_empty(person::schema()));
        }
        opened.read(bytes, &ranges).map_err(stop)
    }

    /// Writes the rows of an epoch, sorted by person, as its tail file, merges small tail files and compacts what is due.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn write(&self, epoch: u64, added: RecordBatch) -> Result<LogChange, RuntimeError> {
        let mut change =
            LogChange { buckets: BTreeMap::new(), tail_files: self.tail_files.clone(), added: None };
        if added.num_rows() > 0 {
            let file = self.put("log/persons", "tail", &added, None).await?;
            change.tail_files.push(TailEntry { file, epoch });
            change.added = Some(added);
        }
        if self.tail_rows() > self.limits.tail_rows {
            // The ones that were compacted longest ago, so that old tail files and parts become free.
            let mut oldest: Vec<usize> = (0..BUCKETS).collect();
            oldest.sort_by_key(|bucket| self.buckets[*bucket].through);
            for bucket in oldest.into_iter().take(COMPACT_BUCKETS) {
                // The rows of this epoch stay in the tail: the bucket is settled up to the one before.
                let rows = self.bucket(bucket).await?;
                change.buckets.insert(bucket, self.settle(bucket, &rows, epoch - 1).await?);
            }
        }
        let buckets = self.buckets_after(&change);
        let oldest = buckets.iter().map(|bucket| bucket.through).min().unwrap_or(0);
        change.tail_files.retain(|entry| entry.epoch > oldest);
        let small = |entry: &&TailEntry| entry.file.rows <= SMALL_FILE_ROWS;
        if change.tail_files.iter().filter(small).count() > self.limits.tail_files {
            self.merge_small(&mut change, &buckets).await?;
        }
        Ok(change)
    }

    /// Merges the small tail files. What is left of them is in no bucket file yet, so the newest epoch of them fits all.
    async fn merge_small(&self, change: &mut LogChange, buckets: &[BucketEntry]) -> Result<(), RuntimeError> {
        let (small, mut kept): (Vec<_>, Vec<_>) =
            change.tail_files.drain(..).partition(|entry| entry.file.rows <= SMALL_FILE_ROWS);
        let mut batches = Vec::with_capacity(small.len());
        for entry in &small {
            let rows = self.store.get_parquet(&entry.file, person::schema()).await?;
            batches.push(settled(&rows, buckets, entry.epoch)?);
        }
        let rows = concat_batches(&person::schema(), &batches)?;
        let rows = take_record_batch(&rows, &UInt32Array::from(unique(&rows).order))?;
        let file = self.put("log/persons", "tail", &rows, None).await?;
        kept.push(TailEntry { file, epoch: small.last().map_or(0, |entry| entry.epoch) });
        kept.sort_by_key(|entry| entry.epoch);
        change.tail_files = kept;
        Ok(())
    }

    /// Writes a bucket's file of all its rows.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn settle(
        &self,
        bucket: usize,
        rows: &RecordBatch,
        through: u64,
    ) -> Result<BucketEntry, RuntimeError> {
        let rows = take_record_batch(rows, &UInt32Array::from(unique(rows).order))?;
        self.settle_sorted(bucket, &rows, through).await
    }

    /// As [`PersonLog::settle`], of rows that are sorted and unique already.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn settle_sorted(
        &self,
        bucket: usize,
        rows: &RecordBatch,
        through: u64,
    ) -> Result<BucketEntry, RuntimeError> {
        if rows.num_rows() == 0 {
            return Ok(BucketEntry { file: None, through });
        }
        let index = index_of(rows);
        let file = self.put("log/persons", &format!("bucket-{bucket:04}"), rows, Some(&index)).await?;
        Ok(BucketEntry { file: Some(file), through })
    }

    async fn put(
        &self,
        folder: &str,
        stem: &str,
        rows: &RecordBatch,
        index: Option<&[(PersonId, u32)]>,
    ) -> Result<FileEntry, RuntimeError> {
        self.store.put_immutable(folder, stem, encode(rows, index)?, rows.num_rows() as u64).await
    }

    /// A change that settles whole buckets and empties the tail: what a bulk load does.
    pub fn replace_all(&self, buckets: BTreeMap<usize, BucketEntry>) -> LogChange {
        LogChange { buckets, tail_files: Vec::new(), added: None }
    }

    /// The buckets after a change.
    pub fn buckets_after(&self, change: &LogChange) -> Vec<BucketEntry> {
        let mut buckets = self.buckets.clone();
        for (bucket, entry) in &change.buckets {
            buckets[*bucket] = entry.clone();
        }
        buckets
    }

    /// Takes over a committed change.
    pub fn install(&mut self, change: LogChange) {
        for (bucket, entry) in change.buckets {
            if let Some(file) = &self.buckets[bucket].file {
                self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&file.path);
            }
            self.buckets[bucket] = entry;
            self.forget(bucket);
        }
        self.tail_files = change.tail_files;
        if let Some(added) = change.added {
            self.remember(added);
        }
    }
}
