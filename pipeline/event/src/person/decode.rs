//! From payloads to rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, FixedSizeBinaryBuilder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use chrono::{Datelike, NaiveDate};
use serde::Deserialize;

use super::{
    AMOUNT_OERE_MAX, INTERVAL_DAYS_MAX, Op, SCHOOL_EXPECTED, Sex, is_school, kind, parse_person, schema,
    topic_number,
};
use crate::decode::{Refusal, check_text, instant_micros, parse_object};
use crate::period::days_since_1970;
use crate::{Decoded, Message, Reason, Rejected, Topic, benefit, municipality};

/// A parsed event of any of the topics: what is common is required, the rest is checked by kind.
#[derive(Debug, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    op: Op,
    #[serde(default)]
    revision: Option<i64>,
    #[serde(borrow)]
    recorded_at: Cow<'a, str>,
    #[serde(borrow)]
    person: Cow<'a, str>,
    #[serde(borrow)]
    birth: Option<Cow<'a, str>>,
    sex: Option<Sex>,
    municipality: i32,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    benefit: Option<Cow<'a, str>>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    to: Option<Cow<'a, str>>,
    minutes: Option<i64>,
    amount_oere: Option<i64>,
    refund_oere: Option<i64>,
    #[serde(borrow)]
    due: Option<Cow<'a, str>>,
    #[serde(borrow)]
    held: Option<Cow<'a, str>>,
    #[serde(borrow)]
    form: Option<Cow<'a, str>>,
    #[serde(borrow)]
    offer: Option<Cow<'a, str>>,
    minutes_per_week: Option<i64>,
    #[serde(borrow)]
    on: Option<Cow<'a, str>>,
    #[serde(borrow)]
    level: Option<Cow<'a, str>>,
    passed: Option<bool>,
    #[serde(borrow)]
    school: Option<Cow<'a, str>>,
    #[serde(borrow)]
    origin: Option<Cow<'a, str>>,
    #[serde(borrow)]
    month: Option<Cow<'a, str>>,
    wage_oere: Option<i64>,
}

/// What of an event depends on its kind.
#[derive(Debug, Default)]
struct Own<'a> {
    kind: i32,
    benefit: Option<i32>,
    from_day: Option<i32>,
    to_day: Option<i32>,
    minutes: Option<i64>,
    amount_oere: Option<i64>,
    refund_oere: Option<i64>,
    detail: Option<Cow<'a, str>>,
    passed: Option<bool>,
    school: Option<Cow<'a, str>>,
}

fn invalid(message: impl Into<String>) -> Refusal {
    (Reason::InvalidValue, message.into())
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| (Reason::InvalidField, format!("missing field `{field}`")))
}

/// Parses `YYYY-MM-DD`.
fn day(field: &str, text: &str) -> Result<NaiveDate, Refusal> {
    let parsed = match text.as_bytes() {
        [y @ .., b'-', m1, m2, b'-', d1, d2] if y.len() == 4 => {
            let number = |digits: &[u8]| {
                digits.iter().try_fold(0_u32, |number, digit| {
                    digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
                })
            };
            let parts = (number(y), number(&[*m1, *m2]), number(&[*d1, *d2]));
            match parts {
                (Some(year), Some(month), Some(day)) => {
                    NaiveDate::from_ymd_opt(i32::try_from(year).unwrap_or(0), month, day)
                }
                _ => None,
            }
        }
        _ => None,
    };
    parsed
        .filter(|date| (1900..=2199).contains(&date.year()))
        .ok_or_else(|| invalid(format!("{field}: expected a date such as 2026-08-19")))
}

/// Parses `YYYY-MM` to months since January 1970.
fn month(field: &str, text: &str) -> Result<i32, Refusal> {
    let first = first_of_month(field, text)?;
    Ok((first.year() - 1970) * 12 + first.month0().cast_signed())
}

fn first_of_month(field: &str, text: &str) -> Result<NaiveDate, Refusal> {
    day(field, &format!("{text:.16}-01"))
        .map_err(|_| invalid(format!("{field}: expected a month such as 2026-08")))
}

fn amount(field: &str, value: i64) -> Result<i64, Refusal> {
    if value.abs() <= AMOUNT_OERE_MAX {
        return Ok(value);
    }
    Err(invalid(format!("{field}: expected at most {AMOUNT_OERE_MAX} øre, got {value}")))
}

fn time(field: &str, value: i64) -> Result<i64, Refusal> {
    if (0..=1_000_000).contains(&value) {
        return Ok(value);
    }
    Err(invalid(format!("{field}: expected 0 to 1,000,000 minutes, got {value}")))
}

fn in_order(from: i32, to: i32) -> Result<(), Refusal> {
    if from <= to {
        return Ok(());
    }
    Err(invalid("to: expected a day that is not before from"))
}

fn payment<'a>(wire: &mut Wire<'a>) -> Result<Own<'a>, Refusal> {
    let code = required("benefit", wire.benefit.take())?;
    let number = benefit::number_of(&code).ok_or_else(|| {
        let known = benefit::BENEFITS.map(|(code, _)| code).join(", ");
        invalid(format!("benefit: expected one of {known}, got {code:.40?}"))
    })?;
    let from = days_since_1970(day("from", &required("from", wire.from.take())?)?);
    let to = days_since_1970(day("to", &required("to", wire.to.take())?)?);
    in_order(from, to)?;
    if i64::from(to) - i64::from(from) >= INTERVAL_DAYS_MAX {
        return Err(invalid(format!(
            "to: expected at most {INTERVAL_DAYS_MAX} days from the first to the last"
        )));
    }
    Ok(Own {
        kind: kind::PAYMENT,
        benefit: Some(number),
        from_day: Some(from),
        to_day: Some(to),
        minutes: wire.minutes.map(|minutes| time("minutes", minutes)).transpose()?,
        amount_oere: Some(amount("amount_oere", required("amount_oere", wire.amount_oere)?)?),
        refund_oere: Some(amount("refund_oere", required("refund_oere", wire.refund_oere)?)?),
        ..Own::default()
    })
}

fn text<'a>(field: &str, value: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Refusal> {
    let value = required(field, value)?;
    check_text(field, &value, 0..=64)?;
    Ok(value)
}

fn case<'a>(wire: &mut Wire<'a>) -> Result<Own<'a>, Refusal> {
    let date = |field: &str, value: Option<Cow<'a, str>>| -> Result<Option<i32>, Refusal> {
        value.map(|text| day(field, &text).map(days_since_1970)).transpose()
    };
    let must = |field: &str, value: Option<Cow<'a, str>>| -> Result<Option<i32>, Refusal> {
        date(field, Some(required(field, value)?))
    };
    let name = required("kind", wire.kind.take())?;
    let own = match name.as_ref() {
        "registration" => Own {
            kind: kind::REGISTRATION,
            from_day: must("from", wire.from.take())?,
            to_day: date("to", wire.to.take())?,
            ..Own::default()
        },
        "contact" => Own {
            kind: kind::CONTACT,
            from_day: must("due", wire.due.take())?,
            to_day: date("held", wire.held.take())?,
            detail: Some(text("form", wire.form.take())?),
            ..Own::default()
        },
        "activation" => Own {
            kind: kind::ACTIVATION,
            from_day: must("from", wire.from.take())?,
            to_day: date("to", wire.to.take())?,
            detail: Some(text("offer", wire.offer.take())?),
            minutes: Some(time("minutes_per_week", required("minutes_per_week", wire.minutes_per_week)?)?),
            ..Own::default()
        },
        "language_test" => Own {
            kind: kind::LANGUAGE_TEST,
            from_day: must("on", wire.on.take())?,
            detail: Some(text("level", wire.level.take())?),
            passed: Some(required("passed", wire.passed)?),
            school: match wire.school.take() {
                Some(code) if !is_school(&code) => return Err(invalid(format!("school: {SCHOOL_EXPECTED}"))),
                code => code,
            },
            ..Own::default()
        },
        "origin" => {
            let origin = text("origin", wire.origin.take())?;
            if !matches!(origin.as_ref(), "danish" | "western" | "non_western") {
                return Err(invalid("origin: expected danish, western or non_western"));
            }
            let from_day = must("from", wire.from.take())?;
            Own { kind: kind::ORIGIN, from_day, detail: Some(origin), ..Own::default() }
        }
        _ => {
            let known = "registration, contact, activation, language_test or origin";
            return Err(invalid(format!("kind: expected {known}, got {name:.40?}")));
        }
    };
    if let (kind::REGISTRATION | kind::ACTIVATION, Some(from), Some(to)) =
        (own.kind, own.from_day, own.to_day)
    {
        in_order(from, to)?;
    }
    Ok(own)
}

fn income<'a>(wire: &mut Wire<'a>) -> Result<Own<'a>, Refusal> {
    let text = required("month", wire.month.take())?;
    let first = first_of_month("month", &text)?;
    let last = first + chrono::Months::new(1) - chrono::Days::new(1);
    Ok(Own {
        kind: kind::INCOME,
        from_day: Some(days_since_1970(first)),
        to_day: Some(days_since_1970(last)),
        minutes: Some(time("minutes", required("minutes", wire.minutes)?)?),
        amount_oere: Some(amount("wage_oere", required("wage_oere", wire.wage_oere)?)?),
        ..Own::default()
    })
}

fn own<'a>(topic: Topic, wire: &mut Wire<'a>) -> Result<Own<'a>, Refusal> {
    if wire.op == Op::Delete {
        let kind = match topic {
            Topic::Payments => kind::PAYMENT,
            Topic::Cases => kind::REGISTRATION,
            _ => kind::INCOME,
        };
        return Ok(Own { kind, ..Own::default() });
    }
    match topic {
        Topic::Payments => payment(wire),
        Topic::Cases => case(wire),
        _ => income(wire),
    }
}

/// Columns under construction.
struct Columns {
    topic: i32,
    person: FixedSizeBinaryBuilder,
    topics: Int32Builder,
    source: StringBuilder,
    id: StringBuilder,
    op: Int32Builder,
    revision: Int64Builder,
    recorded_at: TimestampMicrosecondBuilder,
    birth_month: Int32Builder,
    sex: Int32Builder,
    municipality: Int32Builder,
    kind: Int32Builder,
    benefit: Int32Builder,
    from_day: Date32Builder,
    to_day: Date32Builder,
    minutes: Int64Builder,
    amount_oere: Int64Builder,
    refund_oere: Int64Builder,
    detail: StringBuilder,
    passed: BooleanBuilder,
    school: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
}

impl Columns {
    fn new(topic: Topic) -> Self {
        Self {
            topic: topic_number(topic).unwrap_or(-1),
            person: FixedSizeBinaryBuilder::new(16),
            topics: Int32Builder::new(),
            source: StringBuilder::new(),
            id: StringBuilder::new(),
            op: Int32Builder::new(),
            revision: Int64Builder::new(),
            recorded_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            birth_month: Int32Builder::new(),
            sex: Int32Builder::new(),
            municipality: Int32Builder::new(),
            kind: Int32Builder::new(),
            benefit: Int32Builder::new(),
            from_day: Date32Builder::new(),
            to_day: Date32Builder::new(),
            minutes: Int64Builder::new(),
            amount_oere: Int64Builder::new(),
            refund_oere: Int64Builder::new(),
            detail: StringBuilder::new(),
            passed: BooleanBuilder::new(),
            school: StringBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
        }
    }

    /// Checks a message and appends its row; nothing is appended if it is refused.
    fn push(&mut self, topic: Topic, message: &Message<'_>, unknown_fields: &mut u64) -> Result<(), Refusal> {
        let mut wire: Wire<'_> = parse_object(message.payload, unknown_fields)?;
        check_text("source", &wire.source, 1..=64)?;
        check_text("id", &wire.id, 1..=128)?;
        let revision = wire.revision.unwrap_or(0);
        if revision < 0 {
            return Err(invalid("revision: expected an integer of at least 0"));
        }
        let person = parse_person(&wire.person)
            .ok_or_else(|| invalid("person: expected 32 lower-case hexadecimal digits"))?;
        if !municipality::is_municipality(wire.municipality) {
            let message =
                format!("municipality: expected one of the 98 municipality codes, got {}", wire.municipality);
            return Err(invalid(message));
        }
        let birth_month = wire.birth.as_deref().map(|text| month("birth", text)).transpose()?;
        let recorded_at = instant_micros("recorded_at", &wire.recorded_at)?;
        let own = own(topic, &mut wire)?;
        // A person's pseudonym always has the width of the builder.
        let _ = self.person.append_value(person);
        self.topics.append_value(self.topic);
        self.source.append_value(&wire.source);
        self.id.append_value(&wire.id);
        self.op.append_value(wire.op.number());
        // A row of a ledger has no revisions: duplicates are told by (source, id) alone.
        self.revision.append_value(if wire.op == Op::Add { 0 } else { revision });
        self.recorded_at.append_value(recorded_at);
        self.birth_month.append_option(birth_month);
        self.sex.append_option(wire.sex.map(|sex| match sex {
            Sex::Female => 1,
            Sex::Male => 2,
        }));
        self.municipality.append_value(wire.municipality);
        self.kind.append_value(own.kind);
        self.benefit.append_option(own.benefit);
        self.from_day.append_option(own.from_day);
        self.to_day.append_option(own.to_day);
        self.minutes.append_option(own.minutes);
        self.amount_oere.append_option(own.amount_oere);
        self.refund_oere.append_option(own.refund_oere);
        self.detail.append_option(own.detail);
        self.passed.append_option(own.passed);
        self.school.append_option(own.school);
        self.partition.append_value(message.partition);
        self.offset.append_value(message.offset);
        Ok(())
    }

    fn finish(mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.person.finish()),
            Arc::new(self.topics.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.id.finish()),
            Arc::new(self.op.finish()),
            Arc::new(self.revision.finish()),
            Arc::new(self.recorded_at.finish()),
            Arc::new(self.birth_month.finish()),
            Arc::new(self.sex.finish()),
            Arc::new(self.municipality.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.benefit.finish()),
            Arc::new(self.from_day.finish()),
            Arc::new(self.to_day.finish()),
            Arc::new(self.minutes.finish()),
            Arc::new(self.amount_oere.finish()),
            Arc::new(self.refund_oere.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.passed.finish()),
            Arc::new(self.school.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
        ];
        RecordBatch::try_new(schema(), columns).expect("the builders fill the columns of the schema")
    }
}

/// Decodes messages of a person topic into rows of [`schema`], in the order of the messages.
///
/// # Panics
/// Never: the builders fill exactly the columns of the schema.
pub fn decode<'m>(topic: Topic, messages: impl IntoIterator<Item = Message<'m>>) -> Decoded {
    let mut columns = Columns::new(topic);
    let mut rejected = Vec::new();
    let mut unknown_fields = 0;
    for (index, message) in messages.into_iter().enumerate() {
        if let Err((reason, message)) = columns.push(topic, &message, &mut unknown_fields) {
            rejected.push(Rejected { index, reason, message });
        }
    }
    Decoded { batch: columns.finish(), rejected, unknown_fields }
}
