//! From a table's description and its profile to requests.
//!
//! Every variable is named with explicit codes; a profile that leaves one out, or names one that the table
//! does not have, is refused with the list of both. A request stays under the limit of cells: it is halved along
//! its time variable, and where one period alone is too much, along its longest variable.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Europe::Copenhagen;
use rettidig_event::Reason;
use serde::Deserialize;
use serde_json::{Value, json};

use super::profile::{Role, Select, Table};
use crate::emit::Refusal;
use crate::profile::nearest;

/// `/tableinfo`, the parts that are used. The contact persons in it are not read.
#[derive(Debug, Deserialize)]
pub(super) struct TableInfo {
    pub id: String,
    pub updated: String,
    #[serde(rename = "suppressedDataValue")]
    pub suppressed_value: Option<String>,
    pub variables: Vec<InfoVariable>,
}

#[derive(Debug, Deserialize)]
pub(super) struct InfoVariable {
    pub id: String,
    #[serde(default)]
    pub time: bool,
    pub values: Vec<InfoValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct InfoValue {
    pub id: String,
}

impl TableInfo {
    pub(super) fn read(json: Value) -> Result<Self, Refusal> {
        serde_json::from_value(json)
            .map_err(|error| Refusal::new(Reason::UnknownShape, format!("description of a table: {error}")))
    }
}

/// The instant of a stamp: UTC if it says so, else Danish local time (`2025-03-25T08:00:00`).
pub(super) fn instant_of(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.to_utc());
    }
    let local: NaiveDateTime = text.parse().ok()?;
    Copenhagen.from_local_datetime(&local).earliest().map(|local| local.to_utc())
}

/// One request: codes by variable, in the table's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub variables: Vec<Selected>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selected {
    pub id: String,
    pub time: bool,
    pub codes: Vec<String>,
}

impl Selection {
    pub(super) fn cells(&self) -> u64 {
        self.variables.iter().fold(1, |cells, v| cells.saturating_mul(v.codes.len() as u64))
    }

    /// Two halves along the time variable, or the longest one if there is but one period; `None` for a
    /// single cell.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let place = self
            .variables
            .iter()
            .position(|v| v.time && v.codes.len() > 1)
            .or_else(|| (0..self.variables.len()).max_by_key(|&at| self.variables[at].codes.len()))
            .filter(|&at| self.variables[at].codes.len() > 1)?;
        let (mut first, mut second) = (self.clone(), self.clone());
        let rest = first.variables[place].codes.split_off(self.variables[place].codes.len() / 2);
        second.variables[place].codes = rest;
        Some([first, second])
    }

    /// Pieces of at most `cells_max` cells, in order.
    pub(super) fn pieces(self, cells_max: u64) -> Vec<Self> {
        if self.cells() <= cells_max {
            return vec![self];
        }
        match self.halves() {
            Some(halves) => halves.into_iter().flat_map(|half| half.pieces(cells_max)).collect(),
            None => vec![self],
        }
    }

    /// The body of the POST.
    pub(super) fn body(&self, table: &str, format: &str) -> Value {
        let variables: Vec<Value> =
            self.variables.iter().map(|v| json!({"code": v.id, "values": v.codes})).collect();
        let mut body = json!({"table": table, "format": format, "lang": "da", "variables": variables});
        if format == "BULK" {
            body["valuePresentation"] = json!("Code");
        }
        body
    }
}

/// Everything the profile wants of a table, as one selection.
///
/// # Errors
/// A text that says which variable or code does not fit, with what the table has.
pub(super) fn select(table: &Table, info: &TableInfo) -> Result<Selection, String> {
    let has: Vec<&str> = info.variables.iter().map(|v| v.id.as_str()).collect();
    let named: Vec<&str> = table.variables.iter().map(|v| v.id.as_str()).collect();
    let left_out: Vec<&str> = has.iter().filter(|id| !named.contains(id)).copied().collect();
    let unknown: Vec<&str> = named.iter().filter(|id| !has.contains(id)).copied().collect();
    if !left_out.is_empty() || !unknown.is_empty() {
        let or_none = |ids: &[&str]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        return Err(format!(
            "the variables do not match; left out: {}; unknown: {}; the table has: {}",
            or_none(&left_out),
            or_none(&unknown),
            has.join(", ")
        ));
    }
    let mut variables = Vec::new();
    for described in &info.variables {
        let Some(ours) = table.variables.iter().find(|v| v.id == described.id) else { continue };
        if described.time != (ours.role == Role::Time) {
            let is = if described.time { "is" } else { "is not" };
            return Err(format!("variable {} {is} the table's time variable", described.id));
        }
        let codes: Vec<&str> = described.values.iter().map(|value| value.id.as_str()).collect();
        let chosen: Vec<String> = match &ours.select {
            Select::All => codes.iter().map(|code| (*code).to_owned()).collect(),
            Select::Newest(count) => {
                codes.iter().skip(codes.len().saturating_sub(*count)).map(|code| (*code).to_owned()).collect()
            }
            Select::Codes(wanted) => {
                if let Some(missing) = wanted.iter().find(|code| !codes.contains(&code.as_str())) {
                    let near = nearest(missing, codes.iter().copied())
                        .map_or(String::new(), |near| format!("; nearest known: {near}"));
                    return Err(format!("variable {} has no code {missing}{near}", described.id));
                }
                wanted.clone()
            }
        };
        if chosen.is_empty() {
            return Err(format!("variable {} has no values", described.id));
        }
        variables.push(Selected { id: described.id.clone(), time: described.time, codes: chosen });
    }
    Ok(Selection { variables })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(sizes: &[(&str, bool, usize)]) -> Selection {
        let variables = sizes
            .iter()
            .map(|(id, time, size)| Selected {
                id: (*id).to_owned(),
                time: *time,
                codes: (0..*size).map(|n| n.to_string()).collect(),
            })
            .collect();
        Selection { variables }
    }

    #[test]
    fn pieces_stay_under_the_limit_and_cover_everything_once() {
        for (sizes, limit) in [
            (vec![("A", false, 7), ("Tid", true, 30)], 50),
            (vec![("A", false, 100), ("B", false, 30), ("Tid", true, 3)], 100),
            (vec![("A", false, 3), ("Tid", true, 1)], 1),
            (vec![("A", false, 2), ("Tid", true, 2)], 1_000_000),
        ] {
            let whole = selection(&sizes);
            let pieces = whole.clone().pieces(limit);
            assert!(pieces.iter().all(|piece| piece.cells() <= limit), "{sizes:?}");
            assert_eq!(pieces.iter().map(Selection::cells).sum::<u64>(), whole.cells(), "{sizes:?}");
            let mut seen = std::collections::HashSet::new();
            for piece in &pieces {
                assert!(seen.insert(format!("{piece:?}")), "a piece stands twice");
            }
        }
        let by_time = selection(&[("A", false, 7), ("Tid", true, 30)]).pieces(50);
        assert!(by_time.iter().all(|piece| piece.variables[0].codes.len() == 7), "time is cut first");
    }

    #[test]
    fn local_stamps_and_utc_stamps_are_the_same_instant() {
        for (local, utc) in [
            ("2025-03-25T08:00:00", "2025-03-25T07:00:00Z"),
            ("2026-07-21T08:00:00", "2026-07-21T06:00:00Z"),
            ("2025-10-26T02:30:00", "2025-10-26T00:30:00Z"),
        ] {
            assert_eq!(instant_of(local), instant_of(utc), "{local}");
            assert!(instant_of(local).is_some());
        }
        assert_eq!(instant_of("yesterday"), None);
    }
}
