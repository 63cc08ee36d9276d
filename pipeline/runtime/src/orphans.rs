//! Files that no kept epoch needs any more.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::persons::BucketEntry;
use crate::store::Store;

/// Epochs whose files are kept.
const EPOCHS_KEPT: u64 = 8;

/// Folders of immutable files.
const FOLDERS: [&str; 3] = ["log", "state", "tables/files"];

/// Files that the kept epochs need, of which `newest` is the last.
#[derive(Default)]
struct Needed {
    files: BTreeSet<String>,
    /// Lists of bucket files; what they name is needed too.
    lists: BTreeSet<String>,
}

impl Needed {
    /// `None` if a manifest is gone or damaged: nobody knows then what is needed, and it is better to keep too much.
    async fn by_epochs(
        store: &Store,
        epochs: impl Iterator<Item = u64>,
    ) -> Result<Option<Self>, RuntimeError> {
        let mut needed = Self::default();
        for number in epochs {
            let Some(manifest) = manifest(store, number).await? else { return Ok(None) };
            needed.files.extend(manifest.files().map(str::to_owned));
            needed.lists.extend(manifest.persons.buckets.map(|file| file.path));
        }
        Ok(Some(needed))
    }

    /// With the files of buckets; `None` if a list is gone or damaged.
    async fn with_buckets(mut self, store: &Store) -> Result<Option<Self>, RuntimeError> {
        for list in &self.lists {
            let Some(files) = bucket_files(store, list).await? else { return Ok(None) };
            self.files.extend(files);
        }
        Ok(Some(self))
    }
}

/// Deletes files of the epoch that is no longer kept, if none of the newest epochs needs them, of which `newest` is the
/// last, and neither does a `pinned` one, which somebody reads. Manifests stay: whoever comes late with an old number must find it taken.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails.
pub(crate) async fn collect(store: &Store, newest: u64, pinned: Option<u64>) -> Result<(), RuntimeError> {
    let Some(oldest) = newest.checked_sub(EPOCHS_KEPT).filter(|oldest| *oldest > 0) else { return Ok(()) };
    let kept = pinned.into_iter().chain(oldest + 1..=newest);
    let Some(mut needed) = Needed::by_epochs(store, kept).await? else { return Ok(()) };
    let Some(gone) = manifest(store, oldest).await? else { return Ok(()) };
    // The files of buckets stand in a list of their own, which seldom changes.
    if let Some(list) = gone.persons.buckets.as_ref().filter(|list| !needed.lists.contains(&list.path)) {
        let Some(with_buckets) = needed.with_buckets(store).await? else { return Ok(()) };
        needed = with_buckets;
        for path in bucket_files(store, &list.path).await?.unwrap_or_default().difference(&needed.files) {
            store.delete(path).await?;
        }
    }
    for path in gone.files().filter(|path| !needed.files.contains(*path)) {
        store.delete(path).await?;
    }
    Ok(())
}

/// Deletes files that no kept epoch needs and that are older than `before`: those of commits and proposals that died before
/// their manifest. Younger ones may belong to an epoch that is being made. Returns how many.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails.
pub(crate) async fn sweep(
    store: &Store,
    newest: u64,
    pinned: Option<u64>,
    before: DateTime<Utc>,
) -> Result<u64, RuntimeError> {
    let oldest = newest.saturating_sub(EPOCHS_KEPT - 1).max(1);
    let kept = pinned.into_iter().chain(oldest..=newest);
    let Some(needed) = Needed::by_epochs(store, kept).await? else { return Ok(0) };
    let Some(needed) = needed.with_buckets(store).await? else { return Ok(0) };
    let mut deleted = 0;
    for folder in FOLDERS {
        for path in store.list_older(folder, before).await? {
            // Who writes the same bytes again writes them under the same name: look once more.
            if !needed.files.contains(&path) && store.is_older(&path, before).await? {
                store.delete(&path).await?;
                deleted += 1;
            }
        }
    }
    Ok(deleted)
}

/// The manifest of an epoch; `None` if it is gone or damaged.
async fn manifest(store: &Store, epoch: u64) -> Result<Option<Manifest>, RuntimeError> {
    match Manifest::read(store, epoch).await {
        Ok((manifest, _)) => Ok(Some(manifest)),
        Err(RuntimeError::Stop { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Paths of the bucket files that a list names; `None` if the list is gone or damaged.
async fn bucket_files(store: &Store, list: &str) -> Result<Option<BTreeSet<String>>, RuntimeError> {
    let Some(bytes) = store.get(list).await? else { return Ok(None) };
    let Ok(buckets) = serde_json::from_slice::<Vec<BucketEntry>>(&bytes) else { return Ok(None) };
    Ok(Some(buckets.into_iter().filter_map(|bucket| Some(bucket.file?.path)).collect()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn file(path: &str) -> serde_json::Value {
        json!({ "path": path, "rows": 0, "bytes": 0, "sha256": "" })
    }

    /// Commits an epoch whose bucket list names one bucket file; both are there.
    async fn commit(store: &Store, epoch: u64, list: &str, bucket: &str) {
        let entry = json!([{ "file": file(bucket), "through": epoch }]);
        store.put(list, entry.to_string().into()).await.expect("the list");
        store.put(bucket, Bytes::from_static(b"rows")).await.expect("the bucket file");
        let manifest: Manifest = serde_json::from_value(json!({
            "epoch": epoch, "previous": null, "committed_at": "2026-08-19T07:58:44Z", "as_of": "2026-08-19",
            "cluster_id": null, "positions": {}, "log": {}, "disclosed": file("state/disclosed"),
            "persons": { "buckets": file(list), "tail": [], "cells": {}, "wakes": [], "income_delivered": {}, "rows": 0 },
            "tables": {}, "sql_sha256": "", "reference_sha256": "", "frontiers": {},
            "counts": { "events": 0, "duplicates": 0, "dead_letters": {}, "unknown_fields": 0 },
        }))
        .expect("a manifest");
        assert!(manifest.commit(store).await.expect("committed"));
    }

    /// Goal: a file that a kept epoch needs is never deleted. Method: the oldest epoch shares a bucket file with a kept one
    /// and has one of its own; then the kept list is damaged, so that nobody can tell which is which.
    #[tokio::test]
    async fn only_what_no_kept_epoch_needs_goes_and_nothing_if_that_is_not_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::local(folder.path()).expect("a store");
        commit(&store, 1, "lists/1", "buckets/old").await;
        for epoch in 2..=EPOCHS_KEPT {
            commit(&store, epoch, "lists/2", "buckets/kept").await;
        }
        collect(&store, 8, None).await.expect("collected");
        assert!(store.get("buckets/old").await.expect("read").is_some(), "all epochs are kept yet");
        commit(&store, 9, "lists/2", "buckets/kept").await;
        store.put("lists/2", Bytes::from_static(b"[{")).await.expect("damaged");
        collect(&store, 9, None).await.expect("nothing to do");
        assert!(store.get("buckets/old").await.expect("read").is_some(), "the kept list cannot be read");
        commit(&store, 9, "lists/2", "buckets/kept").await;
        collect(&store, 9, Some(1)).await.expect("collected");
        assert!(store.get("buckets/old").await.expect("read").is_some(), "somebody reads the oldest epoch");
        collect(&store, 9, None).await.expect("collected");
        assert!(store.get("buckets/old").await.expect("read").is_none());
        assert!(store.get("lists/1").await.expect("read").is_none());
        assert!(store.get("buckets/kept").await.expect("read").is_some());
    }
}
