//! Events about one person: payments, cases, income.
//!
//! The three topics share their identity, their two styles of correction and one decoded form, so that the log
//! keeps a person's whole history in one sorted run. Two styles: `add` is a row of a ledger, counted once by
//! (`source`, `id`); `upsert`/`delete` is a record with a life, the highest `revision` of (`source`, `id`) wins.
//! A `delete` needs its identity only; its other fields may be null or absent.
//!
//! `sex` is ours, an optional field beside the contract: it stands in no payment file but in the CPR, which stops
//! at the connector.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, FixedSizeBinaryBuilder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::{Refusal, check_text, instant_micros, parse_object};
use crate::period::days_since_1970;
use crate::{Decoded, Message, Reason, Rejected, Topic, benefit, municipality};

/// The longest interval of a payment, days.
pub const INTERVAL_DAYS_MAX: i64 = 366;

/// Sums of money beyond this are refused, øre: ten billion kroner.
pub const AMOUNT_OERE_MAX: i64 = 1_000_000_000_000;

/// Buckets that persons fall into; fixed for ever, files are named by them.
pub const BUCKETS: usize = 1_024;

/// The pseudonym of a person: first 128 bits of a keyed hash.
pub type PersonId = [u8; 16];

/// The bucket of a person: the first 10 bits.
pub fn bucket_of(person: &PersonId) -> usize {
    usize::from(u16::from_be_bytes([person[0], person[1]]) >> 6)
}

/// The partition of a person on a topic with `partitions` partitions.
pub fn partition_of(person: &PersonId, partitions: i32) -> i32 {
    let partitions = usize::try_from(partitions).unwrap_or(1);
    i32::try_from(bucket_of(person) * partitions / BUCKETS).unwrap_or(0)
}

/// Reads a person from 32 lower-case hexadecimal digits.
pub fn parse_person(text: &str) -> Option<PersonId> {
    let bytes = text.as_bytes();
    if bytes.len() != 32 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut person = [0; 16];
    for (place, pair) in person.iter_mut().zip(bytes.chunks_exact(2)) {
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(person)
}

/// A person as 32 lower-case hexadecimal digits.
pub fn format_person(person: &PersonId) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(32);
    for byte in person {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// What happens to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A row of a ledger.
    Add,
    /// A record is as it stands here, from this revision on.
    Upsert,
    /// A record is gone, from this revision on.
    Delete,
}

impl Op {
    /// The number in the log.
    pub fn number(self) -> i32 {
        match self {
            Self::Add => 0,
            Self::Upsert => 1,
            Self::Delete => 2,
        }
    }
}

/// Sex as the CPR number tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// Even last digit.
    Female,
    /// Odd last digit.
    Male,
}

/// What every event about a person carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonFields<'a> {
    /// The delivering system, e.g. `yr-101`.
    pub source: Cow<'a, str>,
    /// Unique within the source.
    pub id: Cow<'a, str>,
    /// Style of correction.
    pub op: Op,
    /// Revision of the record; 0 for `add`.
    pub revision: i64,
    /// When the source recorded it.
    #[serde(serialize_with = "instant")]
    pub recorded_at: DateTime<Utc>,
    /// The pseudonym.
    #[serde(serialize_with = "hexadecimal")]
    pub person: PersonId,
    /// Year and month of birth, `YYYY-MM`.
    pub birth: Option<Cow<'a, str>>,
    /// Sex, where it is known.
    pub sex: Option<Sex>,
    /// Municipality code, 101 to 860.
    pub municipality: i32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn instant<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn hexadecimal<S: serde::Serializer>(person: &PersonId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_person(person))
}

/// A payment of a benefit (topic `rettidig.payments`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentEvent<'a> {
    /// What every event carries.
    #[serde(flatten)]
    pub common: PersonFields<'a>,
    /// Benefit code, see [`benefit`].
    pub benefit: Cow<'a, str>,
    /// First day.
    pub from: NaiveDate,
    /// Last day, inclusive.
    pub to: NaiveDate,
    /// Paid time, if the benefit is paid by the hour.
    pub minutes: Option<i64>,
    /// Amount, øre; negative in corrections.
    pub amount_oere: i64,
    /// State refund actually booked, øre.
    pub refund_oere: i64,
}

/// A step of a case (topic `rettidig.cases`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseEvent<'a> {
    /// What every event carries.
    #[serde(flatten)]
    pub common: PersonFields<'a>,
    /// The step.
    #[serde(flatten)]
    pub step: CaseStep<'a>,
}

/// Kinds of steps with their own fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CaseStep<'a> {
    /// Registered as a jobseeker.
    Registration {
        /// First day.
        from: NaiveDate,
        /// Last day, or open.
        to: Option<NaiveDate>,
    },
    /// An interview.
    Contact {
        /// Due date (faldug).
        due: NaiveDate,
        /// When it was held.
        held: Option<NaiveDate>,
        /// How: `meeting`, `phone`, …
        form: Cow<'a, str>,
    },
    /// An offer (tilbud).
    Activation {
        /// First day.
        from: NaiveDate,
        /// Last day, or open.
        to: Option<NaiveDate>,
        /// Which offer.
        offer: Cow<'a, str>,
        /// Planned time, minutes a week.
        minutes_per_week: i64,
    },
    /// A Danish test.
    LanguageTest {
        /// The day.
        on: NaiveDate,
        /// Level.
        level: Cow<'a, str>,
        /// Result.
        passed: bool,
    },
    /// Origin (herkomst) as Danmarks Statistik divides it.
    Origin {
        /// `danish`, `western` or `non_western`.
        origin: Cow<'a, str>,
        /// Since when.
        from: NaiveDate,
    },
}

/// Wages of one month (topic `rettidig.income`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncomeEvent<'a> {
    /// What every event carries.
    #[serde(flatten)]
    pub common: PersonFields<'a>,
    /// `YYYY-MM`.
    pub month: Cow<'a, str>,
    /// Wages, øre.
    pub wage_oere: i64,
    /// Paid time.
    pub minutes: i64,
}

macro_rules! to_json {
    ($($event:ident),*) => {$(
        impl $event<'_> {
            /// The payload on the topic.
            pub fn to_json(&self) -> Vec<u8> {
                // Texts, integers and dates have no way to fail to serialise.
                serde_json::to_vec(self).unwrap_or_default()
            }

            /// The key on the topic.
            pub fn key(&self) -> String {
                format_person(&self.common.person)
            }
        }
    )*};
}
to_json!(PaymentEvent, CaseEvent, IncomeEvent);

/// Numbers of the kinds of rows in the log.
pub mod kind {
    /// A payment.
    pub const PAYMENT: i32 = 0;
    /// A registration.
    pub const REGISTRATION: i32 = 1;
    /// An interview.
    pub const CONTACT: i32 = 2;
    /// An offer.
    pub const ACTIVATION: i32 = 3;
    /// A Danish test.
    pub const LANGUAGE_TEST: i32 = 4;
    /// Origin.
    pub const ORIGIN: i32 = 5;
    /// Wages of a month.
    pub const INCOME: i32 = 6;
}

/// Topics that carry events about persons, in the order of [`topic_number`].
pub const TOPICS: [Topic; 3] = [Topic::Payments, Topic::Cases, Topic::Income];

/// The number of a person topic in the log.
pub fn topic_number(topic: Topic) -> Option<i32> {
    TOPICS.iter().zip(0..).find(|(known, _)| **known == topic).map(|(_, number)| number)
}

/// Schema of decoded events about persons, one for all three topics. Units: days since 1970 (`from_day`,
/// `to_day`, of a contact due and held, of a wage first and last of its month), months since January 1970
/// (`birth_month`), øre, minutes (of an activation per week). `benefit` is the number of [`benefit`], `kind` that
/// of [`kind`], `sex` 1 female, 2 male.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("person", DataType::FixedSizeBinary(16), false),
            Field::new("topic", DataType::Int32, false),
            Field::new("source", DataType::Utf8, false),
            Field::new("id", DataType::Utf8, false),
            Field::new("op", DataType::Int32, false),
            Field::new("revision", DataType::Int64, false),
            Field::new("recorded_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Field::new("birth_month", DataType::Int32, true),
            Field::new("sex", DataType::Int32, true),
            Field::new("municipality", DataType::Int32, false),
            Field::new("kind", DataType::Int32, false),
            Field::new("benefit", DataType::Int32, true),
            Field::new("from_day", DataType::Date32, true),
            Field::new("to_day", DataType::Date32, true),
            Field::new("minutes", DataType::Int64, true),
            Field::new("amount_oere", DataType::Int64, true),
            Field::new("refund_oere", DataType::Int64, true),
            Field::new("detail", DataType::Utf8, true),
            Field::new("passed", DataType::Boolean, true),
            Field::new("topic_partition", DataType::Int32, false),
            Field::new("topic_offset", DataType::Int64, false),
        ]))
    });
    SCHEMA.clone()
}

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
    let first = day(field, &format!("{text:.16}-01"))
        .map_err(|_| invalid(format!("{field}: expected a month such as 2026-08")))?;
    Ok((first.year() - 1970) * 12 + first.month0().cast_signed())
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
    month("month", &text)?;
    let first = day("month", &format!("{text:.16}-01"))?;
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

/// The event that a row was decoded from, without fields that its kind does not have.
///
/// # Panics
/// If the row has not the schema of [`schema`].
pub fn to_json(rows: &RecordBatch, row: usize) -> Vec<u8> {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
    use serde_json::{Value, json};
    let column = |name: &str| rows.column_by_name(name).expect("a column of the schema");
    let text = |name: &str| -> Value {
        let column = column(name).as_string::<i32>();
        if column.is_null(row) { Value::Null } else { column.value(row).into() }
    };
    let int = |name: &str| -> Option<i32> {
        let column = column(name).as_primitive::<Int32Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let long = |name: &str| -> Option<i64> {
        let column = column(name).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let date = |name: &str| -> Value {
        let column = column(name).as_primitive::<Date32Type>();
        let day =
            column.is_valid(row).then(|| NaiveDate::from_num_days_from_ce_opt(column.value(row) + 719_163));
        day.flatten().map_or(Value::Null, |day| day.to_string().into())
    };
    let month = |months: i32| format!("{:04}-{:02}", 1970 + months.div_euclid(12), months.rem_euclid(12) + 1);
    let mut person = PersonId::default();
    person.copy_from_slice(column("person").as_fixed_size_binary().value(row));
    let recorded = column("recorded_at").as_primitive::<TimestampMicrosecondType>().value(row);
    let recorded = DateTime::from_timestamp_micros(recorded).unwrap_or_default();
    let op =
        ["add", "upsert", "delete"][int("op").and_then(|op| usize::try_from(op).ok()).unwrap_or(0).min(2)];
    let mut event = json!({
        "source": text("source"), "id": text("id"), "op": op, "revision": long("revision"),
        "recorded_at": recorded.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "person": format_person(&person), "birth": int("birth_month").map(month),
        "sex": int("sex").map(|sex| if sex == 1 { "female" } else { "male" }),
        "municipality": int("municipality"),
    });
    let own = match int("kind").unwrap_or(kind::PAYMENT) {
        _ if op == "delete" => json!({}),
        kind::PAYMENT => json!({
            "benefit": int("benefit").and_then(benefit::code_of), "from": date("from_day"), "to": date("to_day"),
            "minutes": long("minutes"), "amount_oere": long("amount_oere"), "refund_oere": long("refund_oere"),
        }),
        kind::REGISTRATION => {
            json!({ "kind": "registration", "from": date("from_day"), "to": date("to_day") })
        }
        kind::CONTACT => json!({
            "kind": "contact", "due": date("from_day"), "held": date("to_day"), "form": text("detail"),
        }),
        kind::ACTIVATION => json!({
            "kind": "activation", "from": date("from_day"), "to": date("to_day"), "offer": text("detail"),
            "minutes_per_week": long("minutes"),
        }),
        kind::LANGUAGE_TEST => json!({
            "kind": "language_test", "on": date("from_day"), "level": text("detail"),
            "passed": column("passed").as_boolean().value(row),
        }),
        kind::ORIGIN => json!({ "kind": "origin", "from": date("from_day"), "origin": text("detail") }),
        _ => {
            let first = column("from_day").as_primitive::<Date32Type>();
            let first = NaiveDate::from_num_days_from_ce_opt(first.value(row) + 719_163).unwrap_or_default();
            json!({
                "month": format!("{:04}-{:02}", first.year(), first.month()),
                "wage_oere": long("amount_oere"), "minutes": long("minutes"),
            })
        }
    };
    if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
        event.extend(own);
    }
    event.to_string().into_bytes()
}

#[cfg(test)]
#[path = "person_tests.rs"]
mod tests;
