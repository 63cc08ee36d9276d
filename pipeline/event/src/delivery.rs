//! Events on `rettidig.deliveries`: one per file or poll that brought something; completeness is counted
//! from them.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Date32Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::decode::{Refusal, check_area, check_text, instant_micros, parse_object};
use crate::period::days_since_1970;
use crate::{Decoded, Message, Period, Reason, Rejected};

/// A delivery, as produced by a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEvent<'a> {
    /// The delivering system; of an official table `<publisher>-<table>`, e.g. `jobindsats-y25i01`.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// The municipality it is about; 0 if it is about the whole country.
    pub municipality: i32,
    /// The newest reference period in it, see [`Period`].
    #[serde(borrow)]
    pub period: Cow<'a, str>,
    /// Records in it.
    pub records: i64,
    /// A sum that the sender vouches for, decimal text; null if it sends none.
    #[serde(borrow)]
    pub control_sum: Option<Cow<'a, str>>,
    /// When it was delivered, RFC 3339.
    #[serde(borrow)]
    pub delivered_at: Cow<'a, str>,
}

impl DeliveryEvent<'_> {
    /// The payload on the topic.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts and integers have no way to fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Schema of decoded deliveries. `period` is in its published form ([`Period::published`]), `period_start` and
/// `period_end` are its first and last day. Units: `records` a count, `delivered_at` UTC.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("source", DataType::Utf8, false),
            Field::new("municipality", DataType::Int32, false),
            Field::new("period", DataType::Utf8, false),
            Field::new("period_start", DataType::Date32, false),
            Field::new("period_end", DataType::Date32, false),
            Field::new("records", DataType::Int64, false),
            Field::new("control_sum", DataType::Utf8, true),
            Field::new("delivered_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Field::new("topic_partition", DataType::Int32, false),
            Field::new("topic_offset", DataType::Int64, false),
        ]))
    });
    SCHEMA.clone()
}

fn check<'a>(
    payload: &'a [u8],
    unknown_fields: &mut u64,
) -> Result<(DeliveryEvent<'a>, Period, i64), Refusal> {
    let event: DeliveryEvent<'a> = parse_object(payload, unknown_fields)?;
    check_text("source", &event.source, 1..=64)?;
    check_area("municipality", event.municipality)?;
    let period: Period =
        event.period.parse().map_err(|error| (Reason::InvalidValue, format!("period: {error}")))?;
    if event.records < 0 {
        return Err((Reason::InvalidValue, "records: expected a count of at least 0".to_owned()));
    }
    let delivered_at = instant_micros("delivered_at", &event.delivered_at)?;
    Ok((event, period, delivered_at))
}

/// Decodes a batch of messages into rows of [`schema`], in the order of the messages.
///
/// # Panics
/// Never: the builders fill exactly the columns of the schema.
pub fn decode<'m>(messages: impl IntoIterator<Item = Message<'m>>) -> Decoded {
    let (mut source, mut municipality) = (StringBuilder::new(), Int32Builder::new());
    let (mut period, mut records) = (StringBuilder::new(), Int64Builder::new());
    let (mut period_start, mut period_end) = (Date32Builder::new(), Date32Builder::new());
    let mut control_sum = StringBuilder::new();
    let mut delivered = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let (mut partition, mut offset) = (Int32Builder::new(), Int64Builder::new());
    let mut rejected = Vec::new();
    let mut unknown_fields = 0;
    for (index, message) in messages.into_iter().enumerate() {
        match check(message.payload, &mut unknown_fields) {
            Ok((event, reference_period, delivered_at)) => {
                source.append_value(&event.source);
                municipality.append_value(event.municipality);
                period.append_value(reference_period.published());
                period_start.append_value(days_since_1970(reference_period.first_day()));
                period_end.append_value(days_since_1970(reference_period.last_day()));
                records.append_value(event.records);
                control_sum.append_option(event.control_sum.as_deref());
                delivered.append_value(delivered_at);
                partition.append_value(message.partition);
                offset.append_value(message.offset);
            }
            Err((reason, message)) => rejected.push(Rejected { index, reason, message }),
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(source.finish()),
        Arc::new(municipality.finish()),
        Arc::new(period.finish()),
        Arc::new(period_start.finish()),
        Arc::new(period_end.finish()),
        Arc::new(records.finish()),
        Arc::new(control_sum.finish()),
        Arc::new(delivered.finish()),
        Arc::new(partition.finish()),
        Arc::new(offset.finish()),
    ];
    let batch = RecordBatch::try_new(schema(), columns).expect("the builders fill the columns of the schema");
    Decoded { batch, rejected, unknown_fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_deliveries() {
        let event = DeliveryEvent {
            source: "jobindsats-y25i01".into(),
            municipality: 0,
            period: "2026M07".into(),
            records: 35_640,
            control_sum: None,
            delivered_at: "2026-08-19T07:58:44Z".into(),
        };
        let good = event.to_json();
        let negative = DeliveryEvent { records: -1, ..event.clone() }.to_json();
        let no_period = DeliveryEvent { period: "July".into(), ..event }.to_json();
        let payloads = [&good[..], &negative[..], &no_period[..], b"{}"];
        let messages =
            payloads.iter().zip(0..).map(|(payload, offset)| Message { partition: 0, offset, payload });
        let decoded = decode(messages);
        assert_eq!(decoded.batch.num_rows(), 1);
        let reasons: Vec<_> = decoded.rejected.iter().map(|r| (r.index, r.reason)).collect();
        assert_eq!(
            reasons,
            [(1, Reason::InvalidValue), (2, Reason::InvalidValue), (3, Reason::InvalidField)]
        );
    }
}
