//! One segment file: whole record batches, one after the other, named by the offset of the first one.
//! In memory there is one index entry for each 32 KiB, so memory is about a thousandth of the data.
//! Beside `<base>.log` lie `<base>.index` once the segment is full (so that a start need not read it) and
//! `<base>.producers` (what idempotent producers had written before it). Guarantee: a read returns whole
//! batches as they came, and nothing beyond what was appended completely.

use super::batch::{BatchFault, BatchHeader, HEADER_BYTES, first_at_or_after};
use super::files;
use crate::error::BrokerError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of log between two index entries.
const INDEX_SPACING_BYTES: u64 = 32 << 10;
/// Bytes read at a time while looking for a batch: a little more than the spacing.
const SEEK_BYTES: usize = 40 << 10;

/// Where a batch begins, and the largest timestamp of the segment before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct IndexEntry {
    offset: i64,
    position: u64,
    timestamp_before: i64,
}

/// What is known of a segment without reading it. Also the content of `<base>.index`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub base_offset: i64,
    /// The offset after the last message.
    pub next_offset: i64,
    /// Bytes of whole batches in the file.
    pub bytes: u64,
    /// Largest timestamp, in milliseconds; -1 when no message has one.
    pub timestamp_max: i64,
    index: Vec<IndexEntry>,
}

/// How far a scan came.
#[derive(Debug)]
pub(crate) struct Scan {
    pub segment: Segment,
    /// Length of the file, in bytes: more than `segment.bytes` when the rest is broken.
    pub file_bytes: u64,
    /// What is wrong with the rest.
    pub fault: Option<BatchFault>,
}

/// `<base>.<extension>` in the folder of a partition.
pub(crate) fn path(dir: &Path, base_offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{extension}"))
}

/// Opens a data file for appending and reading.
pub(crate) fn open(dir: &Path, base_offset: i64) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path(dir, base_offset, "log"))
}

impl Segment {
    pub(crate) fn empty(base_offset: i64) -> Self {
        Self { base_offset, next_offset: base_offset, bytes: 0, timestamp_max: -1, index: Vec::new() }
    }

    /// Notes a batch that now stands at the end of the file.
    pub(crate) fn extend(&mut self, header: &BatchHeader) {
        let indexed = self.index.last().map(|entry| entry.position);
        if indexed.is_none_or(|position| self.bytes - position >= INDEX_SPACING_BYTES) {
            self.index.push(IndexEntry {
                offset: header.base_offset,
                position: self.bytes,
                timestamp_before: self.timestamp_max,
            });
        }
        self.bytes += header.bytes as u64;
        self.next_offset = header.last_offset() + 1;
        self.timestamp_max = self.timestamp_max.max(header.max_timestamp);
    }

    /// Loads what was noted when the segment was full, if it can be read and still fits the file.
    pub(crate) fn load(dir: &Path, base_offset: i64) -> Result<Option<Self>, BrokerError> {
        let log = path(dir, base_offset, "log");
        let file_bytes = log.metadata().map_err(BrokerError::io("look at", &log))?.len();
        let known = match files::read_json::<Self>(&path(dir, base_offset, "index")) {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(cause = ?error, "an index is not readable: reading its segment instead");
                None
            }
        };
        Ok(known.filter(|known| known.bytes == file_bytes && known.base_offset == base_offset))
    }

    /// Notes the segment beside its file, for the next start.
    pub(crate) fn save(&self, dir: &Path) -> io::Result<()> {
        files::write_json(&path(dir, self.base_offset, "index"), self)
    }

    /// Reads the whole file, checking each batch, and stops at the first broken one.
    pub(crate) fn scan(
        dir: &Path,
        base_offset: i64,
        mut batch_seen: impl FnMut(&BatchHeader),
    ) -> io::Result<Scan> {
        let file = File::open(path(dir, base_offset, "log"))?;
        let file_bytes = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut segment = Self::empty(base_offset);
        let mut batch = Vec::new();
        while segment.bytes < file_bytes {
            let left = file_bytes - segment.bytes;
            let read = read_batch(&mut reader, left, &mut batch)?.and_then(|()| {
                let header = BatchHeader::verify(&batch)?;
                if header.base_offset != segment.next_offset { Err(BatchFault::Count) } else { Ok(header) }
            });
            match read {
                Ok(header) => {
                    segment.extend(&header);
                    batch_seen(&header);
                }
                Err(fault) => return Ok(Scan { segment, file_bytes, fault: Some(fault) }),
            }
        }
        Ok(Scan { segment, file_bytes, fault: None })
    }

    /// Bytes that a reader at `offset` has before it; at most one index spacing too many.
    pub(crate) fn bytes_from(&self, offset: i64) -> u64 {
        if offset >= self.next_offset { 0 } else { self.bytes - self.position_before(offset) }
    }

    fn position_before(&self, offset: i64) -> u64 {
        let after = self.index.partition_point(|entry| entry.offset <= offset);
        after.checked_sub(1).and_then(|at| self.index.get(at)).map_or(0, |entry| entry.position)
    }

    /// Where to look for the batch that holds `offset`.
    pub(crate) fn span_of_offset(&self, offset: i64) -> Span {
        Span { from: self.position_before(offset), until: self.bytes }
    }

    /// Where to look for the first message at or after `timestamp`.
    pub(crate) fn span_of_timestamp(&self, timestamp: i64) -> Span {
        let after = self.index.partition_point(|entry| entry.timestamp_before < timestamp);
        let from = after.checked_sub(1).and_then(|at| self.index.get(at)).map_or(0, |entry| entry.position);
        Span { from, until: self.bytes }
    }
}

/// A stretch of a segment file that begins with a batch and ends with one. Reads need no lock: these bytes
/// never change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    from: u64,
    until: u64,
}

impl Span {
    /// Whole batches from the one that holds `offset`, up to `bytes_max` but at least one.
    pub(crate) fn read(self, file: &File, offset: i64, bytes_max: usize) -> io::Result<Bytes> {
        let Some((position, first)) = self.find(file, |header| header.last_offset() >= offset)? else {
            return Ok(Bytes::new());
        };
        let left = usize::try_from(self.until - position).unwrap_or(usize::MAX);
        let mut batches = vec![0; bytes_max.max(first.bytes).min(left)];
        file.read_exact_at(&mut batches, position)?;
        let mut whole = first.bytes;
        while let Ok(header) = BatchHeader::parse(batches.get(whole..).unwrap_or_default()) {
            if whole + header.bytes > batches.len() {
                break;
            }
            whole += header.bytes;
        }
        batches.truncate(whole);
        Ok(batches.into())
    }

    /// Offset and timestamp of the first message at or after `timestamp`.
    pub(crate) fn find_timestamp(self, file: &File, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        let Some((position, header)) = self.find(file, |header| header.max_timestamp >= timestamp)? else {
            return Ok(None);
        };
        let mut batch = vec![0; header.bytes];
        file.read_exact_at(&mut batch, position)?;
        Ok(Some(first_at_or_after(&batch, &header, timestamp)))
    }

    /// The first batch that `wanted` accepts, and where it begins.
    fn find(
        self,
        file: &File,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> io::Result<Option<(u64, BatchHeader)>> {
        let mut position = self.from;
        let mut window = Vec::new();
        let mut window_from = position;
        while position < self.until {
            let at = usize::try_from(position - window_from).unwrap_or(usize::MAX);
            let header = match window.get(at..) {
                Some(bytes) if bytes.len() >= HEADER_BYTES => BatchHeader::parse(bytes),
                _ => {
                    let left = usize::try_from(self.until - position).unwrap_or(usize::MAX);
                    window.resize(SEEK_BYTES.min(left), 0);
                    file.read_exact_at(&mut window, position)?;
                    window_from = position;
                    BatchHeader::parse(&window)
                }
            }
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            if wanted(&header) {
                return Ok(Some((position, header)));
            }
            position += header.bytes as u64;
        }
        Ok(None)
    }
}

/// Reads the next batch into `batch`. The length is held against what the file has left before anything of
/// that size is allocated.
fn read_batch(
    reader: &mut impl Read,
    file_bytes_left: u64,
    batch: &mut Vec<u8>,
) -> io::Result<Result<(), BatchFault>> {
    batch.clear();
    batch.resize(HEADER_BYTES, 0);
    if file_bytes_left < HEADER_BYTES as u64 {
        return Ok(Err(BatchFault::CutOff));
    }
    reader.read_exact(batch)?;
    let header = match BatchHeader::parse(batch) {
        Ok(header) => header,
        Err(fault) => return Ok(Err(fault)),
    };
    if header.bytes as u64 > file_bytes_left {
        return Ok(Err(BatchFault::CutOff));
    }
    batch.resize(header.bytes, 0);
    reader.read_exact(batch.get_mut(HEADER_BYTES..).unwrap_or_default())?;
    Ok(Ok(()))
}
