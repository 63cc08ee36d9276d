//! The manifest of an epoch: `epochs/<n>.json`, written once.
//!
//! It names everything the epoch consists of: where in the topics it stands, the files of the log, the files
//! of the tables, the model they were made with. Creating it is the commit; before that nothing of the epoch is
//! visible, after that all of it is. Recovery opens the newest one.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use rettidig_model::Model;
use serde::{Deserialize, Serialize};

use crate::RuntimeError;
use crate::aside::BySource;
use crate::ingest::Ingested;
use crate::persons::PersonsEntry;
use crate::store::{FileEntry, Store, sha256_hex};

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Offset of the next message to read.
    pub next: i64,
    /// SHA-256 of the last message read: tells a recreated topic from the one that was read.
    pub last_sha256: Option<String>,
}

/// Positions by topic and partition.
pub type Positions = BTreeMap<String, BTreeMap<i32, Position>>;

/// Counts since the data folder was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events that became rows of the log.
    pub events: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Messages put aside, by reason.
    pub dead_letters: BTreeMap<String, u64>,
    /// The same by source and reason, as far as sources can be told.
    #[serde(default)]
    pub dead_letters_by_source: BySource,
    /// Fields that no event type knows.
    pub unknown_fields: u64,
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.unknown_fields += other.unknown_fields;
        for (reason, count) in &other.dead_letters {
            *self.dead_letters.entry(reason.clone()).or_default() += count;
        }
        self.dead_letters_by_source.extend(&other.dead_letters_by_source);
    }

    /// Counts what became of messages, but for rows, which may turn out to be there already.
    pub(crate) fn note(&mut self, ingested: &Ingested) {
        self.duplicates += ingested.duplicates;
        self.unknown_fields += ingested.unknown_fields;
        for letter in &ingested.dead_letters {
            *self.dead_letters.entry(letter.reason.code().to_owned()).or_default() += 1;
        }
        self.dead_letters_by_source.count(&ingested.dead_letters);
    }
}

/// An epoch before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its number.
    pub epoch: u64,
    /// SHA-256 of its manifest.
    pub sha256: String,
}

/// Everything that an epoch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its number, from 1.
    pub epoch: u64,
    /// How often the right to commit has passed on: whoever commits has the highest.
    #[serde(default)]
    pub term: u64,
    /// The one before.
    pub previous: Option<Previous>,
    /// When it was made.
    pub committed_at: DateTime<Utc>,
    /// The Danish civil date it was evaluated for.
    pub as_of: NaiveDate,
    /// Id of the Kafka cluster.
    pub cluster_id: Option<String>,
    /// Where the topics stand.
    pub positions: Positions,
    /// Files of the log by topic.
    pub log: BTreeMap<String, Vec<FileEntry>>,
    /// Disclosed vintages with the epoch that first published each.
    pub disclosed: FileEntry,
    /// What is shown of the indicators of persons, by month.
    #[serde(default)]
    pub local: BTreeMap<String, FileEntry>,
    /// Months of [`Manifest::local`] that are older than the cells, because those would give a hidden number away; by month the
    /// indicator that would.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frozen: BTreeMap<String, String>,
    /// State of the persons.
    #[serde(default)]
    pub persons: PersonsEntry,
    /// Published tables.
    pub tables: BTreeMap<String, FileEntry>,
    /// SHA-256 of the model's SQL.
    pub sql_sha256: String,
    /// SHA-256 of the reference tables.
    pub reference_sha256: String,
    /// Newest retrieval by source.
    pub frontiers: BTreeMap<String, DateTime<Utc>>,
    /// Counts since the beginning.
    pub counts: Counts,
}

/// Folder of the manifests.
const FOLDER: &str = "epochs";

/// Path of an epoch's manifest.
fn path(epoch: u64) -> String {
    format!("{FOLDER}/{epoch:012}.json")
}

impl Manifest {
    /// The committed form.
    pub fn to_bytes(&self) -> Bytes {
        // Maps with text keys, numbers and texts have no way to fail to serialise.
        serde_json::to_vec_pretty(self).unwrap_or_default().into()
    }

    /// Commits the epoch. `false` if another writer has committed this number with other content.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails; trying again is safe, the own manifest is recognised.
    pub async fn commit(&self, store: &Store) -> Result<bool, RuntimeError> {
        let (path, bytes) = (path(self.epoch), self.to_bytes());
        if store.put_if_absent(&path, bytes.clone()).await? {
            return Ok(true);
        }
        Ok(store.get(&path).await?.is_some_and(|found| found == bytes))
    }

    /// The newest committed epoch and the digest of its manifest.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if it cannot be read or does not follow the one before.
    pub async fn newest(store: &Store) -> Result<Option<(Self, String)>, RuntimeError> {
        let numbers = Self::numbers(store).await?;
        match numbers.last() {
            Some(number) => Self::read(store, *number).await.map(Some),
            None => Ok(None),
        }
    }

    /// Numbers of the committed epochs, ascending.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn numbers(store: &Store) -> Result<Vec<u64>, RuntimeError> {
        let mut numbers: Vec<u64> = store
            .list(FOLDER)
            .await?
            .iter()
            .filter_map(|path| path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads one epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if it is not there or cannot be read.
    pub async fn read(store: &Store, epoch: u64) -> Result<(Self, String), RuntimeError> {
        let path = path(epoch);
        let remedy =
            "restore the data folder from a copy, or remove this manifest to go back to the epoch before";
        let stop = |cause: String| RuntimeError::stop(format!("opening {path}"), cause, remedy);
        let bytes = store.get(&path).await?.ok_or_else(|| stop("the file is not there".to_owned()))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| stop(error.to_string()))?;
        if manifest.epoch != epoch {
            return Err(stop(format!("it says that it is epoch {}", manifest.epoch)));
        }
        Ok((manifest, sha256_hex(&bytes)))
    }

    /// Whether the epoch was made with this model.
    pub fn is_of(&self, model: &Model) -> bool {
        self.sql_sha256 == model.sql_sha256 && self.reference_sha256 == model.reference_sha256
    }

    /// Paths of all files that the epoch names itself; the bucket files are named by the file of the buckets.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let log = self.log.values().flatten();
        let persons = self.persons.tail.iter().map(|entry| &entry.file).chain(&self.persons.buckets);
        let persons = persons.chain(self.persons.cells.values().flatten()).chain(&self.persons.wakes);
        let files = log
            .chain(self.tables.values())
            .chain([&self.disclosed])
            .chain(self.local.values())
            .chain(persons);
        files.map(|entry| entry.path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(epoch: u64) -> Manifest {
        Manifest {
            epoch,
            term: 0,
            previous: None,
            committed_at: "2026-08-19T07:58:44Z".parse().expect("instant"),
            as_of: "2026-08-19".parse().expect("date"),
            cluster_id: None,
            positions: Positions::new(),
            log: BTreeMap::new(),
            disclosed: FileEntry { path: "x".into(), rows: 0, bytes: 0, sha256: String::new() },
            local: BTreeMap::new(),
            frozen: BTreeMap::new(),
            persons: PersonsEntry::default(),
            tables: BTreeMap::new(),
            sql_sha256: String::new(),
            reference_sha256: String::new(),
            frontiers: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    #[tokio::test]
    async fn the_first_commit_wins_and_the_own_one_is_recognised() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::local(folder.path()).expect("store");
        assert!(Manifest::newest(&store).await.expect("none").is_none());
        let first = manifest(1);
        assert!(first.commit(&store).await.expect("commit"));
        assert!(first.commit(&store).await.expect("lost answer"), "the own commit is recognised");
        let zombie = Manifest { as_of: "2026-08-20".parse().expect("date"), ..manifest(1) };
        assert!(!zombie.commit(&store).await.expect("zombie"), "another writer's commit is refused");
        let (newest, _) = Manifest::newest(&store).await.expect("newest").expect("one");
        assert_eq!(newest, first);
    }

    #[tokio::test]
    async fn a_torn_manifest_stops_with_the_file_and_what_to_do() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::local(folder.path()).expect("store");
        store.put("epochs/000000000001.json", Bytes::from_static(b"{\"epoch\":")).await.expect("put");
        let error = Manifest::newest(&store).await.expect_err("torn").to_string();
        assert!(error.contains("epochs/000000000001.json") && error.contains("restore"), "{error}");
    }
}
