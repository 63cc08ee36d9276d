//! The data folder: immutable files named by their content, and a few names that are replaced atomically.
//!
//! Everything goes through `object_store`, so a local folder and a bucket behave alike. A put is atomic: a
//! reader sees the old bytes or the new ones. [`Store::put_if_absent`] is the commit point of an epoch.
//! Against a killed process everything written is safe; against a power cut as safe as the file system's own
//! ordering (local files are not fsynced one by one; after a torn file its checksum tells, and the topics have
//! the events).

use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::RuntimeError;

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the data folder.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
}

/// The data folder.
#[derive(Debug, Clone)]
pub struct Store(Arc<dyn ObjectStore>);

impl Store {
    /// Opens a local folder; makes it if it is not there.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the folder cannot be made or opened.
    pub fn local(folder: &Path) -> Result<Self, RuntimeError> {
        let attempt = || format!("opening the data folder {}", folder.display());
        let remedy = "choose a folder that this user may write to with --data";
        std::fs::create_dir_all(folder).map_err(|error| RuntimeError::stop(attempt(), error, remedy))?;
        let inner = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| RuntimeError::stop(attempt(), error, remedy))?;
        Ok(Self::over(Arc::new(inner)))
    }

    /// A data folder in any storage.
    pub fn over(storage: Arc<dyn ObjectStore>) -> Self {
        Self(storage)
    }

    /// Writes a file only if its name is free; `false` if it is taken.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<bool, RuntimeError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.0.put_opts(&Key::from(path), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(RuntimeError::retry(format!("writing {path}"), error)),
        }
    }

    /// Writes or replaces a file atomically.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), RuntimeError> {
        let put = self.0.put(&Key::from(path), PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| RuntimeError::retry(format!("writing {path}"), error))
    }

    /// Reads a file; `None` if it is not there.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, RuntimeError> {
        let attempt = |error| RuntimeError::retry(format!("reading {path}"), error);
        match self.0.get(&Key::from(path)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(attempt),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(attempt(error)),
        }
    }

    /// Paths below a folder.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, RuntimeError> {
        let found = self.0.list(Some(&Key::from(folder))).map_ok(|meta| meta.location.to_string());
        found.try_collect().await.map_err(|error| RuntimeError::retry(format!("listing {folder}"), error))
    }

    /// Paths below a folder of files that were last written before an instant.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn list_older(&self, folder: &str, before: DateTime<Utc>) -> Result<Vec<String>, RuntimeError> {
        let found = self.0.list(Some(&Key::from(folder)));
        let old = found.try_filter(|meta| std::future::ready(meta.last_modified < before));
        let paths = old.map_ok(|meta| meta.location.to_string());
        paths.try_collect().await.map_err(|error| RuntimeError::retry(format!("listing {folder}"), error))
    }

    /// Whether a file is there and was last written before an instant.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn is_older(&self, path: &str, before: DateTime<Utc>) -> Result<bool, RuntimeError> {
        match self.0.head(&Key::from(path)).await {
            Ok(meta) => Ok(meta.last_modified < before),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(RuntimeError::retry(format!("reading {path}"), error)),
        }
    }

    /// Deletes a file; one that is not there is no error.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn delete(&self, path: &str) -> Result<(), RuntimeError> {
        match self.0.delete(&Key::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(RuntimeError::retry(format!("deleting {path}"), error)),
        }
    }

    /// Writes an immutable file under a name made of its content; `<folder>/<stem>-<16 hex digits>.parquet`.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn put_parquet(
        &self,
        folder: &str,
        stem: &str,
        batch: &RecordBatch,
        metadata: Vec<(String, String)>,
    ) -> Result<FileEntry, RuntimeError> {
        self.put_immutable(folder, stem, to_parquet(batch, metadata)?, batch.num_rows() as u64).await
    }

    /// Writes encoded Parquet as an immutable file, as [`Store::put_parquet`] does.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn put_immutable(
        &self,
        folder: &str,
        stem: &str,
        bytes: Bytes,
        rows: u64,
    ) -> Result<FileEntry, RuntimeError> {
        let sha256 = sha256_hex(&bytes);
        let path = format!("{folder}/{stem}-{}.parquet", &sha256[..16]);
        let entry = FileEntry { path, rows, bytes: bytes.len() as u64, sha256 };
        // Taken means that the same content is there already, or half of it from a torn write: put anew.
        self.put(&entry.path, bytes).await?;
        Ok(entry)
    }

    /// Reads an immutable file and checks it against its entry.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the file is gone or its bytes are not the ones that were written.
    pub async fn get_parquet(
        &self,
        entry: &FileEntry,
        schema: SchemaRef,
    ) -> Result<RecordBatch, RuntimeError> {
        let attempt = format!("opening {}", entry.path);
        let remedy = "restore the data folder from a copy, or start with an empty one and let the topics be read again";
        let bytes = self
            .get(&entry.path)
            .await?
            .ok_or_else(|| RuntimeError::stop(&attempt, "the file is not there", remedy))?;
        if sha256_hex(&bytes) != entry.sha256 {
            return Err(RuntimeError::stop(&attempt, "its checksum is not the one in the manifest", remedy));
        }
        let batch =
            from_parquet(bytes, schema).map_err(|error| RuntimeError::stop(&attempt, error, remedy))?;
        if batch.num_rows() as u64 != entry.rows {
            return Err(RuntimeError::stop(
                &attempt,
                "its rows are not as many as the manifest says",
                remedy,
            ));
        }
        Ok(batch)
    }
}

/// SHA-256, hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn bug(error: ParquetError) -> RuntimeError {
    RuntimeError::stop("encoding Parquet", error, "report this as a bug")
}

fn properties(metadata: Vec<(String, String)>) -> Result<WriterProperties, ParquetError> {
    let metadata = metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by("rettidig".to_owned())
        .set_key_value_metadata(Some(metadata))
        .build())
}

/// Encodes a batch as Parquet; the same rows give the same bytes.
pub fn to_parquet(batch: &RecordBatch, metadata: Vec<(String, String)>) -> Result<Bytes, RuntimeError> {
    let mut bytes = Vec::new();
    let properties = properties(metadata).map_err(bug)?;
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).map_err(bug)?;
    writer.write(batch).map_err(bug)?;
    writer.close().map_err(bug)?;
    Ok(bytes.into())
}

/// Puts files of one schema, as [`to_parquet`] makes them, one after the other without encoding anything again; gives the
/// file and its rows.
pub(crate) fn join_parquet(
    parts: &[Bytes],
    schema: &Schema,
    metadata: Vec<(String, String)>,
) -> Result<(Bytes, u64), RuntimeError> {
    join(parts, schema, metadata).map_err(bug)
}

fn join(
    parts: &[Bytes],
    schema: &Schema,
    metadata: Vec<(String, String)>,
) -> Result<(Bytes, u64), ParquetError> {
    let mut properties = properties(metadata)?;
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let root = ArrowSchemaConverter::new().convert(schema)?.root_schema_ptr();
    let (mut bytes, mut rows) = (Vec::new(), 0);
    let mut writer = SerializedFileWriter::new(&mut bytes, root, Arc::new(properties))?;
    for part in parts {
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(part)?;
        for (number, group) in metadata.row_groups().iter().enumerate() {
            let column_indexes = metadata.column_index().and_then(|groups| groups.get(number));
            let offset_indexes = metadata.offset_index().and_then(|groups| groups.get(number));
            let mut to = writer.next_row_group()?;
            for (place, column) in group.columns().iter().enumerate() {
                let chunk = ColumnCloseResult {
                    bytes_written: u64::try_from(column.compressed_size()).unwrap_or_default(),
                    rows_written: u64::try_from(group.num_rows()).unwrap_or_default(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: column_indexes.and_then(|columns| columns.get(place)).cloned(),
                    offset_index: offset_indexes.and_then(|columns| columns.get(place)).cloned(),
                };
                to.append_column(part, chunk)?;
            }
            to.close()?;
            rows += u64::try_from(group.num_rows()).unwrap_or_default();
        }
    }
    writer.close()?;
    Ok((bytes.into(), rows))
}

fn from_parquet(bytes: Bytes, schema: SchemaRef) -> Result<RecordBatch, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(1 << 16).build())
        .map_err(|error| error.to_string())?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let batches: Result<Vec<_>, _> = batches.iter().map(|batch| conform(batch, &schema)).collect();
    concat_batches(&schema, &batches.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

/// Rows of a file in today's columns: one that the file is too old to have is blank.
pub(crate) fn conform(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    /// A file is read in today's columns by their names: a new one that may be blank is, one that must not be is told.
    #[test]
    fn a_file_older_than_a_column_reads_as_blank_in_it() {
        let schema = |fields: &[(&str, DataType, bool)]| -> SchemaRef {
            let field =
                |(name, kind, blank): &(&str, DataType, bool)| Field::new(*name, kind.clone(), *blank);
            Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
        };
        let id = ("id", DataType::Int64, false);
        let then = schema(std::slice::from_ref(&id));
        let rows = RecordBatch::try_new(then, vec![Arc::new(Int64Array::from(vec![1, 2]))]).expect("rows");
        let bytes = to_parquet(&rows, Vec::new()).expect("bytes");
        let now = schema(&[("school", DataType::Utf8, true), id.clone()]);
        let read = from_parquet(bytes.clone(), Arc::clone(&now)).expect("read");
        let blank: StringArray = vec![None::<&str>, None].into_iter().collect();
        let expected = vec![Arc::new(blank) as Arc<dyn Array>, Arc::new(Int64Array::from(vec![1, 2]))];
        assert_eq!(read, RecordBatch::try_new(now, expected).expect("rows"));
        let must = schema(&[id, ("person", DataType::Int64, false)]);
        let error = from_parquet(bytes, must).expect_err("nobody knows who it was");
        assert!(error.contains("person"), "{error}");
    }
}
