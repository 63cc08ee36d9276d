//! Danish names of codes: areas, benefits, indicators, breakdowns.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use rettidig_model::{Layer, Model};

/// Names by code.
pub(crate) struct Labels {
    areas: HashMap<(&'static str, String), String>,
    benefits: HashMap<String, String>,
    indicators: HashMap<String, String>,
}

/// Kinds of areas: code, Danish term, the columns of the reference table that name one.
const AREA_KINDS: [(&str, &str, &str, &str); 4] = [
    ("municipality", "kommune", "municipality", "name"),
    ("jobcentre", "jobcenter", "jobcentre", "jobcentre_name"),
    ("cluster", "klynge", "cluster", "cluster_name"),
    ("region", "region", "region", "region_name"),
];

/// Danish terms of what figures are divided by.
const BREAKDOWNS: [(&str, &str); 8] = [
    ("age", "alder"),
    ("sex", "køn"),
    ("origin", "herkomst"),
    ("weeks", "uger"),
    ("week", "uge"),
    ("next_benefit", "næste ydelse"),
    ("offer", "tilbud"),
    ("visitation", "visitation"),
];

/// What a total is called.
const TOTAL: &str = "i alt";

fn pairs(rows: &RecordBatch, code: &str, name: &str) -> Vec<(String, String)> {
    let text = |column: &str| rows.column_by_name(column).and_then(|found| found.as_string_opt::<i32>());
    let (Some(codes), Some(names)) = (text(code), text(name)) else { return Vec::new() };
    (0..rows.num_rows())
        .filter(|row| codes.is_valid(*row) && names.is_valid(*row))
        .map(|row| (codes.value(row).to_owned(), names.value(row).to_owned()))
        .collect()
}

impl Labels {
    /// The names that a model knows.
    pub(crate) fn of_model(model: &Model) -> Self {
        let (mut areas, mut benefits) = (HashMap::new(), HashMap::new());
        if let Some(rows) = model.reference.get("areas") {
            for (kind, _, code, name) in AREA_KINDS {
                areas.extend(pairs(rows, code, name).into_iter().map(|(code, name)| ((kind, code), name)));
            }
        }
        if let Some(rows) = model.reference.get("benefits") {
            benefits.extend(pairs(rows, "code", "danish"));
        }
        let published = model.layer(Layer::Published);
        let indicators = published.map(|model| (model.name.clone(), model.header.danish.clone())).collect();
        Self { areas, benefits, indicators }
    }

    /// The name of a code; the code itself if it has none.
    pub(crate) fn of(&self, dimension: &str, code: &str) -> String {
        let known = match dimension {
            "indicator" => self.indicators.get(code).map(String::as_str),
            "benefit" if code == "total" => Some(TOTAL),
            "benefit" => self.benefits.get(code).map(String::as_str),
            "area_kind" if code == "country" => Some("hele landet"),
            "area_kind" => AREA_KINDS.iter().find(|kind| kind.0 == code).map(|kind| kind.1),
            "breakdown" if code == "total" => Some(TOTAL),
            "breakdown" => BREAKDOWNS.iter().find(|one| one.0 == code).map(|one| one.1),
            _ => None,
        };
        known.unwrap_or(code).to_owned()
    }

    /// The name of an area of a kind, or of a value of a breakdown.
    pub(crate) fn of_pair(&self, dimension: &str, kind: &str, value: &str) -> String {
        match (dimension, kind) {
            ("area", "country") => self.of("area_kind", kind),
            ("area", _) => {
                let named = AREA_KINDS.iter().find(|known| known.0 == kind);
                let name = named.and_then(|named| self.areas.get(&(named.0, value.to_owned())));
                format!("{} ({})", name.map_or(value, String::as_str), named.map_or(kind, |named| named.1))
            }
            (_, "total") => TOTAL.to_owned(),
            (_, "next_benefit") => format!("{}: {}", self.of("breakdown", kind), self.of("benefit", value)),
            _ => format!("{}: {value}", self.of("breakdown", kind)),
        }
    }
}
