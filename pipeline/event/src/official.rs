//! Events on `rettidig.official`: one published figure each.
//!
//! Identity of a figure: publisher, table, measure, area, period, breakdown. Its revisions are ordered by
//! (`published_at`, `retrieved_at`); the same figure delivered again is the same row. Values are carried as
//! millionths ([`crate::units`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Date32Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::decode::{Refusal, check_area, check_text, instant_micros, parse_object};
use crate::period::days_since_1970;
use crate::units::{DecimalError, parse_micro};
use crate::{Decoded, Message, Period, Reason, Rejected};

/// What a publisher says of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfficialStatus {
    /// Not expected to change, as far as the publisher says.
    Final,
    /// Expected to change.
    Provisional,
    /// Withheld for disclosure control; zero cannot always be told from hidden.
    Hidden,
    /// Not there.
    Missing,
}

impl OfficialStatus {
    /// The code as it stands in the event.
    pub fn code(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Provisional => "provisional",
            Self::Hidden => "hidden",
            Self::Missing => "missing",
        }
    }
}

/// The name and value that a figure without breakdown carries in both breakdown columns.
pub const TOTAL: &str = "total";

/// A published figure, as produced by a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficialEvent<'a> {
    /// `dst` or `jobindsats`.
    #[serde(borrow)]
    pub publisher: Cow<'a, str>,
    /// The publisher's table id.
    #[serde(borrow)]
    pub table: Cow<'a, str>,
    /// What is counted, by the name of the connector's profile.
    #[serde(borrow)]
    pub measure: Cow<'a, str>,
    /// 0 for the whole country, else the municipality code.
    pub area: i32,
    /// Reference period, see [`Period`].
    #[serde(borrow)]
    pub period: Cow<'a, str>,
    /// Dimension to value; empty for a total.
    #[serde(borrow)]
    pub breakdown: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Decimal text; null if hidden or missing.
    #[serde(borrow)]
    pub value: Option<Cow<'a, str>>,
    /// What the publisher says of it.
    pub status: OfficialStatus,
    /// When the publisher published it, RFC 3339.
    #[serde(borrow)]
    pub published_at: Cow<'a, str>,
    /// When the connector fetched it, RFC 3339.
    #[serde(borrow)]
    pub retrieved_at: Cow<'a, str>,
}

impl OfficialEvent<'_> {
    /// The payload on the topic.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts, integers and a map with text keys have no way to fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Schema of decoded figures. `period` is in its published form ([`Period::published`]), `period_start` and
/// `period_end` are its first and last day. Units: `value_micro` millionths of the measure's unit; instants UTC.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
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
            Field::new("value_micro", DataType::Int64, true),
            Field::new("status", DataType::Utf8, false),
            Field::new("published_at", instant(), false),
            Field::new("retrieved_at", instant(), false),
            Field::new("topic_partition", DataType::Int32, false),
            Field::new("topic_offset", DataType::Int64, false),
        ]))
    });
    SCHEMA.clone()
}

/// One figure after its checks.
struct Checked<'a> {
    event: OfficialEvent<'a>,
    period: Period,
    value_micro: Option<i64>,
    published_at: i64,
    retrieved_at: i64,
}

fn check<'a>(payload: &'a [u8], unknown_fields: &mut u64) -> Result<Checked<'a>, Refusal> {
    let event: OfficialEvent<'a> = parse_object(payload, unknown_fields)?;
    if !matches!(event.publisher.as_ref(), "dst" | "jobindsats") {
        return Err((Reason::InvalidValue, "publisher: expected dst or jobindsats".to_owned()));
    }
    check_text("table", &event.table, 1..=64)?;
    check_text("measure", &event.measure, 1..=128)?;
    check_area("area", event.area)?;
    let period: Period =
        event.period.parse().map_err(|error| (Reason::InvalidValue, format!("period: {error}")))?;
    for (name, value) in &event.breakdown {
        check_text("breakdown", name, 1..=64)?;
        check_text("breakdown", value, 1..=128)?;
    }
    let value_micro = match (&event.value, event.status) {
        (Some(text), OfficialStatus::Final | OfficialStatus::Provisional) => {
            Some(parse_micro(text).map_err(|error: DecimalError| {
                (Reason::InvalidValue, format!("value: {error}, got {text:.40?}"))
            })?)
        }
        (None, OfficialStatus::Hidden | OfficialStatus::Missing) => None,
        (Some(_), status) => {
            let message = format!("value: expected null because status is {}", status.code());
            return Err((Reason::InvalidValue, message));
        }
        (None, status) => {
            let message = format!("value: expected decimal text because status is {}", status.code());
            return Err((Reason::InvalidValue, message));
        }
    };
    let published_at = instant_micros("published_at", &event.published_at)?;
    let retrieved_at = instant_micros("retrieved_at", &event.retrieved_at)?;
    Ok(Checked { event, period, value_micro, published_at, retrieved_at })
}

pub(crate) fn joined<'s>(parts: impl ExactSizeIterator<Item = &'s str>) -> Cow<'s, str> {
    if parts.len() == 0 {
        return Cow::Borrowed(TOTAL);
    }
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// Decodes a batch of messages. The rows of [`schema`] come in the order of the messages; a breakdown over
/// several dimensions is joined with `/` in the order of the dimensions' names.
///
/// # Panics
/// Never: the builders fill exactly the columns of the schema.
pub fn decode<'m>(messages: impl IntoIterator<Item = Message<'m>>) -> Decoded {
    let (mut publisher, mut table, mut measure) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut area, mut period) = (Int32Builder::new(), StringBuilder::new());
    let (mut period_start, mut period_end) = (Date32Builder::new(), Date32Builder::new());
    let (mut breakdown, mut breakdown_value) = (StringBuilder::new(), StringBuilder::new());
    let (mut value, mut status) = (Int64Builder::new(), StringBuilder::new());
    let mut published = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let mut retrieved = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let (mut partition, mut offset) = (Int32Builder::new(), Int64Builder::new());
    let mut rejected = Vec::new();
    let mut unknown_fields = 0;
    for (index, message) in messages.into_iter().enumerate() {
        let row = match check(message.payload, &mut unknown_fields) {
            Ok(row) => row,
            Err((reason, message)) => {
                rejected.push(Rejected { index, reason, message });
                continue;
            }
        };
        publisher.append_value(&row.event.publisher);
        table.append_value(&row.event.table);
        measure.append_value(&row.event.measure);
        area.append_value(row.event.area);
        period.append_value(row.period.published());
        period_start.append_value(days_since_1970(row.period.first_day()));
        period_end.append_value(days_since_1970(row.period.last_day()));
        breakdown.append_value(joined(row.event.breakdown.keys().map(AsRef::as_ref)));
        breakdown_value.append_value(joined(row.event.breakdown.values().map(AsRef::as_ref)));
        value.append_option(row.value_micro);
        status.append_value(row.event.status.code());
        published.append_value(row.published_at);
        retrieved.append_value(row.retrieved_at);
        partition.append_value(message.partition);
        offset.append_value(message.offset);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(publisher.finish()),
        Arc::new(table.finish()),
        Arc::new(measure.finish()),
        Arc::new(area.finish()),
        Arc::new(period.finish()),
        Arc::new(period_start.finish()),
        Arc::new(period_end.finish()),
        Arc::new(breakdown.finish()),
        Arc::new(breakdown_value.finish()),
        Arc::new(value.finish()),
        Arc::new(status.finish()),
        Arc::new(published.finish()),
        Arc::new(retrieved.finish()),
        Arc::new(partition.finish()),
        Arc::new(offset.finish()),
    ];
    let batch = RecordBatch::try_new(schema(), columns).expect("the builders fill the columns of the schema");
    Decoded { batch, rejected, unknown_fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    fn message(offset: i64, payload: &[u8]) -> Message<'_> {
        Message { partition: 2, offset, payload }
    }

    const GOOD: &str = r#"{"publisher":"jobindsats","table":"y25i01","measure":"full_time_persons","area":851,
        "period":"2026M07","breakdown":{"benefit":"unemployment"},"value":"4112","status":"final",
        "published_at":"2026-08-19T06:00:00Z","retrieved_at":"2026-08-19T07:58:44Z","extra":1}"#;

    #[test]
    fn a_good_event_becomes_a_row_and_unknown_fields_are_counted() {
        let decoded = decode([message(7, GOOD.as_bytes())]);
        assert_eq!(decoded.rejected, []);
        assert_eq!(decoded.unknown_fields, 1);
        assert_eq!(decoded.batch.num_rows(), 1);
        let text = |name: &str| {
            decoded.batch.column_by_name(name).expect(name).as_string::<i32>().value(0).to_owned()
        };
        assert_eq!(text("breakdown"), "benefit");
        assert_eq!(text("breakdown_value"), "unemployment");
        let value = decoded.batch.column_by_name("value_micro").expect("column");
        assert_eq!(value.as_primitive::<Int64Type>().value(0), 4_112_000_000);
    }

    #[test]
    fn each_kind_of_garbage_is_refused_with_its_reason() {
        let edit = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            GOOD.replace(from, to).into_bytes()
        };
        let cases: Vec<(Vec<u8>, Reason, &str)> = vec![
            (vec![], Reason::Empty, "no bytes"),
            (vec![b'{'; EVENT_TOO_LARGE], Reason::TooLarge, "at most"),
            (GOOD.as_bytes()[..40].to_vec(), Reason::MalformedJson, "EOF"),
            (format!("{GOOD}{GOOD}").into_bytes(), Reason::MalformedJson, "trailing"),
            (b"<html>proxy</html>".to_vec(), Reason::MalformedJson, "expected value"),
            (b"K\xf8benhavn".to_vec(), Reason::WrongEncoding, "byte 1"),
            (b"[]".to_vec(), Reason::InvalidField, "array"),
            (b"{}".to_vec(), Reason::InvalidField, "missing field"),
            (edit(r#""area":851"#, r#""area":"851""#), Reason::InvalidField, "invalid type"),
            (edit(r#""area":851,"#, ""), Reason::InvalidField, "missing field `area`"),
            (edit(r#""area":851"#, r#""area":9999"#), Reason::InvalidValue, "area"),
            (edit("jobindsats", "somebody"), Reason::InvalidValue, "publisher"),
            (edit("2026M07", "2026M17"), Reason::InvalidValue, "period"),
            (edit(r#""4112""#, "4112"), Reason::InvalidField, "invalid type"),
            (edit("4112", "4.112,0"), Reason::InvalidValue, "value"),
            (edit(r#""4112""#, "null"), Reason::InvalidValue, "value"),
            (edit(r#""final""#, r#""hidden""#), Reason::InvalidValue, "value"),
            (edit(r#""final""#, r#""guessed""#), Reason::InvalidField, "unknown variant"),
            (edit("2026-08-19T06:00:00Z", "19-08-2026"), Reason::InvalidValue, "published_at"),
        ];
        for (payload, reason, part) in cases {
            let decoded = decode([message(0, GOOD.as_bytes()), message(1, &payload)]);
            assert_eq!(decoded.batch.num_rows(), 1, "the good one stays beside {reason:?}");
            let [rejected] = &decoded.rejected[..] else { panic!("{reason:?}: {:?}", decoded.rejected) };
            assert_eq!((rejected.index, rejected.reason), (1, reason), "{}", rejected.message);
            assert!(rejected.message.contains(part), "{reason:?}: {}", rejected.message);
        }
    }

    const EVENT_TOO_LARGE: usize = crate::decode::EVENT_BYTES_MAX + 1;

    #[test]
    fn a_produced_event_decodes() {
        let event: OfficialEvent = serde_json::from_str(GOOD).expect("json");
        let decoded = decode([message(0, &event.to_json())]);
        assert_eq!((decoded.batch.num_rows(), decoded.unknown_fields), (1, 0));
    }
}
