//! Following what somebody else commits: the newest epoch of a data folder, for a process that only shows.

use std::sync::Arc;
use std::time::Duration;

use rettidig_model::Model;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::RuntimeError;
use crate::committer::Snapshot;
use crate::manifest::Manifest;
use crate::store::Store;

/// Wait between two looks at the folder.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Shows each new epoch of `store` until told to stop. What cannot be read is tried again, and the epoch before stays.
pub async fn follow(
    store: &Store,
    model: &Model,
    snapshots: &watch::Sender<Option<Arc<Snapshot>>>,
    shutdown: &CancellationToken,
) {
    let mut shown = None;
    loop {
        match newer(store, model, shown).await {
            Ok(Some(snapshot)) => {
                shown = Some(snapshot.manifest.epoch);
                snapshots.send_replace(Some(Arc::new(snapshot)));
            }
            Ok(None) => {}
            // An epoch that was replaced while it was read has lost its files; the next look finds the newer one.
            Err(error) => tracing::warn!(%error, "the newest epoch cannot be read; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// The newest epoch, if it is not the one that is shown.
async fn newer(store: &Store, model: &Model, shown: Option<u64>) -> Result<Option<Snapshot>, RuntimeError> {
    let Some(newest) = Manifest::numbers(store).await?.pop().filter(|newest| Some(*newest) != shown) else {
        return Ok(None);
    };
    let (manifest, _) = Manifest::read(store, newest).await?;
    Snapshot::read(store, model, manifest).await.map(Some)
}
