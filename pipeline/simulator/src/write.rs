//! A whole simulation as a folder: source files, or canonical events.

use std::fs::{File, create_dir_all};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rettidig_event::Topic;

use crate::file::Pseudonym;
use crate::simulation::Simulation;
use crate::text::{push_instant, push_unsigned};

/// An event file is closed when it has grown past this.
const SPLIT_BYTES: u64 = 200_000_000;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files delivered, those sent again counted again.
    pub deliveries: u64,
    /// Records delivered, those repeated or sent again counted again. One record is one event.
    pub records: u64,
    /// Files in the folder.
    pub files: u64,
    /// Bytes in the folder.
    pub bytes: u64,
}

/// Writes the source files of the days that are left into `dir`, one folder a system: `yr`, `ky`, `amanda`, `income`,
/// and `sprog`, `cpr` with canonical events, because language tests and origin have no source format. A file
/// sent again stands in `<system>/again-<date of arrival>` under its own name. `arrivals.csv` names all files in
/// the order they arrive.
pub fn write_files(simulation: Simulation, dir: &Path, pseudonym: Pseudonym<'_>) -> io::Result<Written> {
    let mut written = Written::default();
    let mut arrivals = b"delivered_at;path;records\n".to_vec();
    let mut bytes = Vec::new();
    for day in simulation {
        for file in day.files {
            let mut path = PathBuf::from(file.system().prefix());
            if file.is_sent_again() {
                path.push(format!("again-{}", day.date));
            }
            create_dir_all(dir.join(&path))?;
            path.push(file.name());
            bytes.clear();
            file.write_bytes(pseudonym, &mut bytes);
            std::fs::write(dir.join(&path), &bytes)?;
            written.deliveries += 1;
            written.records += file.record_count() as u64;
            written.bytes += bytes.len() as u64;
            push_instant(&mut arrivals, file.delivered_at);
            arrivals.push(b';');
            arrivals.extend_from_slice(path.to_string_lossy().as_bytes());
            arrivals.push(b';');
            push_unsigned(&mut arrivals, file.record_count() as u64);
            arrivals.push(b'\n');
        }
    }
    std::fs::write(dir.join("arrivals.csv"), &arrivals)?;
    written.files = written.deliveries + 1;
    written.bytes += arrivals.len() as u64;
    Ok(written)
}

/// Event files of one topic: `payments-0001.ndjson` and so on.
struct Part<'d> {
    dir: &'d Path,
    name: &'static str,
    split_bytes: u64,
    number: u64,
    open: Option<File>,
    size: u64,
    buffer: Vec<u8>,
    written: u64,
}

impl<'d> Part<'d> {
    fn new(dir: &'d Path, name: &'static str, split_bytes: u64) -> Self {
        Self { dir, name, split_bytes, number: 0, open: None, size: 0, buffer: Vec::new(), written: 0 }
    }

    /// Writes the buffer out if it is large enough, or `now`; whole lines only.
    fn flush(&mut self, now: bool) -> io::Result<()> {
        if self.buffer.is_empty() || (!now && self.buffer.len() < 1 << 20) {
            return Ok(());
        }
        let file = match self.open.take() {
            Some(file) => self.open.insert(file),
            None => {
                self.number += 1;
                self.size = 0;
                let path = self.dir.join(format!("{}-{:04}.ndjson", self.name, self.number));
                self.open.insert(File::create(path)?)
            }
        };
        file.write_all(&self.buffer)?;
        self.size += self.buffer.len() as u64;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.size >= self.split_bytes {
            self.open = None;
        }
        Ok(())
    }
}

/// Writes the canonical events of the days that are left into `dir`, in order of arrival: `payments-0001.ndjson`,
/// `cases-…`, `income-…`, `deliveries-…`, a new number about every 200 MB.
pub fn write_ndjson(simulation: Simulation, dir: &Path, pseudonym: Pseudonym<'_>) -> io::Result<Written> {
    create_dir_all(dir)?;
    let mut parts =
        ["payments", "cases", "income", "deliveries"].map(|name| Part::new(dir, name, SPLIT_BYTES));
    let mut written = Written::default();
    for day in simulation {
        for file in day.files {
            let part = match file.topic() {
                Topic::Payments => &mut parts[0],
                Topic::Income => &mut parts[2],
                _ => &mut parts[1],
            };
            file.write_events(pseudonym, &mut part.buffer);
            part.flush(false)?;
            file.write_delivery(&mut parts[3].buffer);
            parts[3].flush(false)?;
            written.deliveries += 1;
            written.records += file.record_count() as u64;
        }
    }
    for part in &mut parts {
        part.flush(true)?;
        written.files += part.number;
        written.bytes += part.written;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_split_between_lines() {
        let dir = tempfile::tempdir().expect("folder");
        let mut part = Part::new(dir.path(), "payments", 30);
        for line in 0..10 {
            part.buffer.extend_from_slice(format!("{{\"line\":{line}}}\n").as_bytes());
            part.flush(true).expect("write");
        }
        assert_eq!(part.number, 4);
        let first = std::fs::read_to_string(dir.path().join("payments-0001.ndjson")).expect("first");
        assert_eq!(first.lines().count(), 3);
        let last = std::fs::read_to_string(dir.path().join("payments-0004.ndjson")).expect("last");
        assert_eq!(last, "{\"line\":9}\n");
    }
}
