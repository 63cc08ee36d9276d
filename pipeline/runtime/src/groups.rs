//! Groups of official figures: one publisher and one reference period, the unit of change.
//!
//! What a group's events are, which figures of it changed, and the published tables of all groups. Pure but for the
//! model's own evaluation: no file, no clock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;
use arrow::row::{RowConverter, SortField};
use chrono::{DateTime, NaiveDate, Utc};
use rettidig_event::delivery;
use rettidig_model::evaluation::{FigureCounts, GroupKey, disclosed_schema};
use rettidig_model::{Model, TableInputs};

use crate::RuntimeError;

/// One group: its events and what came of them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Group {
    pub(crate) events: Vec<RecordBatch>,
    /// Figures that were sent but put aside.
    pub(crate) aside: Vec<RecordBatch>,
    pub(crate) vintages: Option<RecordBatch>,
    pub(crate) public: BTreeMap<String, RecordBatch>,
    pub(crate) figures: BTreeMap<String, FigureCounts>,
    pub(crate) digest: u128,
}

/// Figures by source that are new or changed in `after`.
pub(crate) fn figure_changes(
    before: &BTreeMap<GroupKey, Group>,
    after: &BTreeMap<GroupKey, Group>,
) -> BTreeMap<String, FigureCounts> {
    let mut changes: BTreeMap<String, FigureCounts> = BTreeMap::new();
    for (key, group) in after {
        for (source, counts) in &group.figures {
            let old =
                before.get(key).and_then(|group| group.figures.get(source)).copied().unwrap_or_default();
            let change = changes.entry(source.clone()).or_default();
            change.first += counts.first - old.first;
            change.revised += counts.revised - old.revised;
        }
    }
    changes
}

pub(crate) fn disclosed_of(groups: &BTreeMap<GroupKey, Group>) -> Result<RecordBatch, RuntimeError> {
    let vintages = groups.values().filter_map(|group| group.vintages.as_ref());
    Ok(concat_batches(&disclosed_schema(true), vintages)?)
}

pub(crate) async fn evaluate_tables(
    model: &Model,
    groups: &BTreeMap<GroupKey, Group>,
    deliveries: &[RecordBatch],
    (as_of, evaluated_at): (NaiveDate, DateTime<Utc>),
    kept: BTreeMap<&'static str, RecordBatch>,
) -> Result<BTreeMap<&'static str, RecordBatch>, RuntimeError> {
    let mut public = model.empty_public().await?;
    for (name, empty) in &mut public {
        let parts = groups.values().filter_map(|group| group.public.get(name));
        *empty = concat_batches(&empty.schema(), parts)?;
    }
    let inputs = TableInputs {
        disclosed: disclosed_of(groups)?,
        public,
        deliveries: concat_batches(&delivery::schema(), deliveries)?,
        as_of,
        evaluated_at,
        kept,
    };
    Ok(model.evaluate_tables(inputs).await?)
}

/// Evaluates a whole log at once, as if all of it had arrived in one epoch: the full recomputation.
///
/// # Errors
/// If the model fails, which is a bug.
pub(crate) async fn evaluate_log(
    model: &Model,
    (official, put_aside, deliveries): (RecordBatch, RecordBatch, RecordBatch),
    as_of: NaiveDate,
    evaluated_at: DateTime<Utc>,
    epochs: &RecordBatch,
) -> Result<BTreeMap<&'static str, RecordBatch>, RuntimeError> {
    let mut evaluated = model.evaluate_groups(official, put_aside, &BTreeMap::new()).await?;
    let epochs = Epochs::of(epochs)?;
    let mut groups: BTreeMap<GroupKey, Group> = BTreeMap::new();
    for (key, rows) in evaluated.vintages {
        groups.entry(key).or_default().vintages = Some(epochs.stamp(&rows, 0)?);
    }
    for (name, parts) in &mut evaluated.public {
        for (key, part) in std::mem::take(parts) {
            groups.entry(key).or_default().public.insert(name.clone(), part);
        }
    }
    // What is shown of persons continues from epoch to epoch; it is recomputed apart.
    evaluate_tables(model, &groups, &[deliveries], (as_of, evaluated_at), BTreeMap::new()).await
}

/// A column that the schema promises.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, RuntimeError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| arrow::error::ArrowError::SchemaError(format!("no column {name}")).into())
}

/// Cuts events by publisher and period.
pub(crate) fn split_by_group(rows: &RecordBatch) -> Result<Vec<(GroupKey, RecordBatch)>, RuntimeError> {
    let publisher = column(rows, "publisher")?.as_string::<i32>();
    let period = column(rows, "period")?.as_string::<i32>();
    let mut places: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for (row, number) in (0..rows.num_rows()).zip(0_u32..) {
        places.entry((publisher.value(row), period.value(row))).or_default().push(number);
    }
    let mut parts = Vec::with_capacity(places.len());
    for ((publisher, period), rows_of) in places {
        let part = take_record_batch(rows, &UInt32Array::from(rows_of))?;
        parts.push(((publisher.to_owned(), period.to_owned()), part));
    }
    Ok(parts)
}

/// Which epoch first published a row.
pub(crate) struct Epochs {
    converter: Option<RowConverter>,
    epochs: HashMap<Box<[u8]>, i64>,
}

impl Epochs {
    /// Columns that make a published row what it is; until when it was the newest does not.
    fn identity(rows: &RecordBatch) -> Vec<ArrayRef> {
        let fields = rows.schema();
        let columns = fields.fields().iter().zip(rows.columns());
        let columns = columns.filter(|(field, _)| !matches!(field.name().as_str(), "known_to" | "epoch"));
        columns.map(|(_, column)| Arc::clone(column)).collect()
    }

    pub(crate) fn of(rows: &RecordBatch) -> Result<Self, RuntimeError> {
        if rows.num_rows() == 0 {
            return Ok(Self { converter: None, epochs: HashMap::new() });
        }
        let columns = Self::identity(rows);
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let converted = converter.convert_columns(&columns)?;
        let epoch = column(rows, "epoch")?.as_primitive::<Int64Type>();
        let epochs =
            converted.iter().zip(epoch.values()).map(|(row, epoch)| (row.data().into(), *epoch)).collect();
        Ok(Self { converter: Some(converter), epochs })
    }

    pub(crate) fn stamp(&self, rows: &RecordBatch, epoch: u64) -> Result<RecordBatch, RuntimeError> {
        let new = i64::try_from(epoch).unwrap_or(i64::MAX);
        let epochs: Int64Array = match &self.converter {
            Some(converter) => {
                let converted = converter.convert_columns(&Self::identity(rows))?;
                converted
                    .iter()
                    .map(|row| Some(self.epochs.get(row.data()).copied().unwrap_or(new)))
                    .collect()
            }
            None => std::iter::repeat_n(Some(new), rows.num_rows()).collect(),
        };
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(epochs));
        Ok(RecordBatch::try_new(disclosed_schema(true), columns)?)
    }
}
