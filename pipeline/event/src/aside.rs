//! Figures that were put aside: the rows that completeness expects although they were not received.
//!
//! They carry what makes a figure this one and no value. A figure that arrives after all is the same figure, so
//! that expected and received meet again whatever came first.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};

use crate::period::days_since_1970;
use crate::refused::{PutAside, Refused};
use crate::{DeadLetter, Origin, Topic};

/// Schema of figures that were put aside; the columns that it shares with [`crate::official::schema`] mean the same.
/// `put_aside_at` is UTC.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("publisher", DataType::Utf8, false),
            Field::new("table_id", DataType::Utf8, false),
            Field::new("measure", DataType::Utf8, false),
            Field::new("area", DataType::Int32, false),
            Field::new("period", DataType::Utf8, false),
            Field::new("period_start", DataType::Date32, false),
            Field::new("period_end", DataType::Date32, false),
            Field::new("breakdown", DataType::Utf8, false),
            Field::new("breakdown_value", DataType::Utf8, false),
            Field::new("put_aside_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Field::new("topic_partition", DataType::Int32, false),
            Field::new("topic_offset", DataType::Int64, false),
        ]))
    });
    SCHEMA.clone()
}

/// The figures that dead letters of `rettidig.official` are about, where that can be told.
///
/// # Panics
/// Never: the columns are those of the schema.
pub fn figures(letters: &[DeadLetter], at: DateTime<Utc>) -> RecordBatch {
    let told: Vec<(PutAside, i32, i64)> = letters
        .iter()
        .filter_map(|letter| match &letter.origin {
            Origin::Message { topic, partition, offset } if topic == Topic::Official.name() => {
                let bytes = letter.original_bytes()?;
                Some((Refused::read(&bytes).figure()?, *partition, *offset))
            }
            _ => None,
        })
        .collect();
    let text = |of: fn(&PutAside) -> &str| -> ArrayRef {
        Arc::new(told.iter().map(|(figure, ..)| Some(of(figure))).collect::<StringArray>())
    };
    let day = |of: fn(&PutAside) -> i32| -> ArrayRef {
        Arc::new(told.iter().map(|(figure, ..)| Some(of(figure))).collect::<Date32Array>())
    };
    let periods: StringArray = told.iter().map(|(figure, ..)| Some(figure.period.published())).collect();
    let at = TimestampMicrosecondArray::from(vec![at.timestamp_micros(); told.len()]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        text(|figure| &figure.publisher),
        text(|figure| &figure.table),
        text(|figure| &figure.measure),
        Arc::new(told.iter().map(|(figure, ..)| figure.area).collect::<Int32Array>()),
        Arc::new(periods),
        day(|figure| days_since_1970(figure.period.first_day())),
        day(|figure| days_since_1970(figure.period.last_day())),
        text(|figure| &figure.breakdown),
        text(|figure| &figure.breakdown_value),
        Arc::new(at),
        Arc::new(told.iter().map(|(_, partition, _)| *partition).collect::<Int32Array>()),
        Arc::new(told.iter().map(|(.., offset)| *offset).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns of the schema")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn letters_of_figures_become_rows_and_others_do_not() {
        let at: DateTime<Utc> = "2026-08-19T08:00:00Z".parse().expect("instant");
        let figure = br#"{"publisher":"dst","table":"T","measure":"m","area":0,"period":"2026K1","breakdown":{},"value":7}"#;
        let letter = |topic: Topic, bytes: &[u8]| {
            let origin = Origin::Message { topic: topic.name().to_owned(), partition: 2, offset: 9 };
            DeadLetter::new(origin, bytes, "ingest", Reason::InvalidField, "value", at)
        };
        let letters = [
            letter(Topic::Official, figure),
            letter(Topic::Deliveries, figure),
            letter(Topic::Official, b"{"),
        ];
        let rows = figures(&letters, at);
        assert_eq!((rows.num_rows(), figures(&[], at).num_rows()), (1, 0));
        let offset = rows.column_by_name("topic_offset").expect("column");
        assert_eq!(offset.as_ref(), &Int64Array::from(vec![9]));
    }
}
