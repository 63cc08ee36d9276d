//! The cells of a table, whatever its column types: what all forms but Parquet are written from.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::FormError;

/// A cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// No value.
    Null,
    /// Text.
    Text(&'a str),
    /// Whole number.
    Integer(i64),
    /// Number.
    Float(f64),
    /// Civil date.
    Date(NaiveDate),
    /// Instant.
    Instant(DateTime<Utc>),
    /// Truth value.
    Boolean(bool),
}

/// An instant as every form of text writes it: ISO 8601 in UTC, as many digits of a second as it needs.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A column by its type.
enum Values<'a> {
    Text(&'a StringArray),
    Integer(&'a Int64Array),
    Float(&'a Float64Array),
    Date(&'a Date32Array),
    Instant(&'a TimestampMicrosecondArray),
    Boolean(&'a BooleanArray),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string_opt::<i32>()?),
            DataType::Int64 => Self::Integer(array.as_primitive_opt::<Int64Type>()?),
            DataType::Float64 => Self::Float(array.as_primitive_opt::<Float64Type>()?),
            DataType::Date32 => Self::Date(array.as_primitive_opt::<Date32Type>()?),
            DataType::Timestamp(..) => Self::Instant(array.as_primitive_opt::<TimestampMicrosecondType>()?),
            DataType::Boolean => Self::Boolean(array.as_boolean_opt()?),
            _ => return None,
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Text(array) => *array,
            Self::Integer(array) => *array,
            Self::Float(array) => *array,
            Self::Date(array) => *array,
            Self::Instant(array) => *array,
            Self::Boolean(array) => *array,
        }
    }
}

/// The cells of some rows, by row and column.
pub(super) struct Cells<'a> {
    columns: Vec<Values<'a>>,
}

impl<'a> Cells<'a> {
    /// The cells of rows whose types are those of published tables.
    pub(super) fn of(rows: &'a RecordBatch) -> Result<Self, FormError> {
        let schema = rows.schema();
        let columns = rows.columns().iter().zip(schema.fields()).map(|(array, field)| {
            let wrong = || FormError::Broken(format!("column {} is a {}", field.name(), field.data_type()));
            Values::of(array).ok_or_else(wrong)
        });
        Ok(Self { columns: columns.collect::<Result<_, _>>()? })
    }

    /// A cell. Row and column must be there.
    pub(super) fn cell(&self, row: usize, column: usize) -> Cell<'a> {
        let values = &self.columns[column];
        if values.array().is_null(row) {
            return Cell::Null;
        }
        match values {
            Values::Text(array) => Cell::Text(array.value(row)),
            Values::Integer(array) => Cell::Integer(array.value(row)),
            Values::Float(array) => Cell::Float(array.value(row)),
            // Every day that 32 bits count is a date; not every microsecond that 64 bits count is an instant.
            Values::Date(array) => array.value_as_date(row).map_or(Cell::Null, Cell::Date),
            Values::Instant(array) => {
                DateTime::from_timestamp_micros(array.value(row)).map_or(Cell::Null, Cell::Instant)
            }
            Values::Boolean(array) => Cell::Boolean(array.value(row)),
        }
    }
}
