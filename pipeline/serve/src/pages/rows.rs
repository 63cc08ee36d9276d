//! Rows of a batch as values of a type: by the names of the columns.

use arrow::array::RecordBatch;
use arrow::json::ArrayWriter;
use serde::de::DeserializeOwned;

use super::Fault;

/// The rows of a batch. Days and instants are texts as in ISO 8601; what is null is left out.
///
/// # Errors
/// If a row does not fit the type, which is a fault of ours.
pub(crate) fn rows<T: DeserializeOwned>(batch: &RecordBatch) -> Result<Vec<T>, Fault> {
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let mut writer = ArrayWriter::new(Vec::new());
    writer.write(batch).map_err(|error| Fault::broken(&error))?;
    writer.finish().map_err(|error| Fault::broken(&error))?;
    serde_json::from_slice(&writer.into_inner()).map_err(|error| Fault::broken(&error))
}
