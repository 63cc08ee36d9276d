//! The figures of jobindsats in their vintages: one CSV a table, the states of three instants side by side.
//!
//! Columns: period, area (code; 0 the whole country; `unknown` the rest row), the breakdown if the table has one,
//! then `<measure>.v<1..3>`. A cell: a number as published; blank for null; `x` for not in that vintage; `=` for
//! the same as to its left.

use std::collections::HashMap;

/// One table.
pub(super) struct Vintage {
    pub measures: Vec<String>,
    /// Whether the rows carry a breakdown.
    pub has_breakdown: bool,
    pub rows: Vec<Row>,
}

pub(super) struct Row {
    pub period: String,
    pub area: Area,
    /// `total` where the table has no breakdown.
    pub breakdown: String,
    /// By measure, by vintage.
    pub cells: Vec<[Cell; 3]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Code(i32),
    Unknown,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Not in this vintage.
    Absent,
    Null,
    Number(String),
}

pub(super) struct Vintages(HashMap<&'static str, Vintage>);

macro_rules! fixture {
    ($table:literal) => {
        ($table, include_str!(concat!("../../fixtures/jobindsats/vintages/", $table, ".csv")))
    };
}

const FILES: [(&str, &str); 6] = [
    fixture!("y25i01"),
    fixture!("y25i09"),
    fixture!("y60a02"),
    fixture!("y60c02"),
    fixture!("y60c07"),
    fixture!("y60j01"),
];

impl Vintages {
    pub(super) fn read() -> Result<Self, String> {
        let tables = FILES
            .iter()
            .map(|(table, text)| Ok((*table, read(text).map_err(|error| format!("{table}.csv: {error}"))?)));
        tables.collect::<Result<_, String>>().map(Self)
    }

    pub(super) fn get(&self, table: &str) -> Option<&Vintage> {
        self.0.get(table)
    }
}

fn read(text: &str) -> Result<Vintage, String> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    if header.get(..2) != Some(&["period", "area"]) {
        return Err("header: expected period;area first".to_owned());
    }
    let has_breakdown = header.get(2).is_some_and(|name| !name.contains(".v"));
    let first = if has_breakdown { 3 } else { 2 };
    let mut measures: Vec<String> = Vec::new();
    let mut places = Vec::new();
    for name in &header[first..] {
        let (measure, vintage) = name.split_once(".v").ok_or("header: expected <measure>.v<n>")?;
        let vintage: usize = vintage.parse().ok().filter(|v| (1..=3).contains(v)).ok_or("header: vintage")?;
        let place = measures.iter().position(|known| known == measure).unwrap_or_else(|| {
            measures.push(measure.to_owned());
            measures.len() - 1
        });
        places.push((place, vintage - 1));
    }
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate() {
        let wrong = |what: &str| format!("line {}: {what}", number + 2);
        let fields: Vec<&str> = line.split(';').collect();
        if fields.len() != header.len() {
            return Err(wrong("number of fields"));
        }
        let area = match fields[1] {
            "unknown" => Area::Unknown,
            code => Area::Code(code.parse().map_err(|_| wrong("area"))?),
        };
        let mut cells = vec![[const { Cell::Absent }; 3]; measures.len()];
        let mut left = Cell::Absent;
        for (field, (measure, vintage)) in fields[first..].iter().zip(&places) {
            let cell = match *field {
                "=" => left.clone(),
                "x" => Cell::Absent,
                "" => Cell::Null,
                number => Cell::Number(number.to_owned()),
            };
            left = cell.clone();
            cells[*measure][*vintage] = cell;
        }
        rows.push(Row {
            period: fields[0].to_owned(),
            area,
            breakdown: if has_breakdown { fields[2].to_owned() } else { "total".to_owned() },
            cells,
        });
    }
    Ok(Vintage { measures, has_breakdown, rows })
}
