//! Which events and files made a published value.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use rettidig_event::{Topic, units};
use rettidig_model::Model;
use rettidig_model::contract::Table;
use serde::Serialize;

use crate::RuntimeError;
use crate::committer::schema_of;
use crate::groups::column;
use crate::manifest::Manifest;
use crate::store::Store;

/// The value asked for.
#[derive(Debug, Clone)]
pub struct Question {
    /// Indicator.
    pub indicator: String,
    /// Kind of area.
    pub area_kind: String,
    /// Code of the area.
    pub area: String,
    /// Benefit.
    pub benefit: String,
    /// Period as published.
    pub period: String,
}

/// A published value over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownValue {
    /// The value; `None` if hidden or missing.
    pub value: Option<f64>,
    /// Its status.
    pub status: String,
    /// Since when.
    pub known_at: DateTime<Utc>,
    /// The epoch that first published it.
    pub epoch: i64,
}

/// An event behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventBehind {
    /// The log file that holds it.
    pub file: String,
    /// Its place: partition.
    pub partition: i32,
    /// Its place: offset.
    pub offset: i64,
    /// Municipality, or 0 for the country.
    pub area: i32,
    /// What it counts.
    pub measure: String,
    /// Value as sent; `None` if hidden or missing, or if the published value is hidden.
    pub value: Option<String>,
    /// When it was retrieved.
    pub retrieved_at: DateTime<Utc>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The source that feeds the indicator.
    pub source: String,
    /// SQL file that defines it.
    pub definition: String,
    /// Everything that was published of it, oldest first.
    pub values: Vec<KnownValue>,
    /// The events, oldest first.
    pub events: Vec<EventBehind>,
}

/// Explains a value of the newest epoch.
///
/// Events of a value that disclosure control hides are listed without their values.
///
/// # Errors
/// [`RuntimeError::Stop`] if there is no such indicator or value.
pub async fn explain(store: &Store, model: &Model, question: &Question) -> Result<Explanation, RuntimeError> {
    let attempt = || format!("explaining {} of {} {}", question.indicator, question.area_kind, question.area);
    let indicator = model.indicator(&question.indicator).ok_or_else(|| {
        let names: Vec<&str> =
            model.layer(rettidig_model::Layer::Published).map(|model| model.name.as_str()).collect();
        RuntimeError::stop(
            attempt(),
            "there is no such indicator",
            format!("choose one of {}", names.join(", ")),
        )
    })?;
    let (manifest, _) = Manifest::newest(store).await?.ok_or_else(|| {
        RuntimeError::stop(attempt(), "this data folder holds no epoch", "run `rettidig demo --once` first")
    })?;
    let values = values(store, &manifest, question).await?;
    if values.is_empty() {
        let remedy = "look for it with `rettidig query \"SELECT … FROM indicators\"`";
        return Err(RuntimeError::stop(
            attempt(),
            "no value was published for this benefit and period",
            remedy,
        ));
    }
    let hidden = values.iter().any(|known| known.value.is_none());
    let source = indicator.header.feeds.clone().unwrap_or_default();
    let mut events = Vec::new();
    for entry in manifest.log.get(Topic::Official.name()).into_iter().flatten() {
        let rows = store.get_parquet(entry, schema_of(Topic::Official)).await?;
        events.extend(events_in(&entry.path, &rows, &source, indicator, model, question, hidden)?);
    }
    events.sort_by_key(|event| (event.retrieved_at, event.area, event.partition, event.offset));
    Ok(Explanation { source, definition: format!("sql/{}", indicator.path), values, events })
}

async fn values(
    store: &Store,
    manifest: &Manifest,
    question: &Question,
) -> Result<Vec<KnownValue>, RuntimeError> {
    let (Some(entry), Some(table)) = (manifest.tables.get("vintages"), Table::named("vintages")) else {
        return Ok(Vec::new());
    };
    let rows = store.get_parquet(entry, table.schema()).await?;
    let text = |name: &str| column(&rows, name).map(|column| column.as_string::<i32>());
    let wanted = [
        (text("indicator")?, question.indicator.as_str()),
        (text("area_kind")?, &question.area_kind),
        (text("area")?, &question.area),
        (text("benefit")?, &question.benefit),
        (text("period")?, &question.period),
        (text("breakdown")?, "total"),
    ];
    let value = column(&rows, "value")?.as_primitive::<arrow::datatypes::Float64Type>();
    let known_at = column(&rows, "known_at")?.as_primitive::<TimestampMicrosecondType>();
    let (status, epoch) = (text("status")?, column(&rows, "epoch")?.as_primitive::<Int64Type>());
    let matching =
        (0..rows.num_rows()).filter(|row| wanted.iter().all(|(column, want)| column.value(*row) == *want));
    Ok(matching
        .map(|row| KnownValue {
            value: value.is_valid(row).then(|| value.value(row)),
            status: status.value(row).to_owned(),
            known_at: DateTime::from_timestamp_micros(known_at.value(row)).unwrap_or_default(),
            epoch: epoch.value(row),
        })
        .collect())
}

fn events_in(
    file: &str,
    rows: &RecordBatch,
    source: &str,
    indicator: &rettidig_model::SqlModel,
    model: &Model,
    question: &Question,
    hidden: bool,
) -> Result<Vec<EventBehind>, RuntimeError> {
    let text = |name: &str| column(rows, name).map(|column| column.as_string::<i32>());
    let (publisher, table, measure) = (text("publisher")?, text("table_id")?, text("measure")?);
    let (period, breakdown, breakdown_value) =
        (text("period")?, text("breakdown")?, text("breakdown_value")?);
    let area = column(rows, "area")?.as_primitive::<Int32Type>();
    let period_end = column(rows, "period_end")?.as_primitive::<Date32Type>();
    let value = column(rows, "value_micro")?.as_primitive::<Int64Type>();
    let retrieved_at = column(rows, "retrieved_at")?.as_primitive::<TimestampMicrosecondType>();
    let partition = column(rows, "topic_partition")?.as_primitive::<Int32Type>();
    let offset = column(rows, "topic_offset")?.as_primitive::<Int64Type>();
    let mut events = Vec::new();
    let mut members: Option<BTreeSet<i32>> = None;
    for row in 0..rows.num_rows() {
        // The benefit is a breakdown of the event; tables of one benefit have none.
        let benefit_fits = breakdown.value(row) == "total"
            || (breakdown.value(row) == "benefit" && breakdown_value.value(row) == question.benefit);
        let total_fits = breakdown.value(row) != "total"
            || question.benefit == "total"
            || !indicator.header.adds_over.eq(&rettidig_model::header::AddsOver::Benefit);
        if format!("{}-{}", publisher.value(row), table.value(row)) != source
            || period.value(row) != question.period
            || !indicator.sql.contains(&format!("'{}'", measure.value(row)))
            || !benefit_fits
            || !total_fits
        {
            continue;
        }
        let members = members.get_or_insert_with(|| members_of(model, question, period_end.value(row)));
        if !members.contains(&area.value(row)) {
            continue;
        }
        events.push(EventBehind {
            file: file.to_owned(),
            partition: partition.value(row),
            offset: offset.value(row),
            area: area.value(row),
            measure: measure.value(row).to_owned(),
            value: (value.is_valid(row) && !hidden).then(|| units::format_micro(value.value(row))),
            retrieved_at: DateTime::from_timestamp_micros(retrieved_at.value(row)).unwrap_or_default(),
        });
    }
    Ok(events)
}

/// Municipality codes of the area at the end of the period.
fn members_of(model: &Model, question: &Question, period_end: i32) -> BTreeSet<i32> {
    if question.area_kind == "country" {
        return BTreeSet::from([0]);
    }
    let Some(areas) = model.reference.get("areas") else { return BTreeSet::new() };
    let text = |name: &str| areas.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let date =
        |name: &str| areas.column_by_name(name).and_then(|column| column.as_primitive_opt::<Date32Type>());
    let (Some(area), Some(municipality), Some(from), Some(to)) =
        (text(&question.area_kind), text("municipality"), date("valid_from"), date("valid_to"))
    else {
        return BTreeSet::new();
    };
    (0..areas.num_rows())
        .filter(|row| area.value(*row) == question.area && from.value(*row) <= period_end)
        .filter(|row| to.is_null(*row) || to.value(*row) >= period_end)
        .filter_map(|row| municipality.value(row).parse().ok())
        .collect()
}
