//! Who read closed tables: lines of [`rettidig_runtime::reads`], written before anything is told.

use std::path::Path;

use chrono::{DateTime, Utc};
use rettidig_runtime::RuntimeError;
use rettidig_runtime::reads::{self, Log};

use crate::access::Reader;

/// Writes down that a reader read something closed; it is on the disk when this returns. Who shows no token reads nothing closed, and is not
/// written down.
///
/// # Errors
/// [`RuntimeError::Stop`] if it cannot be written: then nothing may be told.
pub(crate) async fn note(
    folder: &Path,
    reader: &Reader,
    question: serde_json::Value,
    epoch: u64,
    at: DateTime<Utc>,
) -> Result<(), RuntimeError> {
    let Some(name) = reader.name() else { return Ok(()) };
    let (folder, name) = (folder.to_owned(), name.to_owned());
    let noted = tokio::task::spawn_blocking(move || {
        let reader = reads::Reader { user: reads::operating_system_user()?, name: Some(name) };
        reads::note(&folder, Log::Closed, &reader, question, epoch, at)
    });
    noted.await.unwrap_or_else(|error| {
        Err(RuntimeError::stop("writing down who reads a closed table", error, "look into the log"))
    })
}
