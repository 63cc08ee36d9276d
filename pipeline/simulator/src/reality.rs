//! The real levels the simulation follows: full-time persons by municipality and month.
//!
//! One embedded table, `data/full_time_persons.csv` (Jobindsats.dk / STAR; provenance beside it). A month
//! outside it takes the same calendar month of the nearest year in it, so that the season stays.

use std::sync::LazyLock;

use rettidig_event::municipality::MUNICIPALITIES;

/// A published series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// y25i01: full-time unemployed on A-dagpenge.
    Unemployment,
    /// y60a02: full-time persons on kontanthjælp; before July 2025 with uddannelseshjælp and SHO.
    Cash,
}

/// Municipalities.
pub(crate) const AREAS: usize = MUNICIPALITIES.len();

struct Table {
    /// First month, counted from 1970-01 as 0.
    first_month: i32,
    months: usize,
    /// By series, municipality and month.
    cells: Vec<u32>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| parse(include_str!("../data/full_time_persons.csv")));

/// Reads the embedded table; what cannot be read is 0, and a test counts that nothing is.
fn parse(text: &str) -> Table {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').skip(2).collect();
    let first_month = header
        .first()
        .and_then(|text| text.split_once('M'))
        .and_then(|(year, month)| {
            Some((year.parse::<i32>().ok()? - 1970) * 12 + month.parse::<i32>().ok()? - 1)
        })
        .unwrap_or(0);
    let months = header.len();
    let mut cells = vec![0; 2 * AREAS * months];
    for line in lines {
        let mut fields = line.split(',');
        let code: i32 = fields.next().and_then(|code| code.parse().ok()).unwrap_or(0);
        let series = usize::from(fields.next() == Some("cash"));
        let Ok(area) = MUNICIPALITIES.binary_search_by_key(&code, |(code, _)| *code) else { continue };
        for (cell, text) in cells[(series * AREAS + area) * months..].iter_mut().zip(fields) {
            *cell = text.parse().unwrap_or(0);
        }
    }
    Table { first_month, months, cells }
}

/// Full-time persons of a municipality (its index in [`MUNICIPALITIES`]) in a month counted from 1970-01 as 0.
pub(crate) fn level(series: Series, area: usize, month: i32) -> f64 {
    let table = &*TABLE;
    let last = table.first_month + table.months as i32 - 1;
    let mut month = month;
    if month < table.first_month {
        month += (table.first_month - month + 11) / 12 * 12;
    } else if month > last {
        month -= (month - last + 11) / 12 * 12;
    }
    let column = (month - table.first_month).clamp(0, table.months as i32 - 1) as usize;
    f64::from(table.cells[(series as usize * AREAS + area) * table.months + column])
}

/// The published full-time persons of a municipality's code, year and month (1-12) that the simulation
/// follows; `None` outside the 98 municipalities. Months outside the table are carried over by calendar month.
pub fn full_time_persons(series: Series, municipality: i32, year: i32, month: u32) -> Option<f64> {
    let area = MUNICIPALITIES.binary_search_by_key(&municipality, |(code, _)| *code).ok()?;
    Some(level(series, area, (year - 1970) * 12 + month as i32 - 1))
}

/// A municipality's share of unemployment and cash benefit over the whole table: how everything without
/// figures of its own is spread.
pub(crate) fn weights() -> Vec<f64> {
    let table = &*TABLE;
    let sum = |area: usize| -> f64 {
        [0, 1]
            .iter()
            .flat_map(|series| &table.cells[(series * AREAS + area) * table.months..][..table.months])
            .map(|cell| f64::from(*cell))
            .sum()
    };
    let sums: Vec<f64> = (0..AREAS).map(sum).collect();
    let total: f64 = sums.iter().sum();
    sums.iter().map(|sum| sum / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_carried_over_by_calendar_month() {
        assert_eq!((TABLE.first_month, TABLE.months), ((2021 - 1970) * 12 + 7, 60));
        assert!(TABLE.cells.iter().all(|cell| *cell > 0), "a cell could not be read");
        let aalborg = |year, month| full_time_persons(Series::Unemployment, 851, year, month);
        assert_eq!(aalborg(2026, 7), Some(4112.0));
        assert_eq!(full_time_persons(Series::Cash, 851, 2026, 7), Some(4720.0));
        assert_eq!(aalborg(2027, 7), aalborg(2026, 7));
        assert_eq!(aalborg(2026, 8), aalborg(2025, 8));
        assert_eq!(aalborg(2015, 7), aalborg(2022, 7));
        assert_eq!(aalborg(2015, 8), aalborg(2021, 8));
        assert_eq!(full_time_persons(Series::Cash, 102, 2026, 7), None);
        assert!((weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
