//! The offsets that consumer groups have committed, kept in `commits.log`: one JSON line for each commit,
//! handed to the operating system before it is acknowledged and forced to disk with the data. At start, and
//! when superseded lines outweigh the rest, the file is replaced by one line for each offset. A last line
//! that was torn is dropped with a warning. Offsets do not expire; they go with their topic.

use crate::error::BrokerError;
use crate::log::files;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file is rewritten when it has this many lines more than there are offsets.
const SUPERSEDED_LINES_MAX: usize = 50_000;
/// Offsets kept for all groups together.
const OFFSETS_MAX: usize = 200_000;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// One line of the file: a commit, or with none the removal of a topic's commits.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    group: String,
    topic: String,
    partition: i32,
    commit: Option<Commit>,
}

/// Topic and partition.
pub(crate) type Place = (String, i32);

/// All committed offsets.
#[derive(Debug)]
pub(crate) struct Commits {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    groups: BTreeMap<String, BTreeMap<Place, Commit>>,
    file: File,
    bytes: u64,
    lines: usize,
    unsynced: bool,
}

impl State {
    fn offsets(&self) -> usize {
        self.groups.values().map(BTreeMap::len).sum()
    }
}

impl Commits {
    /// Loads the file in the broker's folder.
    pub(crate) fn open(path: PathBuf) -> Result<Self, BrokerError> {
        let mut groups: BTreeMap<String, BTreeMap<Place, Commit>> = BTreeMap::new();
        match File::open(&path) {
            Ok(file) => {
                for line in BufReader::new(file).split(b'\n') {
                    let line = line.map_err(BrokerError::io("read", &path))?;
                    match serde_json::from_slice::<Line>(&line) {
                        Ok(line) => apply(&mut groups, line),
                        Err(error) => {
                            tracing::warn!(file = %path.display(), %error, "dropped a torn line of committed offsets");
                        }
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(BrokerError::io("read", &path)(error)),
        }
        let (file, bytes, lines) = rewrite(&path, &groups).map_err(BrokerError::io("write", &path))?;
        Ok(Self { path, state: Mutex::new(State { groups, file, bytes, lines, unsynced: false }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits offsets of a group: all or none.
    pub(crate) fn commit(&self, group: &str, commits: Vec<(Place, Commit)>) -> io::Result<()> {
        let lines = commits.into_iter().map(|((topic, partition), commit)| Line {
            group: group.to_owned(),
            topic,
            partition,
            commit: Some(commit),
        });
        let mut state = self.lock();
        if state.offsets() + lines.len() > OFFSETS_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many committed offsets"));
        }
        self.append(&mut state, lines.collect())
    }

    /// Forgets the offsets of topics that are gone: a crash may come between deleting one and this.
    pub(crate) fn forget_missing(&self, exists: impl Fn(&str) -> bool) -> io::Result<()> {
        let places: BTreeSet<String> =
            self.lock().groups.values().flatten().map(|(place, _)| place.0.clone()).collect();
        places.iter().filter(|topic| !exists(topic)).try_for_each(|topic| self.forget_topic(topic))
    }

    /// Forgets the offsets of a topic, in all groups.
    pub(crate) fn forget_topic(&self, topic: &str) -> io::Result<()> {
        let mut state = self.lock();
        let of_topic = |commits: &BTreeMap<Place, Commit>| commits.keys().any(|place| place.0 == topic);
        let line = |group: &String| Line {
            group: group.clone(),
            topic: topic.to_owned(),
            partition: -1,
            commit: None,
        };
        let lines = state
            .groups
            .iter()
            .filter(|(_, commits)| of_topic(commits))
            .map(|(group, _)| line(group))
            .collect();
        self.append(&mut state, lines)
    }

    fn append(&self, state: &mut State, lines: Vec<Line>) -> io::Result<()> {
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        if let Err(error) = std::os::unix::fs::FileExt::write_all_at(&state.file, &text, state.bytes) {
            // Cut away what was written of it; the start drops a rest.
            let _ = state.file.set_len(state.bytes);
            return Err(error);
        }
        state.bytes += text.len() as u64;
        state.lines += lines.len();
        state.unsynced = true;
        for line in lines {
            apply(&mut state.groups, line);
        }
        if state.lines > state.offsets() + SUPERSEDED_LINES_MAX {
            (state.file, state.bytes, state.lines) = rewrite(&self.path, &state.groups)?;
        }
        Ok(())
    }

    /// The committed offset of one partition.
    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<Commit> {
        self.lock().groups.get(group)?.get(&(topic.to_owned(), partition)).cloned()
    }

    /// All committed offsets of a group.
    pub(crate) fn of_group(&self, group: &str) -> Vec<(Place, Commit)> {
        let state = self.lock();
        state
            .groups
            .get(group)
            .into_iter()
            .flatten()
            .map(|(place, commit)| (place.clone(), commit.clone()))
            .collect()
    }

    /// Forces the file to disk.
    pub(crate) fn sync(&self) -> Result<(), BrokerError> {
        let mut state = self.lock();
        if state.unsynced {
            state.file.sync_data().map_err(BrokerError::io("sync", &self.path))?;
            state.unsynced = false;
        }
        Ok(())
    }
}

fn apply(groups: &mut BTreeMap<String, BTreeMap<Place, Commit>>, line: Line) {
    match line.commit {
        Some(commit) => {
            groups.entry(line.group).or_default().insert((line.topic, line.partition), commit);
        }
        None => {
            if let Some(commits) = groups.get_mut(&line.group) {
                commits.retain(|place, _| place.0 != line.topic);
            }
            groups.retain(|_, commits| !commits.is_empty());
        }
    }
}

fn rewrite(
    path: &std::path::Path,
    groups: &BTreeMap<String, BTreeMap<Place, Commit>>,
) -> io::Result<(File, u64, usize)> {
    let staged = path.with_extension("new");
    let mut out = BufWriter::new(File::create(&staged)?);
    let mut lines = 0;
    for (group, commits) in groups {
        for ((topic, partition), commit) in commits {
            let line = Line {
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
                commit: Some(commit.clone()),
            };
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
            lines += 1;
        }
    }
    out.into_inner().map_err(|error| error.into_error())?.sync_data()?;
    fs::rename(&staged, path)?;
    if let Some(parent) = path.parent() {
        files::sync_dir(parent)?;
    }
    let file = OpenOptions::new().write(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(offset: i64) -> Commit {
        Commit { offset, leader_epoch: -1, metadata: "note".to_owned() }
    }

    fn place(topic: &str) -> Place {
        (topic.to_owned(), 0)
    }

    /// Goal: a commit torn at any byte is dropped, and the ones before it stay.
    #[test]
    fn torn_line_is_dropped() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("commits.log");
        let commits = Commits::open(path.clone()).expect("opens");
        commits.commit("group", vec![(place("a"), commit(1)), (place("b"), commit(2))]).expect("written");
        let kept = fs::read(&path).expect("the file").len();
        commits.commit("group", vec![(place("a"), commit(3))]).expect("written");
        let whole = fs::read(&path).expect("the file");
        drop(commits);
        for cut in kept..whole.len() - 1 {
            fs::write(&path, &whole[..cut]).expect("cut");
            let commits = Commits::open(path.clone()).expect("opens");
            assert_eq!(commits.get("group", "a", 0), Some(commit(1)), "cut at {cut}");
            assert_eq!(commits.get("group", "b", 0), Some(commit(2)), "cut at {cut}");
        }
    }

    #[test]
    fn file_is_rewritten_and_topics_are_forgotten() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("commits.log");
        let commits = Commits::open(path.clone()).expect("opens");
        commits.commit("other", vec![(place("a"), commit(5)), (place("b"), commit(6))]).expect("written");
        for offset in 0..60_000 {
            commits.commit("group", vec![(place("a"), commit(offset))]).expect("written");
        }
        let lines = fs::read_to_string(&path).expect("the file").lines().count();
        assert!(lines < 20_000, "{lines} lines");
        commits.forget_missing(|topic| topic == "b").expect("written");
        drop(commits);
        let commits = Commits::open(path).expect("opens");
        assert_eq!(commits.of_group("group"), []);
        assert_eq!(commits.of_group("other"), [(place("b"), commit(6))]);
    }
}
