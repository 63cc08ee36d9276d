//! A table as JSON-stat 2.0: a cube of one measure over the columns that identify a row.
//!
//! Area and its kind are one dimension, a breakdown and its value too: `municipality:0101`, `age:16-29`. A cell without a value has no
//! entry in `value`; `status` says `hidden` or `missing` of it, and a status other than `final` of cells that have one. A cell that is in
//! neither is no row of the table. Readers lay a cube out in full, so one of more than [`CELLS_MAX`] cells comes as a collection of
//! smaller ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::RecordBatch;
use rettidig_model::contract::{Kind, Table};
use rettidig_runtime::Manifest;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::FormError;
use super::cells::{Cell, Cells, instant};
use super::labels::Labels;
use super::select::Selection;
use crate::catalogue::ATTRIBUTION;

/// Cells of a cube that comes as one.
pub(super) const CELLS_MAX: u64 = 1_000_000;

/// Columns that are one dimension together, by the name of the second.
const PAIRS: [(&str, &str); 2] = [("area_kind", "area"), ("breakdown", "breakdown_value")];

/// Name of the dimension of tables without indicators: it has one category, what is measured.
const MEASURE: &str = "measure";

/// A category: one value of a column, or of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key<'a> {
    Text(&'a str),
    Number(i64),
    Pair(&'a str, &'a str),
}

impl Key<'_> {
    fn id(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Number(number) => number.to_string(),
            // What is divided by nothing and what is about nothing but itself needs no kind.
            Self::Pair(kind, value) if kind == value => value.to_owned(),
            Self::Pair(kind, value) => format!("{kind}:{value}"),
        }
    }
}

/// A dimension: its columns, and its categories in order.
struct Dimension<'a> {
    name: &'static str,
    label: String,
    columns: Vec<usize>,
    categories: BTreeSet<Key<'a>>,
}

/// Numbers by the place of the cell.
struct Sparse<T>(Vec<(u64, T)>);

impl<T: Serialize> Serialize for Sparse<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (place, value) in &self.0 {
            map.serialize_entry(&place.to_string(), value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Dataset<'a> {
    version: &'static str,
    class: &'static str,
    #[serde(flatten)]
    about: Value,
    id: Vec<&'static str>,
    size: Vec<usize>,
    role: Value,
    dimension: Value,
    value: Sparse<f64>,
    status: Sparse<&'a str>,
}

/// The JSON-stat of the rows that were chosen.
///
/// # Errors
/// [`FormError::NoSuchForm`] if the table makes no cube.
pub(super) fn encode(
    table: &'static Table,
    rows: &RecordBatch,
    manifest: &Manifest,
    labels: &Labels,
    selection: &Selection,
) -> Result<Vec<u8>, FormError> {
    let Some(measure) = table.measure else {
        return Err(FormError::NoSuchForm(format!(
            "{} has more than one measure and makes no cube: take {1}.csv, {1}.xlsx or {1}.parquet",
            table.name, table.name
        )));
    };
    let cells = Cells::of(rows)?;
    let count = rows.num_rows();
    let mut dimensions = dimensions(table)?;
    for dimension in &mut dimensions {
        dimension.categories = (0..count).map(|row| key(&cells, row, &dimension.columns)).collect();
    }
    let sizes: Vec<u64> = dimensions.iter().map(|dimension| dimension.categories.len() as u64).collect();
    let product = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let about = about(table, manifest);
    if product.is_none_or(|product| product > CELLS_MAX) {
        let collection = collection(table, &cells, count, about, labels, selection)?;
        return serde_json::to_vec(&collection).map_err(|error| FormError::Broken(error.to_string()));
    }
    let places: Vec<HashMap<Key<'_>, u64>> = dimensions
        .iter()
        .map(|dimension| dimension.categories.iter().copied().zip(0_u64..).collect())
        .collect();
    let place_of = |name: &str| table.columns.iter().position(|column| column.name == name);
    let measured = place_of(measure).ok_or_else(|| lacks(table, measure))?;
    let status_at = place_of("status");
    let (mut values, mut statuses) = (Vec::with_capacity(count), Vec::new());
    for row in 0..count {
        let mut place = 0;
        for ((dimension, size), known) in dimensions.iter().zip(&sizes).zip(&places) {
            let category = known.get(&key(&cells, row, &dimension.columns)).copied().unwrap_or_default();
            place = place * size + category;
        }
        match cells.cell(row, measured) {
            Cell::Float(value) => values.push((place, value)),
            Cell::Integer(value) => values.push((place, value as f64)),
            _ => {}
        }
        match status_at.map(|column| cells.cell(row, column)) {
            Some(Cell::Text("final")) | None => {}
            Some(Cell::Text(status)) => statuses.push((place, status)),
            Some(_) => {}
        }
    }
    values.sort_by_key(|(place, _)| *place);
    statuses.sort_by_key(|(place, _)| *place);
    let units = units(table, &cells, count, measured);
    let dataset = Dataset {
        version: "2.0",
        class: "dataset",
        about,
        id: ids(&dimensions),
        size: dimensions
            .iter()
            .map(|dimension| dimension.categories.len())
            .chain(extra(&dimensions))
            .collect(),
        role: role(&dimensions),
        dimension: described(table, &dimensions, labels, &units),
        value: Sparse(values),
        status: Sparse(statuses),
    };
    serde_json::to_vec(&dataset).map_err(|error| FormError::Broken(error.to_string()))
}

fn lacks(table: &Table, column: &str) -> FormError {
    FormError::Broken(format!("the contract of {} names {column}, which is no column of it", table.name))
}

/// The dimensions of a table, still without categories.
fn dimensions<'a>(table: &'static Table) -> Result<Vec<Dimension<'a>>, FormError> {
    let mut dimensions = Vec::new();
    for name in table.grain {
        let place = |name: &str| {
            table.columns.iter().position(|column| column.name == name).ok_or_else(|| lacks(table, name))
        };
        if PAIRS.iter().any(|(first, second)| name == first && table.grain.contains(second)) {
            continue;
        }
        let first = PAIRS.iter().find(|(first, second)| name == second && table.grain.contains(first));
        let columns = first.map(|(first, _)| *first).into_iter().chain([*name]);
        let name = first.map_or(*name, |(first, second)| if *first == "breakdown" { first } else { second });
        let label = table.column(name).map_or(name, |column| column.danish).to_owned();
        let columns = columns.map(place).collect::<Result<_, _>>()?;
        dimensions.push(Dimension { name, label, columns, categories: BTreeSet::new() });
    }
    Ok(dimensions)
}

fn key<'a>(cells: &Cells<'a>, row: usize, columns: &[usize]) -> Key<'a> {
    let text = |column: usize| match cells.cell(row, column) {
        Cell::Text(text) => text,
        _ => "",
    };
    match columns {
        [first, second] => Key::Pair(text(*first), text(*second)),
        [one] => match cells.cell(row, *one) {
            Cell::Integer(number) => Key::Number(number),
            _ => Key::Text(text(*one)),
        },
        _ => Key::Text(""),
    }
}

fn has_indicators(dimensions: &[Dimension<'_>]) -> bool {
    dimensions.iter().any(|dimension| dimension.name == "indicator")
}

/// The size of the dimension of what is measured, if no other one says it.
fn extra(dimensions: &[Dimension<'_>]) -> Option<usize> {
    (!has_indicators(dimensions)).then_some(1)
}

fn ids(dimensions: &[Dimension<'_>]) -> Vec<&'static str> {
    let named = dimensions.iter().map(|dimension| dimension.name);
    named.chain(extra(dimensions).map(|_| MEASURE)).collect()
}

fn role(dimensions: &[Dimension<'_>]) -> Value {
    let mut role = Map::new();
    let has = |name: &str| dimensions.iter().any(|dimension| dimension.name == name);
    let roles = [("time", &["period", "quarter", "round"][..]), ("geo", &["area", "jobcentre"])];
    for (what, names) in roles {
        let names: Vec<_> = names.iter().filter(|name| has(name)).collect();
        if !names.is_empty() {
            role.insert(what.to_owned(), json!(names));
        }
    }
    let metric = if has_indicators(dimensions) { "indicator" } else { MEASURE };
    role.insert("metric".to_owned(), json!([metric]));
    Value::Object(role)
}

/// Units by indicator, or of what is measured under its name.
fn units<'a>(
    table: &'static Table,
    cells: &Cells<'a>,
    count: usize,
    measured: usize,
) -> BTreeMap<&'a str, &'a str> {
    let place_of = |name: &str| table.columns.iter().position(|column| column.name == name);
    match (place_of("indicator"), place_of("unit")) {
        (Some(indicator), Some(unit)) => (0..count)
            .filter_map(|row| match (cells.cell(row, indicator), cells.cell(row, unit)) {
                (Cell::Text(indicator), Cell::Text(unit)) => Some((indicator, unit)),
                _ => None,
            })
            .collect(),
        _ => BTreeMap::from([(table.columns[measured].name, table.columns[measured].unit)]),
    }
}

fn described(
    table: &Table,
    dimensions: &[Dimension<'_>],
    labels: &Labels,
    units: &BTreeMap<&str, &str>,
) -> Value {
    let unit_of = |id: &str| units.get(id).map(|unit| json!({ "label": unit }));
    let mut described = Map::new();
    for dimension in dimensions {
        let ids: Vec<String> = dimension.categories.iter().map(|key| key.id()).collect();
        let mut names = Map::new();
        let mut unit = Map::new();
        for (key, id) in dimension.categories.iter().zip(&ids) {
            let label = match *key {
                Key::Text(text) => labels.of(dimension.name, text),
                Key::Number(number) => number.to_string(),
                Key::Pair(kind, value) => labels.of_pair(dimension.name, kind, value),
            };
            names.insert(id.clone(), Value::String(label));
            if dimension.name == "indicator" {
                unit.extend(unit_of(id).map(|unit| (id.clone(), unit)));
            }
        }
        let mut category = json!({ "index": ids, "label": names });
        if !unit.is_empty() {
            category["unit"] = Value::Object(unit);
        }
        described
            .insert(dimension.name.to_owned(), json!({ "label": dimension.label, "category": category }));
    }
    if extra(dimensions).is_some() {
        let column = table.measure.and_then(|name| table.column(name));
        let (name, danish) = column.map_or(("", ""), |column| (column.name, column.danish));
        let category = json!({
            "index": [name],
            "label": { name: danish },
            "unit": { name: unit_of(name).unwrap_or_else(|| json!({})) },
        });
        described.insert(MEASURE.to_owned(), json!({ "label": "mål", "category": category }));
    }
    Value::Object(described)
}

fn about(table: &Table, manifest: &Manifest) -> Value {
    json!({
        "label": table.danish,
        "source": ATTRIBUTION,
        "updated": instant(manifest.committed_at),
        "note": [
            table.danish_description,
            "hidden: diskretioneret; missing: mangler; provisional: foreløbig; incomplete: ufuldstændig. En celle uden status er endelig, hvis den har en værdi; ellers er den ingen række i tabellen.",
        ],
        "extension": { "rettidig": {
            "table": table.name,
            "version": table.version,
            "epoch": manifest.epoch,
            "as_of": manifest.as_of,
            "schema": format!("{}.schema.json", table.name),
        } },
    })
}

/// Addresses of smaller cubes: one for each value of the first column that has more than one.
fn collection(
    table: &'static Table,
    cells: &Cells<'_>,
    count: usize,
    about: Value,
    labels: &Labels,
    selection: &Selection,
) -> Result<Value, FormError> {
    let first = table.grain.iter().filter(|name| **name == "indicator").chain(table.grain);
    for name in first {
        let Some(place) = table.columns.iter().position(|column| column.name == *name) else { continue };
        if table.columns[place].kind != Kind::Text {
            continue;
        }
        let values: BTreeSet<&str> = (0..count)
            .filter_map(|row| match cells.cell(row, place) {
                Cell::Text(text) => Some(text),
                _ => None,
            })
            .collect();
        if values.len() < 2 {
            continue;
        }
        let items: Vec<Value> = values
            .iter()
            .map(|value| {
                let query = selection.with(name, value).query();
                let href = format!("{}.json?{query}", table.name);
                json!({ "class": "dataset", "href": href, "label": labels.of(name, value) })
            })
            .collect();
        let mut collection = json!({ "version": "2.0", "class": "collection", "link": { "item": items } });
        if let (Value::Object(into), Value::Object(about)) = (&mut collection, about) {
            into.extend(about);
        }
        return Ok(collection);
    }
    Err(FormError::TooLarge(format!(
        "this selection makes a cube of more than {CELLS_MAX} cells: choose fewer rows, or take CSV or Parquet"
    )))
}
