//! Which municipalities an area consists of, from when to when: `sql/reference/areas.csv` as code and as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use chrono::NaiveDate;

use crate::calendar::month_last;
use crate::catalogue::{MONTH_AREAS, Model};
use crate::error::ModelError;
use crate::evaluation::{Columns, date};

/// Which municipalities an area consists of.
#[derive(Debug, Clone, Default)]
pub struct Membership(Vec<Member>);

/// One dated membership.
#[derive(Debug, Clone)]
pub struct Member {
    /// `jobcentre`, `cluster` or `region`.
    pub area_kind: String,
    /// Code of the area.
    pub area: String,
    /// Code of the municipality.
    pub municipality: String,
    /// First day, inclusive.
    pub valid_from: NaiveDate,
    /// Last day, inclusive; `None` if open.
    pub valid_to: Option<NaiveDate>,
}

impl Membership {
    /// A membership list.
    pub fn new(members: Vec<Member>) -> Self {
        Self(members)
    }

    /// The areas that each municipality counts in at the end of some months (since January 1970), as SQL reads them: itself,
    /// those it is a member of, and the country.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn in_months(&self, months: &BTreeSet<i64>) -> Result<RecordBatch, ModelError> {
        let mut rows: Vec<(&str, &str, i64, i64)> = Vec::new();
        for month in months {
            let end = date(i32::try_from(month_last(*month)).unwrap_or(i32::MAX));
            let mut places = BTreeSet::new();
            for ((area_kind, area), municipalities) in self.at(end) {
                for municipality in municipalities {
                    places.insert((area_kind, area, municipality));
                    places.insert(("municipality", municipality, municipality));
                    places.insert(("country", "0000", municipality));
                }
            }
            let code = |text: &str| text.parse::<i64>().unwrap_or_default();
            rows.extend(places.into_iter().map(|(kind, area, of)| (kind, area, code(of), *month)));
        }
        let columns: [(&str, ArrayRef); 4] = [
            ("area_kind", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
            ("area", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
            ("municipality", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)))),
            ("month", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.3)))),
        ];
        RecordBatch::try_from_iter(columns).map_err(|error| ModelError::evaluation(MONTH_AREAS, error))
    }

    pub(crate) fn at(&self, date: NaiveDate) -> BTreeMap<(&str, &str), Vec<&str>> {
        let mut areas: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for member in &self.0 {
            if member.valid_from <= date && member.valid_to.is_none_or(|to| date <= to) {
                areas.entry((&member.area_kind, &member.area)).or_default().push(&member.municipality);
            }
        }
        areas
    }
}

impl Model {
    pub(crate) fn membership(&self) -> Result<Membership, ModelError> {
        let areas = self.reference.get("areas").ok_or_else(|| ModelError::Contract {
            model: "areas".to_owned(),
            message: "the reference table areas.csv is missing".to_owned(),
        })?;
        let columns = Columns { model: "areas", batch: areas };
        let municipality = columns.text("municipality")?;
        let (from, to) = (columns.dates("valid_from")?, columns.dates("valid_to")?);
        let mut members = Vec::new();
        for kind in ["jobcentre", "cluster", "region"] {
            let area = columns.text(kind)?;
            for row in 0..areas.num_rows() {
                members.push(Member {
                    area_kind: kind.to_owned(),
                    area: area.value(row).to_owned(),
                    municipality: municipality.value(row).to_owned(),
                    valid_from: date(from.value(row)),
                    valid_to: to.is_valid(row).then(|| date(to.value(row))),
                });
            }
        }
        Ok(Membership::new(members))
    }
}
