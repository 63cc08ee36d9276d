//! Whole buckets at once: for a backlog, a batch that is large beside the log, and a changed definition.
//!
//! A backlog is too large to keep: it is spilled, cut by groups of buckets, and nothing of it is evaluated until its end
//! is reached. Then group by group the rows that are settled and those that are new are brought together, written as
//! bucket files and evaluated once. The epoch that is committed after it stands at the exact positions that were read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use futures::stream::{self, StreamExt, TryStreamExt};
use rettidig_event::person::{self, BUCKETS, bucket_of};
use rettidig_model::persons::Parameters;

use super::change::{Evaluated, THREADS, evaluate_both, take};
use super::file::{bucket_ends, encode, person_at};
use super::{CellStore, PersonChange, PersonLog, Shard};
use crate::RuntimeError;
use crate::store::{FileEntry, Store};

/// Groups of buckets that are brought together in one piece.
const GROUPS: usize = 128;

/// Buckets of a group.
const GROUP_BUCKETS: usize = BUCKETS / GROUPS;

/// Rows that are brought together at least, if there are so many: an evaluation has a cost of its own.
const JOB_ROWS: u64 = 400_000;

/// Rows that wait in files, by group of buckets, in the order of arrival.
#[derive(Debug, Clone)]
pub struct Spill {
    folder: String,
    files: BTreeMap<usize, Vec<FileEntry>>,
    rows: u64,
    runs: u64,
}

impl Spill {
    /// None yet; they will wait in files of this folder.
    pub fn new(folder: &str) -> Self {
        Self { folder: folder.to_owned(), files: BTreeMap::new(), rows: 0, runs: 0 }
    }

    /// Rows that wait.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Puts rows into files.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails: nothing is taken over then.
    pub async fn push(&mut self, store: &Store, rows: &[RecordBatch]) -> Result<(), RuntimeError> {
        let run = self.runs;
        let rows = Arc::new(concat_batches(&person::schema(), rows)?);
        let mut orders: Vec<Vec<u32>> = vec![Vec::new(); GROUPS];
        for (row, number) in (0..rows.num_rows()).zip(0_u32..) {
            orders[bucket_of(&person_at(&rows, row)) / GROUP_BUCKETS].push(number);
        }
        let orders = orders.into_iter().enumerate().filter(|(_, order)| !order.is_empty());
        let written: Vec<(usize, FileEntry)> = stream::iter(orders.map(|(group, order)| {
            let (rows, store, folder) = (Arc::clone(&rows), store.clone(), self.folder.clone());
            let task = tokio::spawn(async move {
                let part = take(&rows, order)?;
                let stem = format!("group-{group:03}-{run:06}");
                store.put_immutable(&folder, &stem, encode(&part, None)?, part.num_rows() as u64).await
            });
            async move { Ok::<_, RuntimeError>((group, joined(task.await)?)) }
        }))
        .buffered(THREADS)
        .boxed()
        .try_collect()
        .await?;
        for (group, file) in written {
            self.files.entry(group).or_default().push(file);
        }
        self.runs += 1;
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    async fn of_group(&self, store: &Store, group: usize) -> Result<Vec<RecordBatch>, RuntimeError> {
        let mut batches = Vec::new();
        for file in self.files.get(&group).into_iter().flatten() {
            batches.push(store.get_parquet(file, person::schema()).await?);
        }
        Ok(batches)
    }

    /// Removes the files.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn clear(&mut self, store: &Store) -> Result<(), RuntimeError> {
        for file in std::mem::take(&mut self.files).into_values().flatten() {
            store.delete(&file.path).await?;
        }
        self.rows = 0;
        Ok(())
    }
}

fn joined<T>(result: Result<Result<T, RuntimeError>, tokio::task::JoinError>) -> Result<T, RuntimeError> {
    result
        .unwrap_or_else(|error| Err(RuntimeError::stop("recomputing buckets", error, "report this as a bug")))
}

/// Some groups: reads, evaluates, writes the bucket files.
async fn groups(
    inputs: Inputs,
    groups: Range<usize>,
    pending: Vec<RecordBatch>,
) -> Result<(Evaluated, Vec<(usize, Option<FileEntry>)>), RuntimeError> {
    let Inputs { log, model, empty, store, spill, before, after } = inputs;
    let buckets = groups.start * GROUP_BUCKETS..groups.end * GROUP_BUCKETS;
    let buckets: Vec<usize> = buckets.filter(|bucket| log.owned().has(*bucket)).collect();
    let mut history = Vec::with_capacity(buckets.len());
    for bucket in &buckets {
        history.push(log.bucket(*bucket).await?);
    }
    let history = concat_batches(&person::schema(), &history)?;
    let mut new = Vec::new();
    for group in groups {
        new.extend(spill.of_group(&store, group).await?);
    }
    new.extend(pending);
    let new = concat_batches(&person::schema(), &new)?;
    let (evaluated, rows) = evaluate_both(model, empty.empty_like()?, history, new, before, after).await?;
    let ends = bucket_ends(&rows);
    let mut entries = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let start = bucket.checked_sub(1).map_or(0, |before| ends[before]) as usize;
        let part = rows.slice(start, ends[bucket] as usize - start);
        entries.push((bucket, log.settle(bucket, &part).await?));
    }
    Ok((evaluated, entries))
}

#[derive(Clone)]
struct Inputs {
    log: Arc<PersonLog>,
    model: Arc<rettidig_model::Model>,
    empty: Arc<CellStore>,
    store: Store,
    spill: Arc<Spill>,
    before: Option<Parameters>,
    after: Parameters,
}

/// Recomputes all buckets with new rows. The change is a difference, or with `redefine` the cells themselves.
pub(super) async fn change(
    shard: &Shard,
    rows: &[RecordBatch],
    spill: &Spill,
    with: Parameters,
    redefine: bool,
) -> Result<PersonChange, RuntimeError> {
    let mut change = shard.nothing(with.clone())?;
    change.redefined = redefine;
    let mut pending: Vec<Vec<RecordBatch>> = vec![Vec::new(); GROUPS];
    for batch in rows {
        let mut orders: Vec<Vec<u32>> = vec![Vec::new(); GROUPS];
        for (row, number) in (0..batch.num_rows()).zip(0_u32..) {
            orders[bucket_of(&person_at(batch, row)) / GROUP_BUCKETS].push(number);
        }
        for (part, order) in pending.iter_mut().zip(orders).filter(|(_, order)| !order.is_empty()) {
            part.push(take(batch, order)?);
        }
    }
    let inputs = Inputs {
        log: Arc::clone(&shard.log),
        model: Arc::clone(&shard.model),
        empty: Arc::new(shard.empty.empty_like()?),
        store: shard.store.clone(),
        spill: Arc::new(spill.clone()),
        before: shard.with.clone().filter(|_| !redefine),
        after: with,
    };
    let mut jobs: Vec<(Range<usize>, Vec<RecordBatch>, u64)> = Vec::new();
    for (group, pending) in pending.into_iter().enumerate() {
        let buckets = &shard.log.buckets()[group * GROUP_BUCKETS..(group + 1) * GROUP_BUCKETS];
        let settled: u64 =
            buckets.iter().filter_map(|bucket| bucket.file.as_ref()).map(|file| file.rows).sum();
        let spilled: u64 = inputs.spill.files.get(&group).into_iter().flatten().map(|file| file.rows).sum();
        let rows = settled + spilled + pending.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        match jobs.last_mut().filter(|(_, _, before)| *before < JOB_ROWS) {
            Some((groups, all, before)) => {
                groups.end = group + 1;
                all.extend(pending);
                *before += rows;
            }
            None => jobs.push((group..group + 1, pending, rows)),
        }
    }
    let mut results = stream::iter(jobs.into_iter().map(|(range, pending, _)| {
        let inputs = inputs.clone();
        // Spawned when polled, not when made: at most THREADS of them are in memory.
        async move { joined(tokio::spawn(groups(inputs, range, pending)).await) }
    }))
    .buffered(THREADS)
    .boxed();
    let mut buckets = BTreeMap::new();
    while let Some((mut evaluated, entries)) = results.try_next().await? {
        buckets.extend(entries);
        change.events += evaluated.added.num_rows() as u64;
        evaluated.added = RecordBatch::new_empty(person::schema());
        change.take(evaluated, false);
    }
    change.bulk = Some(buckets);
    Ok(change)
}
