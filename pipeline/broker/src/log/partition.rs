//! One partition: a run of segments, the last of which is appended to. Guarantees: offsets have no gaps; a
//! batch is readable only once it is written completely; a failed write leaves nothing behind; a reader
//! that waits is woken by the append itself. The log never grows beyond its limit: the oldest segments go,
//! read or not. Sizes are bytes, times are milliseconds.

use super::batch::{self, BatchFault, BatchHeader};
use super::files;
use super::recovery::{self, Recovered};
use super::segment::{self, Segment};
use crate::error::BrokerError;
use crate::producers::{Producers, Verdict};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;

/// What bounds a partition; from the topic's configuration and the broker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub segment_bytes: u64,
    /// Hard limit of the whole log.
    pub log_bytes_max: u64,
    /// `retention.bytes`; -1 for none.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 for none.
    pub retention_ms: i64,
    /// `max.message.bytes`: of a batch as sent, compressed.
    pub batch_bytes_max: usize,
    /// Force each batch to disk before it is acknowledged.
    pub sync_each_batch: bool,
}

/// A batch that was written, now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    pub log_start: i64,
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("the batch is refused: {0}")]
    Fault(BatchFault),
    #[error("there must be one batch and nothing else")]
    NotOneBatch,
    #[error("the batch has {bytes} bytes, max.message.bytes is {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("the sequence is refused: {0:?}")]
    Sequence(Verdict),
    #[error("the partition was deleted")]
    Deleted,
    #[error("could not append to {}: free space on that disk; the producer may send again", path.display())]
    Storage { path: PathBuf, source: io::Error },
}

/// Why nothing can be read at an offset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("offset outside {start}..={end}")]
    OutOfRange { start: i64, end: i64 },
    #[error("the partition was deleted")]
    Deleted,
    #[error("could not read {}", path.display())]
    Storage { path: PathBuf, source: io::Error },
}

/// The first and the next offset of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub start: i64,
    pub end: i64,
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    dir: PathBuf,
    limits: Limits,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    sealed: VecDeque<Segment>,
    active: Segment,
    file: Arc<File>,
    producers: Producers,
    waiters: Vec<Weak<Notify>>,
    unsynced: bool,
    deleted: bool,
}

impl Log {
    fn bounds(&self) -> Bounds {
        Bounds {
            start: self.sealed.front().unwrap_or(&self.active).base_offset,
            end: self.active.next_offset,
        }
    }

    fn bytes(&self) -> u64 {
        self.sealed.iter().map(|segment| segment.bytes).sum::<u64>() + self.active.bytes
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.sealed.iter().chain([&self.active])
    }

    /// The file of a segment. Opened under the lock, so that retention may delete it meanwhile.
    fn open(&self, dir: &Path, segment: &Segment) -> Result<(PathBuf, Arc<File>), ReadError> {
        let path = segment::path(dir, segment.base_offset, "log");
        if segment.base_offset == self.active.base_offset {
            return Ok((path, Arc::clone(&self.file)));
        }
        match File::open(&path) {
            Ok(file) => Ok((path, Arc::new(file))),
            Err(source) => Err(ReadError::Storage { path, source }),
        }
    }

    fn wake(&mut self) {
        for waiter in self.waiters.drain(..).filter_map(|waiter| waiter.upgrade()) {
            waiter.notify_one();
        }
    }
}

impl Partition {
    /// Opens the partition in `dir`, recovering what a crash left.
    pub(crate) fn open(dir: PathBuf, limits: Limits) -> Result<Self, BrokerError> {
        let Recovered { sealed, active, file, producers } = recovery::recover(&dir)?;
        let log = Log {
            sealed,
            active,
            file: Arc::new(file),
            producers,
            waiters: Vec::new(),
            unsynced: false,
            deleted: false,
        };
        Ok(Self { dir, limits, log: Mutex::new(log) })
    }

    /// A panic while the lock is held cannot leave the log half changed: files are written first.
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends one batch and wakes its readers.
    pub(crate) fn append(&self, batch: &[u8]) -> Result<Appended, AppendError> {
        let bytes_max = self.limits.batch_bytes_max;
        if batch.len() > bytes_max {
            return Err(AppendError::TooLarge { bytes: batch.len(), bytes_max });
        }
        let mut header = BatchHeader::verify(batch).map_err(AppendError::Fault)?;
        if header.bytes != batch.len() {
            return Err(AppendError::NotOneBatch);
        }
        let mut placed = batch.to_vec();
        let mut log = self.lock();
        if log.deleted {
            return Err(AppendError::Deleted);
        }
        match log.producers.judge(&header) {
            Verdict::Append => {}
            Verdict::Duplicate(base_offset) => {
                return Ok(Appended { base_offset, log_start: log.bounds().start });
            }
            refused => return Err(AppendError::Sequence(refused)),
        }
        if log.active.bytes > 0 && log.active.bytes + placed.len() as u64 > self.limits.segment_bytes {
            self.roll(&mut log).map_err(|source| self.storage(&log, source))?;
        }
        header.base_offset = log.active.next_offset;
        batch::place(&mut placed, header.base_offset);
        if let Err(source) = self.write(&log, &placed) {
            // What was written of it is cut away. If even that fails, the next append overwrites it, and a
            // start in between cuts it as a torn write.
            if let Err(error) = log.file.set_len(log.active.bytes) {
                tracing::warn!(dir = %self.dir.display(), %error, "could not cut away a failed write");
            }
            return Err(self.storage(&log, source));
        }
        log.unsynced = !self.limits.sync_each_batch;
        log.active.extend(&header);
        log.producers.note(&header);
        log.wake();
        Ok(Appended { base_offset: header.base_offset, log_start: log.bounds().start })
    }

    fn write(&self, log: &Log, batch: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&*log.file, batch, log.active.bytes)?;
        if self.limits.sync_each_batch { log.file.sync_data() } else { Ok(()) }
    }

    fn storage(&self, log: &Log, source: io::Error) -> AppendError {
        AppendError::Storage { path: segment::path(&self.dir, log.active.base_offset, "log"), source }
    }

    /// Closes the active segment and begins the next. Each step may be the last before a crash.
    fn roll(&self, log: &mut Log) -> io::Result<()> {
        let base = log.active.next_offset;
        log.file.sync_data()?;
        log.active.save(&self.dir)?;
        files::write_json(&segment::path(&self.dir, base, "producers"), &log.producers)?;
        let file = segment::open(&self.dir, base)?;
        files::sync_dir(&self.dir)?;
        log.file = Arc::new(file);
        log.unsynced = false;
        let full = std::mem::replace(&mut log.active, Segment::empty(base));
        log.sealed.push_back(full);
        self.keep_size(log)
    }

    /// Deletes the oldest segments until the log, with its active segment full, is within its limits.
    fn keep_size(&self, log: &mut Log) -> io::Result<()> {
        let room = self.limits.segment_bytes.saturating_sub(log.active.bytes);
        while log.bytes() + room > self.limits.log_bytes_max && self.drop_oldest(log, "log size limit")? {}
        // Kafka keeps at least `retention.bytes`: a segment goes when the rest is still that much.
        if let Ok(keep) = u64::try_from(self.limits.retention_bytes) {
            while log.sealed.front().is_some_and(|oldest| log.bytes() - oldest.bytes >= keep)
                && self.drop_oldest(log, "retention.bytes")?
            {}
        }
        Ok(())
    }

    fn drop_oldest(&self, log: &mut Log, reason: &str) -> io::Result<bool> {
        let Some(oldest) = log.sealed.front() else { return Ok(false) };
        let log_path = segment::path(&self.dir, oldest.base_offset, "log");
        // The data first: without it the rest is ignored at start. Oldest first: no gap after a crash.
        fs::remove_file(&log_path)?;
        for extension in ["index", "producers"] {
            match fs::remove_file(segment::path(&self.dir, oldest.base_offset, extension)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        tracing::info!(file = %log_path.display(), next_offset = oldest.next_offset, reason, "deleted a segment");
        log.sealed.pop_front();
        Ok(true)
    }

    /// Applies `retention.ms` and the size limits. A log whose messages are all too old becomes empty.
    pub(crate) fn apply_retention(&self, now_ms: i64) -> io::Result<()> {
        let mut log = self.lock();
        if log.deleted {
            return Ok(());
        }
        if let Ok(retention_ms) = u64::try_from(self.limits.retention_ms) {
            let oldest_kept = now_ms.saturating_sub_unsigned(retention_ms);
            // Messages without a timestamp (-1) have no age.
            let old = |segment: &Segment| (0..oldest_kept).contains(&segment.timestamp_max);
            while log.sealed.front().is_some_and(old) && self.drop_oldest(&mut log, "retention.ms")? {}
            if log.sealed.is_empty() && old(&log.active) {
                self.roll(&mut log)?;
                while log.sealed.front().is_some_and(old) && self.drop_oldest(&mut log, "retention.ms")? {}
            }
        }
        self.keep_size(&mut log)
    }

    /// Whole batches from `offset` on, at least one if there is one, else empty.
    pub(crate) fn read(&self, offset: i64, bytes_max: usize) -> Result<(Bytes, Bounds), ReadError> {
        let (bounds, span, (path, file)) = {
            let log = self.lock();
            if log.deleted {
                return Err(ReadError::Deleted);
            }
            let bounds = log.bounds();
            if offset < bounds.start || offset > bounds.end {
                return Err(ReadError::OutOfRange { start: bounds.start, end: bounds.end });
            }
            let Some(segment) = log.segments().find(|segment| segment.next_offset > offset) else {
                return Ok((Bytes::new(), bounds));
            };
            (bounds, segment.span_of_offset(offset), log.open(&self.dir, segment)?)
        };
        match span.read(&file, offset, bytes_max) {
            Ok(batches) => Ok((batches, bounds)),
            Err(source) => Err(ReadError::Storage { path, source }),
        }
    }

    /// Bytes that a reader at `offset` has before it; `None` when reading there is an error.
    pub(crate) fn bytes_from(&self, offset: i64) -> Option<u64> {
        let log = self.lock();
        let bounds = log.bounds();
        if log.deleted || offset < bounds.start || offset > bounds.end {
            return None;
        }
        Some(log.segments().map(|segment| segment.bytes_from(offset)).sum())
    }

    /// Has `waiter` notified by the next append or by deletion.
    pub(crate) fn wake_on_change(&self, waiter: &Arc<Notify>) {
        let mut log = self.lock();
        let known = Arc::as_ptr(waiter);
        log.waiters.retain(|other| other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), known));
        log.waiters.push(Arc::downgrade(waiter));
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.lock().bounds()
    }

    /// Offset and timestamp of the first message at or after `timestamp`.
    pub(crate) fn find_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, ReadError> {
        let (span, (path, file)) = {
            let log = self.lock();
            let Some(segment) = log.segments().find(|segment| segment.timestamp_max >= timestamp) else {
                return Ok(None);
            };
            (segment.span_of_timestamp(timestamp), log.open(&self.dir, segment)?)
        };
        span.find_timestamp(&file, timestamp).map_err(|source| ReadError::Storage { path, source })
    }

    /// Forces what was appended to disk.
    pub(crate) fn sync(&self) -> Result<(), BrokerError> {
        let (file, base) = {
            let mut log = self.lock();
            if !std::mem::take(&mut log.unsynced) || log.deleted {
                return Ok(());
            }
            (Arc::clone(&log.file), log.active.base_offset)
        };
        file.sync_data().map_err(|source| {
            self.lock().unsynced = true;
            BrokerError::io("sync", &segment::path(&self.dir, base, "log"))(source)
        })
    }

    /// From now on nothing is read or written; waiting readers find out at once.
    pub(crate) fn mark_deleted(&self) {
        let mut log = self.lock();
        log.deleted = true;
        log.wake();
    }

    /// Puts another file under the active segment.
    #[cfg(test)]
    pub(crate) fn replace_file(&self, file: File) {
        self.lock().file = Arc::new(file);
    }
}
