//! From cells to figures: JSON-stat (version 1) whole, BULK line by line.
//!
//! A cell's place gives one code for each variable; the profile says what the codes mean. Rows of areas that
//! are no municipality (regions, provinces) are skipped and counted.
//!
//! Cells: a number is a number; `..`, `.` and `null` are missing; `-` is zero, by the publisher's own legend.
//! The publisher's `suppressedDataValue` ("0" where recorded) cannot be told from a true zero, so it is read as
//! hidden only in tables whose profile says that they suppress.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use rettidig_event::municipality::is_municipality;
use rettidig_event::{Period, Reason};
use serde_json::Value;

use super::plan::{Selection, instant_of};
use super::profile::{Role, Table, Variable};
use crate::emit::{Figure, Refusal};
use crate::numbers::{Cell, canonical, danish, json_number};

/// The longest code that an event carries, bytes.
const CODE_BYTES_MAX: usize = 128;

fn shape(message: impl Into<String>) -> Refusal {
    Refusal::new(Reason::UnknownShape, message)
}

/// What one answer held.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub figures: Vec<Figure>,
    pub skipped_areas: u64,
    /// The answer's own stamp.
    pub updated: Option<DateTime<Utc>>,
}

/// Turns codes and a cell into a figure.
pub(super) struct Reader<'p> {
    table: &'p Table,
    suppressed: Option<&'p str>,
}

impl<'p> Reader<'p> {
    pub(super) fn new(table: &'p Table, suppressed_value: Option<&'p str>) -> Self {
        Self { table, suppressed: suppressed_value.filter(|_| table.suppresses) }
    }

    /// `None` if the area is no municipality.
    fn figure(&self, codes: &[(&Variable, &str)], cell: Cell) -> Result<Option<Figure>, Refusal> {
        let mut measure = self.table.measure.as_deref();
        let (mut area, mut period, mut breakdown) = (0, None, BTreeMap::new());
        for (variable, code) in codes {
            match &variable.role {
                Role::Time => {
                    period = Some(code.parse::<Period>().map_err(|error| {
                        Refusal::new(Reason::InvalidValue, format!("{}: {error}", variable.id))
                    })?);
                }
                Role::Area => match area_of(code) {
                    Some(code) => area = code,
                    None => return Ok(None),
                },
                Role::Measure(measures) => {
                    let found = measures.iter().find(|(known, _)| known == code);
                    let (_, name) = found.ok_or_else(|| shape(format!("{}: code {code}", variable.id)))?;
                    measure = Some(name);
                }
                Role::Breakdown { name, total, codes } => {
                    if total.as_deref() != Some(*code) {
                        let ours = codes.iter().find(|(known, _)| known == code);
                        let value = ours.map_or(*code, |(_, value)| value);
                        if !(1..=CODE_BYTES_MAX).contains(&value.len()) || value.chars().any(char::is_control)
                        {
                            return Err(shape(format!("{}: a code that no event can carry", variable.id)));
                        }
                        breakdown.insert(name.clone(), value.to_owned());
                    }
                }
            }
        }
        let (Some(measure), Some(period)) = (measure, period) else {
            return Err(shape("a cell without measure or period"));
        };
        Ok(Some(Figure { measure: measure.to_owned(), area, period, breakdown, cell }))
    }

    fn json_cell(&self, value: &Value) -> Option<Cell> {
        let cell = match value {
            Value::Null => Cell::Missing,
            Value::Number(number) => json_number(number)?,
            Value::String(text) => self.text_cell(text)?,
            _ => return None,
        };
        Some(self.or_hidden(cell))
    }

    /// Text cells are Danish (`lang=da`); BULK writes no thousands separator.
    fn text_cell(&self, text: &str) -> Option<Cell> {
        danish(text, Cell::Number("0".to_owned())).map(|cell| self.or_hidden(cell))
    }

    fn or_hidden(&self, cell: Cell) -> Cell {
        match (&cell, self.suppressed.and_then(canonical)) {
            (Cell::Number(_), Some(suppressed)) if cell == suppressed => Cell::Hidden,
            _ => cell,
        }
    }

    /// A whole JSON-stat answer to `selection`.
    pub(super) fn json_stat(&self, body: &Value, selection: &Selection) -> Result<Parsed, Refusal> {
        let dataset = body.get("dataset").ok_or_else(|| shape("no dataset: not JSON-stat version 1"))?;
        let dimension = dataset.get("dimension").ok_or_else(|| shape("dataset without dimension"))?;
        let ids: Vec<&str> = texts(dimension.get("id")).ok_or_else(|| shape("dimension.id: no texts"))?;
        let sizes: Vec<usize> = dimension
            .get("size")
            .and_then(Value::as_array)
            .and_then(|sizes| sizes.iter().map(|s| usize::try_from(s.as_u64()?).ok()).collect())
            .filter(|sizes: &Vec<usize>| sizes.len() == ids.len())
            .ok_or_else(|| shape("dimension.size: expected one number for each id"))?;
        let values =
            dataset.get("value").and_then(Value::as_array).ok_or_else(|| shape("value: expected a list"))?;
        let cells = sizes.iter().try_fold(1_usize, |cells, size| cells.checked_mul(*size));
        if cells != Some(values.len()) {
            return Err(shape(format!("value: expected {cells:?} cells, got {}", values.len())));
        }
        // Each dimension: its variable (none for ContentsCode) and its codes by place.
        let mut axes: Vec<(Option<&Variable>, Vec<String>)> = Vec::new();
        for (id, size) in ids.iter().zip(&sizes) {
            let variable = self.variable(id);
            if variable.is_none() && !(*id == "ContentsCode" && *size == 1) {
                return Err(shape(format!("dimension {id} with {size} values is not in the profile")));
            }
            axes.push((variable, codes_by_place(dimension.get(*id), id, *size)?));
        }
        for asked in &selection.variables {
            let axis = axes.iter().find(|(v, _)| v.is_some_and(|v| v.id == asked.id));
            let got: HashSet<&str> =
                axis.into_iter().flat_map(|(_, codes)| codes).map(String::as_str).collect();
            if got.len() != asked.codes.len() || !asked.codes.iter().all(|code| got.contains(code.as_str())) {
                return Err(shape(format!(
                    "dimension {}: asked for {} codes, got {} (others or fewer): it was eliminated or cut",
                    asked.id,
                    asked.codes.len(),
                    got.len()
                )));
            }
        }
        let updated = dataset.get("updated").and_then(Value::as_str).and_then(instant_of);
        let mut parsed = Parsed { updated, ..Parsed::default() };
        for (place, value) in values.iter().enumerate() {
            let mut rest = place;
            let mut codes = Vec::with_capacity(axes.len());
            for (variable, by_place) in axes.iter().rev() {
                if let Some(variable) = variable {
                    codes.push((*variable, by_place[rest % by_place.len()].as_str()));
                }
                rest /= by_place.len();
            }
            let cell = self.json_cell(value).ok_or_else(|| {
                Refusal::new(
                    Reason::InvalidValue,
                    format!("value[{place}]: no number: {:.40}", value.to_string()),
                )
            })?;
            match self.figure(&codes, cell)? {
                Some(figure) => parsed.figures.push(figure),
                None => parsed.skipped_areas += 1,
            }
        }
        Ok(parsed)
    }

    fn variable(&self, id: &str) -> Option<&'p Variable> {
        self.table.variables.iter().find(|v| v.id == id).or_else(|| {
            // The service answers with the case of the request, and a header in capitals in places.
            self.table.variables.iter().find(|v| v.id.to_lowercase() == id.to_lowercase())
        })
    }

    /// The header of a BULK answer: one variable for each column but the last, `INDHOLD`.
    pub(super) fn bulk_header(&self, line: &str) -> Result<Vec<&'p Variable>, Refusal> {
        let names: Vec<&str> = line.split(';').map(str::trim).collect();
        let Some((&"INDHOLD", names)) = names.split_last() else {
            return Err(shape("header: expected the variables and then INDHOLD"));
        };
        let columns = names
            .iter()
            .map(|name| {
                self.variable(name).ok_or_else(|| shape(format!("header: {name} is not in the profile")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let distinct: HashSet<&str> = columns.iter().map(|v| v.id.as_str()).collect();
        if distinct.len() != columns.len() || columns.len() != self.table.variables.len() {
            let wanted: Vec<_> = self.table.variables.iter().map(|v| v.id.as_str()).collect();
            return Err(shape(format!("header: expected each of {} once", wanted.join(", "))));
        }
        Ok(columns)
    }

    /// One line of a BULK answer; `None` if its area is no municipality.
    pub(super) fn bulk_line(&self, columns: &[&Variable], line: &str) -> Result<Option<Figure>, Refusal> {
        let cells: Vec<&str> = line.split(';').collect();
        if cells.len() != columns.len() + 1 || line.contains('"') {
            let message = format!("expected {} cells without quotes", columns.len() + 1);
            return Err(shape(message));
        }
        let text = cells[columns.len()];
        let cell = self.text_cell(text).ok_or_else(|| {
            Refusal::new(Reason::InvalidValue, format!("INDHOLD: no Danish number: {text:.40}"))
        })?;
        let codes: Vec<(&Variable, &str)> =
            columns.iter().zip(&cells).map(|(variable, code)| (*variable, code.trim())).collect();
        self.figure(&codes, cell)
    }
}

/// 0 for the whole country (`000`), a municipality's code, or nothing.
fn area_of(code: &str) -> Option<i32> {
    if code == "000" {
        return Some(0);
    }
    if code.len() != 3 {
        return None;
    }
    code.parse().ok().filter(|code| is_municipality(*code))
}

fn texts(value: Option<&Value>) -> Option<Vec<&str>> {
    value?.as_array()?.iter().map(Value::as_str).collect()
}

/// Codes by place; `category.index` is a map from code to place or a list.
fn codes_by_place(dimension: Option<&Value>, id: &str, size: usize) -> Result<Vec<String>, Refusal> {
    let wrong = || shape(format!("dimension {id}: category.index does not hold {size} codes"));
    let index = dimension.and_then(|d| d.get("category")).and_then(|c| c.get("index"));
    let by_place: Vec<String> = match index {
        Some(Value::Array(codes)) => codes
            .iter()
            .map(|code| code.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?,
        Some(Value::Object(places)) => {
            let by_number: HashMap<u64, &String> =
                places.iter().filter_map(|(code, place)| Some((place.as_u64()?, code))).collect();
            (0..size as u64)
                .map(|place| by_number.get(&place).map(|code| (*code).clone()))
                .collect::<Option<_>>()
                .ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    if by_place.len() == size { Ok(by_place) } else { Err(wrong()) }
}
