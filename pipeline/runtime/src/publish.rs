//! Published files: immutable Parquet per epoch, and `tables/latest/` for plain readers.
//!
//! `tables/latest/<table>.parquet` and its JSON sidecar are replaced one by one, each atomically, and
//! `tables/latest/_epoch.json` last; a reader who wants exactly one epoch compares its checksums or goes
//! through the manifest.

use arrow::array::RecordBatch;
use bytes::Bytes;
use rettidig_model::contract::{CHANGE_POLICY, Column, Table};
use serde_json::json;

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::store::{FileEntry, Store, join_parquet};

/// Folder for plain readers.
pub const LATEST: &str = "tables/latest";

/// Writes a table of an epoch.
pub(crate) async fn write(
    store: &Store,
    name: &str,
    batch: &RecordBatch,
    epoch: u64,
) -> Result<FileEntry, RuntimeError> {
    store.put_parquet("tables/files", name, batch, metadata(name, epoch)).await
}

/// Writes a table of an epoch from encoded parts.
pub(crate) async fn write_parts(
    store: &Store,
    table: &Table,
    parts: &[Bytes],
    epoch: u64,
) -> Result<FileEntry, RuntimeError> {
    let (bytes, rows) = join_parquet(parts, &table.schema(), metadata(table.name, epoch))?;
    store.put_immutable("tables/files", table.name, bytes, rows).await
}

/// The contract as plain key-value metadata, where any reader of Parquet finds it.
pub fn metadata(name: &str, epoch: u64) -> Vec<(String, String)> {
    let mut metadata = vec![("rettidig.epoch".to_owned(), epoch.to_string())];
    if let Some(table) = Table::named(name) {
        let whole = [
            ("description", table.description.to_owned()),
            ("danish", table.danish.to_owned()),
            ("grain", table.grain.join(",")),
            ("version", table.version.to_string()),
            ("changes", table.changes.text().to_owned()),
            ("change_policy", CHANGE_POLICY.to_owned()),
        ];
        metadata.extend(whole.map(|(what, text)| (format!("rettidig.table.{what}"), text)));
        for column in table.columns {
            let key = |what: &str| format!("rettidig.column.{}.{what}", column.name);
            metadata.push((key("unit"), unit(column).to_owned()));
            metadata.push((key("description"), column.description.to_owned()));
            metadata.push((key("danish"), column.danish.to_owned()));
        }
    }
    metadata
}

/// Brings `tables/latest` to an epoch; does nothing if it is there already.
pub(crate) async fn latest(store: &Store, manifest: &Manifest) -> Result<(), RuntimeError> {
    let marker_path = format!("{LATEST}/_epoch.json");
    let marker = marker(manifest);
    let shown: Option<serde_json::Value> =
        store.get(&marker_path).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    for (name, entry) in &manifest.tables {
        let same = shown.as_ref().is_some_and(|shown| {
            shown["files"][format!("{name}.parquet")] == marker["files"][format!("{name}.parquet")]
        });
        if same {
            continue;
        }
        let missing = || {
            let remedy = "restore the data folder from a copy";
            RuntimeError::stop(format!("publishing {}", entry.path), "the file is not there", remedy)
        };
        let bytes = store.get(&entry.path).await?.ok_or_else(missing)?;
        store.put(&format!("{LATEST}/{name}.parquet"), bytes).await?;
        if let Some(table) = Table::named(name) {
            store.put(&format!("{LATEST}/{name}.json"), pretty(&sidecar(table, manifest.epoch))).await?;
        }
    }
    if shown.as_ref() != Some(&marker) {
        store.put(&marker_path, pretty(&marker)).await?;
    }
    Ok(())
}

fn pretty(value: &serde_json::Value) -> Bytes {
    format!("{value:#}\n").into()
}

fn marker(manifest: &Manifest) -> serde_json::Value {
    let files: serde_json::Map<String, serde_json::Value> = manifest
        .tables
        .iter()
        .map(|(name, entry)| {
            (
                format!("{name}.parquet"),
                json!({ "sha256": entry.sha256, "rows": entry.rows, "bytes": entry.bytes }),
            )
        })
        .collect();
    json!({
        "epoch": manifest.epoch,
        "committed_at": manifest.committed_at,
        "as_of": manifest.as_of,
        "files": files,
    })
}

/// The contract of a table as JSON: what lies beside each file.
pub fn sidecar(table: &Table, epoch: u64) -> serde_json::Value {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "danish": column.danish,
                "type": column.kind.name(),
                "nullable": column.nullable,
                "unit": unit(column),
                "description": column.description,
            })
        })
        .collect();
    json!({
        "table": table.name,
        "danish": table.danish,
        "description": table.description,
        "danish_description": table.danish_description,
        "closed": table.closed,
        "grain": table.grain,
        "version": table.version,
        "changes": table.changes.text(),
        "change_policy": CHANGE_POLICY,
        "epoch": epoch,
        "columns": columns,
    })
}

/// The unit as metadata names it: a column without one says so.
pub fn unit(column: &Column) -> &'static str {
    if column.unit.is_empty() { "none" } else { column.unit }
}
