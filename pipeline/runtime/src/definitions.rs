//! What was shown by definitions that hold no longer.
//!
//! Files of an epoch go when it is no longer among the newest, and an epoch of another model makes all values anew. So the first
//! epoch of a model keeps what the last one of the model before had shown: `definitions/<that epoch>/disclosed.parquet`, the
//! vintages of official figures, and `local-<month>.parquet`, the indicators of persons. Whoever explains a movement finds
//! there what was published at the time. The files are small, written once, and never collected.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use rettidig_model::evaluation::disclosed_schema;
use rettidig_model::local;

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::store::{FileEntry, Store};

/// Folder of the files.
const FOLDER: &str = "definitions";

fn folder_of(epoch: u64) -> String {
    format!("{FOLDER}/{epoch:012}")
}

fn disclosed_path(epoch: u64) -> String {
    format!("{}/disclosed.parquet", folder_of(epoch))
}

fn local_path(epoch: u64, period: &str) -> String {
    format!("{}/local-{period}.parquet", folder_of(epoch))
}

/// Keeps what the last epoch of a model shows, before the first of another one is committed.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails.
pub(crate) async fn keep(store: &Store, last: &Manifest) -> Result<(), RuntimeError> {
    let files = last.local.iter().map(|(period, file)| (local_path(last.epoch, period), file));
    // The vintages come last: with them the folder is whole.
    let files = files.chain([(disclosed_path(last.epoch), &last.disclosed)]);
    for (path, file) in files {
        if let Some(bytes) = store.get(&file.path).await? {
            store.put(&path, bytes).await?;
        }
    }
    Ok(())
}

/// What an epoch shows, or what the last one of its model showed.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    store: &'a Store,
    /// The epoch.
    manifest: &'a Manifest,
    /// The last epoch of its model, if its files were kept.
    last: Option<u64>,
}

impl<'a> Shown<'a> {
    /// Of an epoch, whose model is another one than that of the newest epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub(crate) async fn of(store: &'a Store, manifest: &'a Manifest) -> Result<Self, RuntimeError> {
        let paths = store.list(FOLDER).await?;
        let epochs = paths.iter().filter(|path| path.ends_with("/disclosed.parquet"));
        let epochs = epochs.filter_map(|path| path.split('/').nth(1)?.parse::<u64>().ok());
        let last = epochs.filter(|epoch| *epoch >= manifest.epoch).min();
        Ok(Self { store, manifest, last })
    }

    /// Opens the epoch's own file or, if that is gone, what was kept of the last epoch of its model. A file that cannot be read, of
    /// an older form perhaps, is as good as none.
    async fn read(
        &self,
        entry_of: &(dyn Fn(&Manifest) -> Option<FileEntry> + Sync),
        kept: &(dyn Fn(u64) -> String + Sync),
        schema: SchemaRef,
    ) -> Result<Option<RecordBatch>, RuntimeError> {
        let mut entries: Vec<FileEntry> = entry_of(self.manifest).into_iter().collect();
        if let Some(last) = self.last {
            let (manifest, _) = Manifest::read(self.store, last).await?;
            let is_same = manifest.sql_sha256 == self.manifest.sql_sha256
                && manifest.reference_sha256 == self.manifest.reference_sha256;
            let entry_of = |manifest: &Manifest| entry_of(manifest).filter(|_| is_same);
            entries.extend(entry_of(&manifest).map(|entry| FileEntry { path: kept(last), ..entry }));
        }
        for entry in entries {
            match self.store.get_parquet(&entry, schema.clone()).await {
                Err(RuntimeError::Stop { .. }) => {}
                rows => return rows.map(Some),
            }
        }
        Ok(None)
    }

    /// Vintages of official figures by the definitions of the epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub(crate) async fn disclosed(&self) -> Result<Option<RecordBatch>, RuntimeError> {
        let entry_of = |manifest: &Manifest| Some(manifest.disclosed.clone());
        self.read(&entry_of, &disclosed_path, disclosed_schema(true)).await
    }

    /// What was shown of a month of persons. Rows that became known after the epoch are not what it showed.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub(crate) async fn local(&self, period: &str) -> Result<Option<RecordBatch>, RuntimeError> {
        let entry_of = |manifest: &Manifest| manifest.local.get(period).cloned();
        self.read(&entry_of, &|epoch| local_path(epoch, period), local::schema()).await
    }
}
