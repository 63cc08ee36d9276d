//! Files that no kept epoch needs any more.

use std::collections::BTreeSet;

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::persons::BucketEntry;
use crate::store::Store;

/// Epochs whose files are kept.
const EPOCHS_KEPT: usize = 8;

/// Deletes files that none of the newest epochs needs.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails; [`RuntimeError::Stop`] if a manifest is damaged.
pub(crate) async fn collect(store: &Store) -> Result<(), RuntimeError> {
    let numbers = Manifest::numbers(store).await?;
    let (older, kept) = numbers.split_at(numbers.len().saturating_sub(EPOCHS_KEPT));
    let Some(oldest) = older.last() else { return Ok(()) };
    let mut needed: BTreeSet<String> = BTreeSet::new();
    let mut lists: BTreeSet<String> = BTreeSet::new();
    for number in kept {
        let (manifest, _) = Manifest::read(store, *number).await?;
        needed.extend(manifest.files().map(str::to_owned));
        lists.extend(manifest.persons.buckets.map(|file| file.path));
    }
    let (gone, _) = Manifest::read(store, *oldest).await?;
    // The files of buckets stand in a list of their own, which seldom changes.
    if let Some(list) = gone.persons.buckets.as_ref().filter(|list| !lists.contains(&list.path)) {
        for path in &lists {
            // Without it nobody knows what is needed: better to keep too much.
            let Some(files) = bucket_files(store, path).await? else { return Ok(()) };
            needed.extend(files);
        }
        for path in bucket_files(store, &list.path).await?.unwrap_or_default().difference(&needed) {
            store.delete(path).await?;
        }
    }
    for path in gone.files().filter(|path| !needed.contains(*path)) {
        store.delete(path).await?;
    }
    Ok(())
}

/// Paths of the bucket files that a list names; `None` if the list is gone or damaged.
async fn bucket_files(store: &Store, list: &str) -> Result<Option<BTreeSet<String>>, RuntimeError> {
    let Some(bytes) = store.get(list).await? else { return Ok(None) };
    let Ok(buckets) = serde_json::from_slice::<Vec<BucketEntry>>(&bytes) else { return Ok(None) };
    Ok(Some(buckets.into_iter().filter_map(|bucket| Some(bucket.file?.path)).collect()))
}
