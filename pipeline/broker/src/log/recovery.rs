//! What is done with the files of a partition at start. The last segment is read and checked batch by batch;
//! at the first broken batch it is cut, with a warning: only what was not yet forced to disk can be broken.
//! Earlier segments were forced to disk when they were full and are trusted by their length; one whose
//! length is not the noted one is read, and damage in it stops the start, because cutting there would lose
//! acknowledged messages in the middle of the log.

use super::files;
use super::segment::{self, Segment};
use crate::error::BrokerError;
use crate::producers::Producers;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::Path;

/// A partition as found on disk.
pub(crate) struct Recovered {
    pub sealed: VecDeque<Segment>,
    pub active: Segment,
    pub file: File,
    pub producers: Producers,
}

/// Opens the folder of a partition, making it when it is missing.
pub(crate) fn recover(dir: &Path) -> Result<Recovered, BrokerError> {
    fs::create_dir_all(dir).map_err(BrokerError::io("make folder", dir))?;
    let mut bases = base_offsets(dir)?;
    let is_new = bases.is_empty();
    let last = bases.pop().unwrap_or(0);
    let mut sealed: VecDeque<Segment> = VecDeque::with_capacity(bases.len());
    for base in bases {
        follows(dir, sealed.back(), base)?;
        sealed.push_back(sealed_segment(dir, base)?);
    }
    follows(dir, sealed.back(), last)?;
    let log = segment::path(dir, last, "log");
    let file = segment::open(dir, last).map_err(BrokerError::io("open", &log))?;
    if is_new {
        files::sync_dir(dir).map_err(BrokerError::io("sync folder", dir))?;
    }
    let mut producers: Producers =
        files::read_json(&segment::path(dir, last, "producers"))?.unwrap_or_default();
    let scan =
        Segment::scan(dir, last, |batch| producers.note(batch)).map_err(BrokerError::io("read", &log))?;
    if let Some(fault) = scan.fault {
        tracing::warn!(
            file = %log.display(),
            position = scan.segment.bytes,
            bytes_cut = scan.file_bytes - scan.segment.bytes,
            next_offset = scan.segment.next_offset,
            "{fault}: cut the log here, the write was torn"
        );
        file.set_len(scan.segment.bytes).map_err(BrokerError::io("cut", &log))?;
        file.sync_data().map_err(BrokerError::io("sync", &log))?;
    }
    Ok(Recovered { sealed, active: scan.segment, file, producers })
}

/// Checks that a segment begins where the one before it ends.
fn follows(dir: &Path, before: Option<&Segment>, base: i64) -> Result<(), BrokerError> {
    match before {
        Some(before) if before.next_offset != base => Err(BrokerError::Damaged {
            path: segment::path(dir, base, "log"),
            position: 0,
            found: format!("the segment before it ends at offset {}", before.next_offset),
        }),
        _ => Ok(()),
    }
}

fn sealed_segment(dir: &Path, base: i64) -> Result<Segment, BrokerError> {
    if let Some(segment) = Segment::load(dir, base)? {
        return Ok(segment);
    }
    let log = segment::path(dir, base, "log");
    let scan = Segment::scan(dir, base, |_| ()).map_err(BrokerError::io("read", &log))?;
    if let Some(fault) = scan.fault {
        return Err(BrokerError::Damaged {
            path: log,
            position: scan.segment.bytes,
            found: fault.to_string(),
        });
    }
    scan.segment.save(dir).map_err(BrokerError::io("write the index of", &log))?;
    Ok(scan.segment)
}

fn base_offsets(dir: &Path) -> Result<Vec<i64>, BrokerError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).map_err(BrokerError::io("list", dir))? {
        let name = entry.map_err(BrokerError::io("list", dir))?.file_name();
        if let Some(base) = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok()) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}
