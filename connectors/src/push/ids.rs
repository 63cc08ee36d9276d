//! The request ids that were accepted, kept in a file that is only ever added to.
//!
//! One line an id: instant, municipality, id. A line counts once it is on the disk; a last line that a crash cut
//! off is dropped when the file is opened. Bounded by number: the oldest are forgotten, and the file is written
//! anew when it has twice as many lines.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::emit::instant;

pub(super) struct Ids {
    path: PathBuf,
    file: File,
    /// Lines in the file.
    lines: usize,
    max: usize,
    order: VecDeque<String>,
    known: HashSet<String>,
}

fn key(municipality: i32, id: &str) -> String {
    format!("{municipality} {id}")
}

impl Ids {
    pub(super) fn open(path: &Path, max: usize) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let keys: Vec<(&str, &str)> = whole.lines().filter_map(|line| line.split_once(' ')).collect();
        let kept = &keys[keys.len().saturating_sub(max.max(1))..];
        let lines: String = kept.iter().map(|(at, key)| format!("{at} {key}\n")).collect();
        let file = replace(path, &lines)?;
        let order: VecDeque<String> = kept.iter().map(|(_, key)| (*key).to_owned()).collect();
        let known = order.iter().cloned().collect();
        Ok(Self { path: path.to_owned(), file, lines: order.len(), max: max.max(1), order, known })
    }

    pub(super) fn contains(&self, municipality: i32, id: &str) -> bool {
        self.known.contains(&key(municipality, id))
    }

    /// Remembers an id, durably.
    pub(super) fn remember(&mut self, municipality: i32, id: &str, at: DateTime<Utc>) -> io::Result<()> {
        let key = key(municipality, id);
        if self.lines >= self.max.saturating_mul(2) {
            let at = instant(at);
            let lines: String = self.order.iter().map(|key| format!("{at} {key}\n")).collect();
            self.file = replace(&self.path, &lines)?;
            self.lines = self.order.len();
        }
        let line = format!("{} {key}\n", instant(at));
        if let Err(error) = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Half a line may stand there now: the next id writes the file anew.
            self.lines = usize::MAX;
            return Err(error);
        }
        self.lines += 1;
        self.order.push_back(key.clone());
        self.known.insert(key);
        while self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        Ok(())
    }
}

/// Writes the file anew beside its place and renames it over; open for adding.
fn replace(path: &Path, text: &str) -> io::Result<File> {
    let temporary = path.with_extension("ids.new");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    File::options().append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outlive_a_restart_and_a_cut_line_and_are_bounded() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("cursors/push-ky.ids");
        let at = "2026-08-19T07:58:44Z".parse().expect("instant");
        let mut ids = Ids::open(&path, 3).expect("open");
        for number in 0..20 {
            ids.remember(101, &format!("id-{number}"), at).expect("stored");
        }
        assert!(ids.contains(101, "id-17") && !ids.contains(101, "id-16") && !ids.contains(147, "id-17"));
        drop(ids);
        assert!(std::fs::read_to_string(&path).expect("file").lines().count() <= 6);
        File::options()
            .append(true)
            .open(&path)
            .expect("file")
            .write_all(b"2026-08-19T07:58:44Z 101 id-2")
            .expect("cut");
        let ids = Ids::open(&path, 3).expect("open");
        assert!(ids.contains(101, "id-19") && ids.contains(101, "id-17") && !ids.contains(101, "id-2"));
    }
}
