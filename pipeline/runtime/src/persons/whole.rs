//! The cells of a whole log, of all its rows or some.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use rettidig_event::person::{self, BUCKETS};
use rettidig_model::Model;
use rettidig_model::persons::{Parameters, unique};

use super::change::evaluate;
use super::{CellStore, PersonLog};
use crate::RuntimeError;

/// The cells of a log that holds all persons, of those rows that `keep` says.
///
/// # Errors
/// As [`PersonLog::bucket`].
pub(crate) async fn cells_of(
    log: &PersonLog,
    model: &Arc<Model>,
    with: &Parameters,
    keep: impl Fn(&RecordBatch) -> Result<Vec<bool>, RuntimeError>,
) -> Result<CellStore, RuntimeError> {
    let mut cells = CellStore::new(model).await?;
    let (mut batches, mut rows) = (Vec::new(), 0);
    for bucket in 0..BUCKETS {
        let all = log.bucket(bucket).await?;
        let all = take_record_batch(&all, &UInt32Array::from(unique(&all).order))?;
        let kept = filter_record_batch(&all, &BooleanArray::from(keep(&all)?))?;
        rows += kept.num_rows();
        batches.push(kept);
        if rows > 0 && (rows >= log.limits().audit_rows || bucket + 1 == BUCKETS) {
            let some = concat_batches(&person::schema(), &batches)?;
            cells.add(&evaluate(Arc::clone(model), some, with.clone()).await?.cells, 1)?;
            (batches, rows) = (Vec::new(), 0);
        }
    }
    Ok(cells)
}
