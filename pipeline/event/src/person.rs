//! Events about one person: payments, cases, income.
//!
//! The three topics share their identity, their two styles of correction and one decoded form, so that the log
//! keeps a person's whole history in one sorted run. Two styles: `add` is a row of a ledger, counted once by
//! (`source`, `id`); `upsert`/`delete` is a record with a life, the highest `revision` of (`source`, `id`) wins.
//! A `delete` needs its identity only; its other fields may be null or absent.
//!
//! Two optional fields are ours, beside the contract. `sex` stands in no payment file but in the CPR, which stops at the
//! connector. `school` says at which language school a Danish test was taken.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::Topic;

mod decode;
mod json;

pub use decode::decode;
pub use json::to_json;

/// The longest interval of a payment, days.
pub const INTERVAL_DAYS_MAX: i64 = 366;

/// Sums of money beyond this are refused, øre: ten billion kroner.
pub const AMOUNT_OERE_MAX: i64 = 1_000_000_000_000;

/// What the code of a language school looks like.
pub const SCHOOL_EXPECTED: &str =
    "expected a code of 1 to 32 lower-case letters, digits (at most 9) and hyphens, e.g. sprogcenter-101";

/// What all schools together are called where figures are divided by school.
const ALL_SCHOOLS: &str = "total";

/// Whether a text is the code of a language school. Codes are published, so nothing else fits into one: a school's number
/// has six digits, a CPR number ten.
pub fn is_school(code: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&code.len())
        && code.bytes().all(is_plain)
        && code.bytes().filter(u8::is_ascii_digit).count() <= 9
        && code != ALL_SCHOOLS
}

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
        /// The language school, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        school: Option<Cow<'a, str>>,
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
            Field::new("school", DataType::Utf8, true),
            Field::new("topic_partition", DataType::Int32, false),
            Field::new("topic_offset", DataType::Int64, false),
        ]))
    });
    SCHEMA.clone()
}
#[cfg(test)]
#[path = "person_tests.rs"]
mod tests;
