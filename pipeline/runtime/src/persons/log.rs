//! The person log: every accepted event about persons, found by person.
//!
//! 1,024 bucket files hold what is settled, sorted by person; the tail holds what came since, in memory and in one small
//! file an epoch. A person's history is the rows of the bucket file, then those of the tail. Compaction moves a bucket's
//! tail rows into its file, a few buckets an epoch, so the tail stays bounded; which rows of a tail file are in a bucket
//! file already is told by the epoch up to which the bucket is settled.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::file::{Opened, index_of};
use super::tail::{BucketEntry, LogFiles, put, rows_in};
use super::{Limits, Owned};
use crate::RuntimeError;
use crate::store::{FileEntry, Store, sha256_hex};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use rettidig_event::person::{self, BUCKETS, PersonId, bucket_of};
use rettidig_model::persons::unique;

/// Buckets that one commit compacts at most.
const COMPACT_BUCKETS: usize = 32;

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
    /// The buckets whose rows are kept; of the others nothing is known.
    owned: Owned,
    opened: Mutex<HashMap<String, Arc<Opened>>>,
    /// Parts of the tail by number, in the order of arrival.
    tail: BTreeMap<u64, TailPart>,
    next_part: u64,
    /// By bucket: where the rows of each person are in the tail.
    places: Vec<HashMap<PersonId, Vec<Place>>>,
}

/// A change of the log that is written but not yet committed.
#[derive(Debug)]
pub struct LogChange {
    /// New files of buckets; `None` for a bucket without rows.
    pub buckets: BTreeMap<usize, Option<FileEntry>>,
    /// The file of the rows that are in no bucket file yet.
    pub tail: Option<FileEntry>,
    added: Option<RecordBatch>,
}

impl PersonLog {
    /// Opens the log of some buckets as a manifest names it.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        store: Store,
        limits: Limits,
        owned: Owned,
        files: &LogFiles,
    ) -> Result<Self, RuntimeError> {
        let mut log = Self { buckets: files.buckets.clone(), ..Self::empty(store, limits, owned) };
        for entry in &files.tail {
            let rows = log.store.get_parquet(&entry.file, person::schema()).await?;
            let is_left = |bucket: usize| log.owned.has(bucket) && log.buckets[bucket].through < entry.epoch;
            let rows = rows_in(&rows, &is_left)?;
            log.remember(rows);
        }
        Ok(log)
    }

    /// A log without rows.
    pub fn empty(store: Store, limits: Limits, owned: Owned) -> Self {
        Self {
            store,
            limits,
            buckets: vec![BucketEntry::default(); BUCKETS],
            owned,
            opened: Mutex::new(HashMap::new()),
            tail: BTreeMap::new(),
            next_part: 0,
            places: vec![HashMap::new(); BUCKETS],
        }
    }

    /// Where one way of working ends and another begins.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where its files are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The buckets whose rows are kept.
    pub fn owned(&self) -> &Owned {
        &self.owned
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
        let files = self.owned.buckets().filter_map(|bucket| self.buckets[bucket].file.as_ref());
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

    /// Writes new rows, sorted by person, as a tail file, and compacts what is due: of some buckets what was known before
    /// these rows goes into their files.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn write(&self, added: RecordBatch) -> Result<LogChange, RuntimeError> {
        let mut change = LogChange { buckets: BTreeMap::new(), tail: None, added: None };
        if added.num_rows() > 0 {
            change.tail = Some(put(&self.store, "tail", &added, None).await?);
            change.added = Some(added);
        }
        if self.tail_rows() > self.limits.tail_rows {
            // The ones that were compacted longest ago, so that old tail files and parts become free.
            let mut oldest: Vec<usize> = self.owned.buckets().collect();
            oldest.sort_by_key(|bucket| self.buckets[*bucket].through);
            for bucket in oldest.into_iter().take(COMPACT_BUCKETS) {
                let rows = self.bucket(bucket).await?;
                let rows = take_record_batch(&rows, &UInt32Array::from(unique(&rows).order))?;
                change.buckets.insert(bucket, self.settle(bucket, &rows).await?);
            }
        }
        Ok(change)
    }

    /// Writes a bucket's file of all its rows, which come sorted and unique.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn settle(&self, bucket: usize, rows: &RecordBatch) -> Result<Option<FileEntry>, RuntimeError> {
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let index = index_of(rows);
        put(&self.store, &format!("bucket-{bucket:04}"), rows, Some(&index)).await.map(Some)
    }

    /// A change that settles whole buckets and leaves nothing in the tail: what a bulk load does.
    pub fn replace_all(buckets: BTreeMap<usize, Option<FileEntry>>) -> LogChange {
        LogChange { buckets, tail: None, added: None }
    }

    /// Takes over a change that was committed as an epoch.
    pub fn install(&mut self, change: LogChange, epoch: u64) {
        for (bucket, file) in change.buckets {
            if let Some(file) = &self.buckets[bucket].file {
                self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&file.path);
            }
            self.buckets[bucket] = BucketEntry { file, through: epoch - 1 };
            self.forget(bucket);
        }
        if let Some(added) = change.added {
            self.remember(added);
        }
    }
}
