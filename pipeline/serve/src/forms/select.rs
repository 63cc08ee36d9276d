//! Which rows a reader wants: `?area=0101&area=0147&benefit=total`.
//!
//! A name is a text column of the table, a value is exactly one of its values; several of one column are or, several columns are and.
//! What is asked for is compared with the cells and never becomes part of a query.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use rettidig_model::contract::{Kind, Table};

use super::FormError;

/// Values that a reader may name in all.
const VALUES_MAX: usize = 500;

/// Values by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection(BTreeMap<String, BTreeSet<String>>);

impl Selection {
    /// What the reader asks for.
    ///
    /// # Errors
    /// [`FormError::Selection`] if a name is no text column of the table.
    pub(super) fn of(table: &Table, asked: Vec<(String, String)>) -> Result<Self, FormError> {
        let texts = || table.columns.iter().filter(|column| column.kind == Kind::Text);
        if asked.len() > VALUES_MAX {
            let text = format!("{} values are chosen; at most {VALUES_MAX} are taken", asked.len());
            return Err(FormError::Selection(text));
        }
        let mut selection = Self::default();
        for (name, value) in asked {
            if !texts().any(|column| column.name == name) {
                let names: Vec<_> = texts().map(|column| column.name).collect();
                return Err(FormError::Selection(format!(
                    "{} cannot be chosen by {name:?}: expected ?COLUMN=VALUE with one of {}",
                    table.name,
                    names.join(", ")
                )));
            }
            selection.0.entry(name).or_default().insert(value);
        }
        Ok(selection)
    }

    /// Whether everything is wanted.
    pub(super) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with one value of a column.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut narrower = self.clone();
        narrower.0.insert(name.to_owned(), BTreeSet::from([value.to_owned()]));
        narrower
    }

    /// As the query of an address; the same selection gives the same text.
    pub(super) fn query(&self) -> String {
        let mut query = url_encoder();
        for (name, values) in &self.0 {
            for value in values {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// The rows that are wanted.
    ///
    /// # Errors
    /// [`FormError::Broken`] if the rows are not as the contract says.
    pub(super) fn choose(&self, table: &Table, rows: RecordBatch) -> Result<RecordBatch, FormError> {
        let mut rows = rows;
        for (name, values) in &self.0 {
            let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            let column = column.ok_or_else(|| {
                FormError::Broken(format!("the rows of {} have no text in {name}", table.name))
            })?;
            let wanted: BooleanArray =
                column.iter().map(|text| Some(text.is_some_and(|text| values.contains(text)))).collect();
            rows =
                filter_record_batch(&rows, &wanted).map_err(|error| FormError::Broken(error.to_string()))?;
        }
        Ok(rows)
    }
}

fn url_encoder() -> form_urlencoded::Serializer<'static, String> {
    form_urlencoded::Serializer::new(String::new())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, TABLE};
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn several_values_are_or_and_several_columns_are_and() {
        let rows = |pairs: &[(&str, &str)]| {
            let selection = Selection::of(&TABLE, asked(pairs)).expect("a selection");
            selection.choose(&TABLE, samples::rows()).expect("chosen").num_rows()
        };
        assert_eq!(rows(&[]), 4);
        assert_eq!(rows(&[("area", "0101"), ("area", "0147")]), 2);
        assert_eq!(rows(&[("area", "0101"), ("area", "0147"), ("status", "final")]), 1);
        assert_eq!(rows(&[("area", "0101' OR '1'='1")]), 0, "a value is a value");
    }

    #[test]
    fn what_is_no_text_column_is_refused_with_those_there_are() {
        let error = Selection::of(&TABLE, asked(&[("omraade", "0101")])).expect_err("refused").to_string();
        assert!(error.contains("\"omraade\"") && error.contains("area, status"), "{error}");
        Selection::of(&TABLE, asked(&[("value", "1")])).expect_err("numbers are not chosen by");
        let many = vec![("area".to_owned(), "0101".to_owned()); VALUES_MAX + 1];
        Selection::of(&TABLE, many).expect_err("too many");
    }

    #[test]
    fn a_selection_is_written_as_it_is_read() {
        let selection = Selection::of(&TABLE, asked(&[("status", "a&b=c"), ("area", "ø 1")])).expect("one");
        assert_eq!(selection.query(), "area=%C3%B8+1&status=a%26b%3Dc");
        assert_eq!(selection.with("area", "0101").query(), "area=0101&status=a%26b%3Dc");
    }
}
