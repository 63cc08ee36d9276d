//! Epochs as versions of Delta Lake tables, for lakehouses: `DIR/TABLE` is a Delta table, a commit is an epoch.
//!
//! Delta numbers versions without gaps and epochs are exported now and then, so a version is not the epoch's number; each commit names
//! its epoch (`rettidig.epoch`, and the transaction identifier `rettidig`), and `DIR/epochs.json`, written last, says which versions of
//! the tables are one epoch. Exporting an epoch twice does nothing, an export that was interrupted goes on where it stopped, and an older
//! epoch never follows a newer one. A table that an epoch did not change gets a commit without files.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{
    Action, Add, DataType, MetadataExt, MetadataValue, PrimitiveType, StructField, StructType, Transaction,
};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError, ensure_table_uri};
use rettidig_model::contract::{Kind, Table};
use rettidig_runtime::store::{FileEntry, sha256_hex};
use rettidig_runtime::{Manifest, RuntimeError, Store, publish};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

/// Who writes, to Delta: the version of its transactions is the epoch.
const APPLICATION: &str = "rettidig";

/// Which versions are one epoch.
const EPOCHS: &str = "epochs.json";

/// How long Delta's own housekeeping must keep what an older version needs, in days: about ten years.
const KEPT: &str = "interval 3650 days";

/// An export could not be made.
#[derive(Debug, Error)]
pub enum DeltaError {
    /// The epoch or the folder cannot be read or written.
    #[error(transparent)]
    Store(#[from] RuntimeError),
    /// The folder to export to holds something that is not ours to continue.
    #[error("{file}: {message}; export to an empty folder, or to one that an export made")]
    Foreign {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// The folder has a newer epoch.
    #[error(
        "{table} is at epoch {exported} there, and {epoch} is older: export to another folder to have both"
    )]
    Older {
        /// The table.
        table: &'static str,
        /// Epoch of its newest version.
        exported: u64,
        /// Epoch asked for.
        epoch: u64,
    },
    /// A Delta table could not be read or written.
    #[error("the Delta table {table}: {source}")]
    Table {
        /// The table.
        table: &'static str,
        /// What the library says.
        source: Box<DeltaTableError>,
    },
}

/// An epoch in a folder of Delta tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Its number.
    pub epoch: u64,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// When it was made.
    pub committed_at: DateTime<Utc>,
    /// The Danish civil date that it was evaluated for.
    pub as_of: NaiveDate,
    /// Version of each table.
    pub tables: BTreeMap<String, u64>,
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The epoch as it is there now.
    pub exported: Exported,
    /// Tables that got a version.
    pub written: usize,
}

/// Writes an epoch, the newest if no number is given, as a version of Delta tables in a folder. Closed tables only if `with_closed`.
///
/// # Errors
/// [`DeltaError`]; what was written until then is whole, and the next export goes on.
pub async fn export(
    store: &Store,
    epoch: Option<u64>,
    to: &Path,
    with_closed: bool,
) -> Result<Report, DeltaError> {
    let (manifest, manifest_sha256) = match epoch {
        Some(epoch) => Manifest::read(store, epoch).await?,
        None => Manifest::newest(store).await?.ok_or_else(|| {
            let remedy = "load data first, or name another folder with --data";
            RuntimeError::stop("exporting the newest epoch", "the folder holds no epoch", remedy)
        })?,
    };
    let target = Store::local(to)?;
    let mut epochs = epochs_of(&target).await?;
    let known = epochs.iter().find(|known| known.epoch == manifest.epoch).map(|known| known.tables.clone());
    let known = known.unwrap_or_default();
    let mut opened = Vec::new();
    for (name, entry) in &manifest.tables {
        let Some(table) = Table::named(name).filter(|table| with_closed || !table.closed) else { continue };
        let failed =
            |source: DeltaTableError| DeltaError::Table { table: table.name, source: Box::new(source) };
        let place = open(&to.join(name)).await.map_err(failed)?;
        let exported = exported_epoch(&place).await.map_err(failed)?;
        if let Some(exported) = exported.filter(|exported| *exported > manifest.epoch) {
            return Err(DeltaError::Older { table: table.name, exported, epoch: manifest.epoch });
        }
        opened.push((table, entry, place, exported));
    }
    let mut exported = Exported {
        epoch: manifest.epoch,
        manifest_sha256,
        committed_at: manifest.committed_at,
        as_of: manifest.as_of,
        tables: BTreeMap::new(),
    };
    let mut written = 0;
    for (table, entry, place, newest) in opened {
        let failed =
            |source: DeltaTableError| DeltaError::Table { table: table.name, source: Box::new(source) };
        let version = if newest == Some(manifest.epoch) {
            known.get(table.name).copied().or(place.version()).unwrap_or_default()
        } else {
            copy(store, &target, table, entry).await?;
            written += 1;
            commit(place, table, entry, &exported).await.map_err(failed)?
        };
        exported.tables.insert(table.name.to_owned(), version);
    }
    epochs.retain(|known| known.epoch != exported.epoch);
    epochs.push(exported.clone());
    // A list of plain values has no way to fail to serialise.
    let text = serde_json::to_vec_pretty(&epochs).unwrap_or_default();
    target.put(EPOCHS, Bytes::from(text)).await?;
    Ok(Report { exported, written })
}

async fn epochs_of(target: &Store) -> Result<Vec<Exported>, DeltaError> {
    let Some(bytes) = target.get(EPOCHS).await? else { return Ok(Vec::new()) };
    serde_json::from_slice(&bytes)
        .map_err(|error| DeltaError::Foreign { file: EPOCHS.to_owned(), message: error.to_string() })
}

/// The Delta table of a folder, with its newest version if there is one.
async fn open(folder: &Path) -> Result<DeltaTable, DeltaTableError> {
    std::fs::create_dir_all(folder).map_err(|error| DeltaTableError::Io { source: error })?;
    let address = ensure_table_uri(folder.to_string_lossy())?;
    let mut table = DeltaTableBuilder::from_url(address)?.build()?;
    if table.verify_deltatable_existence().await? {
        table.load().await?;
    }
    Ok(table)
}

async fn exported_epoch(place: &DeltaTable) -> Result<Option<u64>, DeltaTableError> {
    if place.version().is_none() {
        return Ok(None);
    }
    let log_store = place.log_store();
    let version = place.snapshot()?.transaction_version(log_store.as_ref(), APPLICATION).await?;
    Ok(version.and_then(|version| u64::try_from(version).ok()))
}

/// Puts the file of a table where its Delta table looks for it. It is checked, and replaced as a whole.
async fn copy(store: &Store, target: &Store, table: &Table, entry: &FileEntry) -> Result<(), DeltaError> {
    let attempt = format!("exporting {}", entry.path);
    let Some(bytes) = store.get(&entry.path).await? else {
        let remedy = "only the newest epochs keep their files: export a newer one";
        return Err(RuntimeError::stop(attempt, "the file is not there", remedy).into());
    };
    if sha256_hex(&bytes) != entry.sha256 {
        let remedy = "restore the data folder from a copy";
        return Err(RuntimeError::stop(attempt, "its checksum is not the one in the manifest", remedy).into());
    }
    Ok(target.put(&format!("{}/{}", table.name, file_name(entry)), bytes).await?)
}

fn file_name(entry: &FileEntry) -> &str {
    entry.path.rsplit('/').next().unwrap_or(&entry.path)
}

fn fields(table: &Table) -> Vec<StructField> {
    let fields = table.columns.iter().map(|column| {
        let kind = match column.kind {
            Kind::Text => PrimitiveType::String,
            Kind::Integer => PrimitiveType::Long,
            Kind::Float => PrimitiveType::Double,
            Kind::Date => PrimitiveType::Date,
            Kind::Instant => PrimitiveType::Timestamp,
            Kind::Boolean => PrimitiveType::Boolean,
        };
        let text = |text: &str| MetadataValue::String(text.to_owned());
        let metadata = [
            ("comment", text(column.description)),
            ("rettidig.danish", text(column.danish)),
            ("rettidig.unit", text(publish::unit(column))),
        ];
        StructField::new(column.name, DataType::Primitive(kind), column.nullable).with_metadata(metadata)
    });
    fields.collect()
}

/// Commits a table's file as its only one; returns the version.
async fn commit(
    place: DeltaTable,
    table: &Table,
    entry: &FileEntry,
    exported: &Exported,
) -> Result<u64, DeltaTableError> {
    let epoch = i64::try_from(exported.epoch).unwrap_or(i64::MAX);
    let made = exported.committed_at.timestamp_millis();
    let about: [(&str, Value); 5] = [
        ("rettidig.epoch", json!(exported.epoch)),
        ("rettidig.manifestSha256", json!(exported.manifest_sha256)),
        ("rettidig.committedAt", json!(exported.committed_at)),
        ("rettidig.asOf", json!(exported.as_of)),
        ("rettidig.version", json!(table.version)),
    ];
    let properties = CommitProperties::default()
        .with_metadata(about.map(|(name, value)| (name.to_owned(), value)))
        .with_application_transaction(Transaction::new_with_last_update(APPLICATION, epoch, Some(made)));
    let add = Action::Add(Add {
        path: file_name(entry).to_owned(),
        size: i64::try_from(entry.bytes).unwrap_or(i64::MAX),
        modification_time: made,
        data_change: true,
        stats: Some(json!({ "numRecords": entry.rows }).to_string()),
        ..Add::default()
    });
    if place.version().is_none() {
        let configuration = HashMap::from(
            ["delta.logRetentionDuration", "delta.deletedFileRetentionDuration"]
                .map(|name| (name.to_owned(), Some(KEPT.to_owned()))),
        );
        let created = CreateBuilder::new()
            .with_log_store(place.log_store())
            .with_table_name(table.name)
            .with_comment(format!("{} ({})", table.description, table.danish))
            .with_columns(fields(table))
            .with_configuration(configuration)
            .with_actions([add])
            .with_commit_properties(properties)
            .await?;
        return Ok(created.version().unwrap_or_default());
    }
    let snapshot = place.snapshot()?;
    let mut actions = Vec::new();
    let schema = StructType::try_new(fields(table)).map_err(DeltaTableError::from)?;
    if *snapshot.schema() != schema {
        actions.push(Action::Metadata(snapshot.metadata().clone().with_schema(&schema)?));
    }
    let log = snapshot.log_data();
    let is_same = log.iter().map(|file| file.path().into_owned()).eq([file_name(entry).to_owned()]);
    if !is_same {
        actions.extend(log.iter().map(|file| Action::Remove(file.remove_action(true))));
        actions.push(add);
    }
    let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    let commit = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(snapshot), place.log_store(), operation)
        .await?;
    Ok(commit.version())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::*;

    /// Commits an epoch whose table `labour_force` has one row for each number.
    async fn epoch(store: &Store, number: u64, forces: &[i64]) -> FileEntry {
        let table = Table::named("labour_force").expect("a table");
        let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; forces.len()])) };
        let whole = |numbers: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(numbers)) };
        let columns = vec![
            texts("municipality"),
            Arc::new(StringArray::from_iter_values((0..forces.len()).map(|area| format!("{area:04}")))),
            texts("2026-07"),
            whole(vec![12; forces.len()]),
            whole(forces.to_vec()),
        ];
        let rows = RecordBatch::try_new(table.schema(), columns).expect("rows");
        let metadata = publish::metadata(table.name, number);
        // The metadata must not tell the epoch here: a table that did not change keeps its file.
        let metadata = metadata.into_iter().filter(|(name, _)| name != "rettidig.epoch").collect();
        let entry = store.put_parquet("tables/files", table.name, &rows, metadata).await.expect("written");
        let closed = FileEntry { path: "tables/files/none".to_owned(), ..entry.clone() };
        let manifest = Manifest {
            epoch: number,
            tables: BTreeMap::from([
                (table.name.to_owned(), entry.clone()),
                ("refund_watch".to_owned(), closed),
            ]),
            ..crate::tests_manifest()
        };
        assert!(manifest.commit(store).await.expect("committed"));
        entry
    }

    async fn files(folder: &Path, version: u64) -> Vec<String> {
        let mut table = open(&folder.join("labour_force")).await.expect("opened");
        table.load_version(version).await.expect("loaded");
        let log = table.snapshot().expect("a snapshot").log_data();
        log.iter().map(|file| file.path().into_owned()).collect()
    }

    /// Goal: an epoch is a version, once, and never before an older one; what was interrupted goes on. Method: three epochs of which the
    /// second changes nothing, exported twice, out of order, and after the last step of an export was undone.
    #[tokio::test]
    async fn an_epoch_is_a_version_and_an_older_one_never_follows() {
        let (data, to) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let (store, to) = (Store::local(data.path()).expect("store"), to.path());
        let first = epoch(&store, 1, &[10, 20]).await;
        let same = epoch(&store, 2, &[10, 20]).await;
        assert_eq!(first.path, same.path);
        let third = epoch(&store, 3, &[10, 21, 30]).await;

        let report = export(&store, Some(1), to, false).await.expect("exported");
        assert_eq!((report.written, report.exported.epoch), (1, 1));
        assert_eq!(
            report.exported.tables,
            BTreeMap::from([("labour_force".to_owned(), 0)]),
            "no closed table"
        );
        let again = export(&store, Some(1), to, false).await.expect("exported again");
        assert_eq!((again.written, &again.exported), (0, &report.exported));
        assert_eq!(
            export(&store, Some(2), to, false).await.expect("exported").exported.tables["labour_force"],
            1
        );
        let newest = export(&store, None, to, false).await.expect("exported");
        assert_eq!((newest.exported.epoch, newest.exported.tables["labour_force"]), (3, 2));

        assert_eq!(files(to, 0).await, [file_name(&first)]);
        assert_eq!(files(to, 1).await, [file_name(&first)], "an epoch that changes nothing is a version too");
        assert_eq!(files(to, 2).await, [file_name(&third)]);
        let epochs = epochs_of(&Store::local(to).expect("store")).await.expect("read");
        assert_eq!(epochs.iter().map(|one| one.epoch).collect::<Vec<_>>(), [1, 2, 3]);

        let error = export(&store, Some(2), to, false).await.expect_err("older").to_string();
        assert!(error.contains("labour_force is at epoch 3") && error.contains("2 is older"), "{error}");
        std::fs::remove_file(to.join(EPOCHS)).expect("as if interrupted before the last step");
        let resumed = export(&store, Some(3), to, false).await.expect("goes on");
        assert_eq!((resumed.written, resumed.exported), (0, newest.exported));
    }

    #[tokio::test]
    async fn what_is_damaged_or_gone_is_not_exported() {
        let (data, to) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let store = Store::local(data.path()).expect("store");
        let error = export(&store, None, to.path(), false).await.expect_err("no epoch").to_string();
        assert!(error.contains("holds no epoch"), "{error}");
        let entry = epoch(&store, 1, &[10]).await;
        store.put(&entry.path, Bytes::from_static(b"PAR1")).await.expect("damaged");
        let error = export(&store, None, to.path(), false).await.expect_err("damaged").to_string();
        assert!(error.contains("checksum"), "{error}");
        store.delete(&entry.path).await.expect("gone");
        let error = export(&store, None, to.path(), false).await.expect_err("gone").to_string();
        assert!(error.contains("export a newer one"), "{error}");
        assert!(!to.path().join("labour_force/_delta_log").exists(), "nothing was committed");
        std::fs::write(to.path().join(EPOCHS), "[{").expect("written");
        let error = export(&store, None, to.path(), false).await.expect_err("foreign").to_string();
        assert!(error.contains("epochs.json"), "{error}");
    }
}
