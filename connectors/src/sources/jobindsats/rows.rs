//! From `{"columns":[…],"rows":[[…]]}` to figures.
//!
//! A body is taken whole or refused whole. Columns are found by label. A column that the profile does not
//! know is harmless if it holds numbers only (another measure) or one and the same text (a dimension at its
//! total); with several texts the rows would be of an unknown dimension, and the body is refused. Rows of
//! areas that are no municipality are skipped and counted.
//!
//! Cells: a number is a number; `null` and `-` are hidden (the service tells neither from zero); `..`, `.` and
//! the empty text are missing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rettidig_event::municipality::code_of;
use rettidig_event::{Period, Reason};
use serde_json::Value;

use super::profile::{Dimension, Labels, Query};
use crate::emit::{Figure, Refusal};
use crate::numbers::{Cell, danish, json_number};

/// What one body held.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub figures: Vec<Figure>,
    /// Rows by area name that is no municipality.
    pub skipped_areas: BTreeMap<String, u64>,
    /// Labels of a dimension that the profile does not know.
    pub skipped_labels: BTreeSet<String>,
}

fn shape(message: impl Into<String>) -> Refusal {
    Refusal::new(Reason::UnknownShape, message)
}

/// The columns of one body, by place.
struct Columns {
    period: usize,
    area: usize,
    dimensions: Vec<usize>,
    measures: Vec<Option<usize>>,
    count: usize,
}

pub(super) fn parse(body: &Value, query: &Query, labels: &Labels) -> Result<Parsed, Refusal> {
    let names = body
        .get("columns")
        .and_then(Value::as_array)
        .and_then(|columns| columns.iter().map(Value::as_str).collect::<Option<Vec<_>>>())
        .ok_or_else(|| shape("columns: expected a list of texts"))?;
    let rows = body
        .get("rows")
        .and_then(Value::as_array)
        .ok_or_else(|| shape("rows: expected a list of lists"))?
        .iter()
        .map(|row| row.as_array().filter(|row| row.len() == names.len()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| shape(format!("rows: expected lists of {} cells", names.len())))?;
    if rows.is_empty() {
        return Err(Refusal::new(Reason::Empty, "rows: the table came without a single row"));
    }
    let columns = find_columns(&names, query, labels)?;
    check_unclaimed(&names, &rows, &columns)?;

    let mut parsed = Parsed::default();
    let mut seen = HashSet::new();
    let mut found_codes = BTreeSet::new();
    for (number, row) in rows.iter().enumerate() {
        let text = |column: usize| {
            row[column]
                .as_str()
                .map(str::trim)
                .ok_or_else(|| shape(format!("rows[{number}]: expected a text in column {}", names[column])))
        };
        let period: Period = text(columns.period)?
            .parse()
            .map_err(|error| Refusal::new(Reason::InvalidValue, format!("rows[{number}]: {error}")))?;
        let area = text(columns.area)?;
        let Some(area) = area_code(area, labels) else {
            *parsed.skipped_areas.entry(area.to_owned()).or_default() += 1;
            continue;
        };
        let mut breakdown = BTreeMap::new();
        let mut wanted = true;
        for (dimension, column) in query.dimensions.iter().zip(&columns.dimensions) {
            let label = text(*column)?;
            match meaning(dimension, label) {
                Meaning::Total => {
                    found_codes.insert((&*dimension.name, ""));
                }
                Meaning::Value(code) => {
                    found_codes.insert((&*dimension.name, code));
                    breakdown.insert(dimension.name.clone(), code.to_owned());
                }
                Meaning::Skip => wanted = false,
                Meaning::Unknown => {
                    wanted = false;
                    parsed.skipped_labels.insert(format!("{}: {label}", dimension.name));
                }
            }
        }
        if !wanted {
            continue;
        }
        for (measure, column) in query.measures.iter().zip(&columns.measures) {
            let Some(column) = *column else { continue };
            if measure.totals_only && !breakdown.is_empty() {
                continue;
            }
            let cell = cell(&row[column]).ok_or_else(|| {
                let message = format!(
                    "rows[{number}], column {}: no number: {:.40}",
                    names[column],
                    row[column].to_string()
                );
                Refusal::new(Reason::InvalidValue, message)
            })?;
            let figure =
                Figure { measure: measure.name.clone(), area, period, breakdown: breakdown.clone(), cell };
            if !seen.insert((figure.measure.clone(), area, period, breakdown.clone())) {
                return Err(shape(format!(
                    "rows[{number}]: a second row for the same period, area and breakdown; is a dimension \
                     missing in the profile?"
                )));
            }
            parsed.figures.push(figure);
        }
    }
    check_renamed(query, &found_codes, &parsed.skipped_labels)?;
    if parsed.figures.is_empty() {
        return Err(shape("rows: none of them is of a municipality or the whole country"));
    }
    Ok(parsed)
}

fn find_columns(names: &[&str], query: &Query, labels: &Labels) -> Result<Columns, Refusal> {
    let find = |wanted: &[String]| {
        wanted.iter().find_map(|label| names.iter().position(|name| name.trim() == label))
    };
    let must = |wanted: &[String], what: &str| {
        find(wanted).ok_or_else(|| {
            let wanted = wanted.join(" | ");
            shape(format!("columns: no {what} ({wanted}) among: {}", names.join(" | ")))
        })
    };
    let mut measures = Vec::new();
    for measure in &query.measures {
        let what = format!("measure {}", measure.name);
        measures.push(if measure.optional {
            find(&measure.column)
        } else {
            Some(must(&measure.column, &what)?)
        });
    }
    let columns = Columns {
        period: must(&labels.period, "period")?,
        area: must(&labels.area, "area")?,
        dimensions: query
            .dimensions
            .iter()
            .map(|dimension| must(&dimension.column, &format!("dimension {}", dimension.name)))
            .collect::<Result<_, _>>()?,
        measures,
        count: names.len(),
    };
    Ok(columns)
}

/// Refuses rows of a dimension that the profile does not know.
fn check_unclaimed(names: &[&str], rows: &[&Vec<Value>], columns: &Columns) -> Result<(), Refusal> {
    let claimed: HashSet<usize> = [columns.period, columns.area]
        .into_iter()
        .chain(columns.dimensions.iter().copied())
        .chain(columns.measures.iter().flatten().copied())
        .collect();
    for column in (0..columns.count).filter(|column| !claimed.contains(column)) {
        let texts: HashSet<&str> = rows
            .iter()
            .filter_map(|row| row[column].as_str())
            .filter(|text| danish(text, Cell::Hidden).is_none())
            .take(10_000)
            .collect();
        if texts.len() > 1 {
            return Err(shape(format!(
                "columns: {} is a dimension that the profile does not know; ask for its total under hierarchies",
                names[column]
            )));
        }
    }
    Ok(())
}

/// A label nobody knows while a known one is absent is a renamed label: refuse rather than lose its figures.
fn check_renamed(
    query: &Query,
    found: &BTreeSet<(&str, &str)>,
    unknown: &BTreeSet<String>,
) -> Result<(), Refusal> {
    for dimension in &query.dimensions {
        let prefix = format!("{}: ", dimension.name);
        let unknown: Vec<&str> =
            unknown.iter().filter_map(|label| label.strip_prefix(&prefix)).take(20).collect();
        if unknown.is_empty() {
            continue;
        }
        let codes = dimension.values.iter().map(|(_, code)| code.as_str());
        let total = (!dimension.total.is_empty()).then_some("");
        for code in codes.chain(total) {
            if !found.contains(&(dimension.name.as_str(), code)) {
                let code = if code.is_empty() { "the total" } else { code };
                return Err(shape(format!(
                    "dimension {}: no row of {code}, but unknown labels: {}",
                    dimension.name,
                    unknown.join(" | ")
                )));
            }
        }
    }
    Ok(())
}

fn area_code(name: &str, labels: &Labels) -> Option<i32> {
    if labels.country.iter().any(|country| country == name) {
        return Some(0);
    }
    code_of(name)
}

enum Meaning<'p> {
    Total,
    Value(&'p str),
    Skip,
    Unknown,
}

fn meaning<'p>(dimension: &'p Dimension, label: &str) -> Meaning<'p> {
    if dimension.total.iter().any(|total| total == label) {
        return Meaning::Total;
    }
    if let Some((_, code)) = dimension.values.iter().find(|(known, _)| known == label) {
        return Meaning::Value(code);
    }
    if dimension.skip.iter().any(|skip| skip == label) { Meaning::Skip } else { Meaning::Unknown }
}

fn cell(value: &Value) -> Option<Cell> {
    match value {
        Value::Null => Some(Cell::Hidden),
        Value::Number(number) => json_number(number),
        Value::String(text) => danish(text, Cell::Hidden),
        _ => None,
    }
}
