//! From one record's fields to one event.
//!
//! The person comes in as a CPR number and leaves as a pseudonym; nothing else that reads like such a number
//! gets into an event. What the pipeline would refuse is refused here, where file and line are known. A refusal
//! names the column and what was expected, never what stood there.

use std::borrow::Cow;

use chrono::{DateTime, Days, NaiveDate, Utc};
use rettidig_event::person::{AMOUNT_OERE_MAX, INTERVAL_DAYS_MAX, SCHOOL_EXPECTED, format_person, is_school};
use rettidig_event::{
    CaseEvent, CaseStep, IncomeEvent, Op, PaymentEvent, PersonFields, Reason, Topic, clock::danish_date,
};

use super::profile::{Field, IdPart, Kind, Profile, RecordMap};
use super::row::Object;
use super::values::{self, Expected};
use crate::emit::Refusal;
use crate::pseudonym::{Cpr, Erased, PseudonymKey, contains_cpr};

/// The longest id, bytes.
const ID_BYTES_MAX: usize = 128;

/// The longest other text, bytes.
const TEXT_BYTES_MAX: usize = 64;

/// The longest time that the pipeline takes, minutes.
const MINUTES_MAX: i64 = 1_000_000;

/// What a whole delivery has in common.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Name of the file, or what stands for it.
    pub file: String,
    /// The municipality that delivers; `None` if only its records tell.
    pub municipality: Option<i32>,
    /// `recorded_at` of records that have none of their own.
    pub recorded_at: DateTime<Utc>,
    /// When it was delivered: the same whenever the same file is read.
    pub delivered_at: DateTime<Utc>,
    /// `source` in the events.
    pub source: String,
}

/// The fields of one record.
pub(crate) enum Fields<'r> {
    /// Texts, and where each of [`RecordMap::names`] is among them.
    Split { texts: &'r [&'r str], places: &'r [usize] },
    /// A JSON object.
    Object(&'r Object<'r>),
}

impl Fields<'_> {
    fn get(&self, map: &RecordMap, name: usize) -> Result<Option<Cow<'_, str>>, Expected> {
        match self {
            Self::Split { texts, places } => {
                let text = places.get(name).and_then(|place| texts.get(*place)).map(|text| text.trim());
                Ok(text.filter(|text| !text.is_empty()).map(Cow::Borrowed))
            }
            Self::Object(object) => object.get(&map.names[name]),
        }
    }

    /// The CPR field as it stands in the line.
    pub(crate) fn cpr_as_written(&self, map: &RecordMap) -> Option<String> {
        let name = map.column(Field::Cpr)?;
        match self {
            Self::Split { texts, places } => {
                places.get(name).and_then(|place| texts.get(*place)).map(|text| (*text).to_owned())
            }
            Self::Object(object) => object.raw(&map.names[name]).map(str::to_owned),
        }
    }
}

/// One event.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub topic: Topic,
    pub key: String,
    pub payload: Vec<u8>,
    /// The day by which the delivery's newest period is told.
    pub day: NaiveDate,
    pub passes_modulus_11: bool,
}

/// Why a record gives no event.
#[derive(Debug)]
pub(crate) enum NotMapped {
    /// It cannot be used.
    Refused(Refusal),
    /// Its person was erased: nothing of it may be kept.
    Erased,
}

impl From<Refusal> for NotMapped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Erased> for NotMapped {
    fn from(_: Erased) -> Self {
        Self::Erased
    }
}

/// Maps records of one kind.
pub(crate) struct Mapper<'p> {
    pub profile: &'p Profile,
    pub key: &'p PseudonymKey,
    pub delivery: &'p Delivery,
}

struct Record<'r> {
    profile: &'r Profile,
    map: &'r RecordMap,
    fields: &'r Fields<'r>,
}

impl<'r> Record<'r> {
    fn refuse(&self, field: Field, reason: Reason, expected: &str) -> Refusal {
        let column = self.map.column(field).map_or("", |name| self.map.names[name].as_str());
        Refusal::new(reason, format!("column {column:?} ({}): {expected}", field.name()))
    }

    fn maybe<T>(
        &self,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Result<Option<T>, Refusal> {
        let Some(name) = self.map.column(field) else { return Ok(None) };
        let text = self.fields.get(self.map, name);
        let text = text.map_err(|expected| self.refuse(field, Reason::InvalidField, expected))?;
        let value = text.map(|text| read(&text)).transpose();
        value.map_err(|expected| self.refuse(field, Reason::InvalidValue, expected))
    }

    fn required<T>(
        &self,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Result<T, Refusal> {
        self.maybe(field, read)?
            .ok_or_else(|| self.refuse(field, Reason::InvalidField, "is blank or missing"))
    }

    fn date(&self, field: Field) -> Result<Option<NaiveDate>, Refusal> {
        self.maybe(field, |text| values::date(text, &self.profile.dates))
    }

    fn required_date(&self, field: Field) -> Result<NaiveDate, Refusal> {
        self.required(field, |text| values::date(text, &self.profile.dates))
    }

    fn amount(&self, field: Field) -> Result<Option<i64>, Refusal> {
        self.maybe(field, |text| {
            let oere = values::amount_oere(text, self.profile.decimal)?;
            let fits = oere.checked_abs().is_some_and(|size| size <= AMOUNT_OERE_MAX);
            fits.then_some(oere).ok_or("expected less than ten billion kroner")
        })
    }

    fn minutes(&self, field: Field) -> Result<Option<i64>, Refusal> {
        self.maybe(field, |text| {
            let minutes = values::hours_to_minutes(text, self.profile.decimal)?;
            let fits = (0..=MINUTES_MAX).contains(&minutes);
            fits.then_some(minutes).ok_or("expected 0 to 16,666 hours")
        })
    }

    /// A text, translated if the profile has codes for the field.
    fn text(&self, field: Field) -> Result<Option<String>, Refusal> {
        self.maybe(field, |text| {
            let text = text.trim();
            if let Some(codes) = self.profile.codes.get(field.name()) {
                let code = codes.get(&text.to_lowercase()).cloned();
                return code.ok_or("not among the codes of the profile");
            }
            plain_text(text, TEXT_BYTES_MAX).map(str::to_owned)
        })
    }

    fn id(&self, delivery: &Delivery, line: u64) -> Result<String, Refusal> {
        let invalid = |reason, expected: &str| Refusal::new(reason, format!("id: {expected}"));
        let mut id = String::new();
        for part in &self.map.id {
            match part {
                IdPart::Literal(text) => id.push_str(text),
                IdPart::File => id.push_str(&delivery.file),
                IdPart::Line => id.push_str(&line.to_string()),
                IdPart::Column(name) => {
                    let text = self.fields.get(self.map, *name);
                    let text = text.map_err(|expected| invalid(Reason::InvalidField, expected))?;
                    let column = &self.map.names[*name];
                    let text = text.ok_or_else(|| {
                        invalid(Reason::InvalidField, &format!("column {column:?} is blank or missing"))
                    })?;
                    let text = plain_text(text.trim(), ID_BYTES_MAX);
                    id.push_str(text.map_err(|expected| invalid(Reason::InvalidValue, expected))?);
                }
            }
        }
        if id.len() > ID_BYTES_MAX {
            return Err(invalid(Reason::InvalidValue, "longer than 128 bytes"));
        }
        Ok(id)
    }
}

/// A text that may stand in an event.
fn plain_text(text: &str, bytes_max: usize) -> Result<&str, Expected> {
    if text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err("expected a shorter text without control characters");
    }
    if contains_cpr(text) {
        return Err("reads like a CPR number, which must not get into an event");
    }
    Ok(text)
}

fn in_order(record: &Record<'_>, from: NaiveDate, to: NaiveDate) -> Result<(), Refusal> {
    if to < from {
        return Err(record.refuse(Field::To, Reason::InvalidValue, "lies before the first day"));
    }
    Ok(())
}

impl Mapper<'_> {
    /// The event of one record.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn map(&self, map: &RecordMap, fields: &Fields<'_>, line: u64) -> Result<Mapped, NotMapped> {
        let record = Record { profile: self.profile, map, fields };
        let cpr = record.required(Field::Cpr, |text| {
            Cpr::parse(text).map_err(|error| match error {
                crate::pseudonym::CprError::Form => "expected 10 digits DDMMYYSSSS, hyphen allowed",
                crate::pseudonym::CprError::Date => "the first six digits are no date that exists",
            })
        })?;
        // Before anything else of the record can be refused, which would keep its bytes.
        let person = self.key.person(&cpr)?;
        let deleted = record.maybe(Field::Deleted, values::flag)?.unwrap_or(false);
        let op = match (map.add, deleted) {
            (true, _) => Op::Add,
            (false, false) => Op::Upsert,
            (false, true) => Op::Delete,
        };
        let revision = if map.add { 0 } else { record.required(Field::Revision, values::count)? };
        let municipality = record.maybe(Field::Municipality, values::municipality)?;
        let municipality = municipality.or(self.delivery.municipality).ok_or_else(|| {
            record.refuse(Field::Municipality, Reason::InvalidField, "is blank, and the delivery has none")
        })?;
        let recorded_at =
            record.maybe(Field::RecordedAt, values::instant)?.unwrap_or(self.delivery.recorded_at);
        let common = PersonFields {
            source: self.delivery.source.as_str().into(),
            id: record.id(self.delivery, line)?.into(),
            op,
            revision,
            recorded_at,
            person,
            birth: cpr.birth().map(Cow::Owned),
            sex: Some(cpr.sex()),
            municipality,
        };
        let topic = match map.kind {
            Kind::Payment => Topic::Payments,
            Kind::Income => Topic::Income,
            _ => Topic::Cases,
        };
        let recorded_on = danish_date(recorded_at);
        let (payload, day) = if op == Op::Delete {
            // Its identity is all a delete needs; the rest of such a record is often blank.
            (serde_json::to_vec(&common).unwrap_or_default(), recorded_on)
        } else {
            match map.kind {
                Kind::Payment => payment(&record, common)?,
                Kind::Income => income(&record, common)?,
                _ => (CaseEvent { common, step: case_step(&record)? }.to_json(), recorded_on),
            }
        };
        let passes_modulus_11 = cpr.passes_modulus_11();
        Ok(Mapped { topic, key: format_person(&person), payload, day, passes_modulus_11 })
    }
}

fn payment(record: &Record<'_>, common: PersonFields<'_>) -> Result<(Vec<u8>, NaiveDate), Refusal> {
    let missing = |field| record.refuse(field, Reason::InvalidField, "is blank or missing");
    let from = record.required_date(Field::From)?;
    let to = match record.map.days.and_then(|days| u64::try_from(days - 1).ok()) {
        Some(days) => from + Days::new(days),
        None => record.required_date(Field::To)?,
    };
    in_order(record, from, to)?;
    if !values::in_years(to) {
        return Err(record.refuse(
            Field::From,
            Reason::InvalidValue,
            "expected a period that ends before 2200",
        ));
    }
    if (to - from).num_days() >= INTERVAL_DAYS_MAX {
        return Err(record.refuse(Field::To, Reason::InvalidValue, "expected at most 366 days"));
    }
    let event = PaymentEvent {
        common,
        benefit: record.text(Field::Benefit)?.ok_or_else(|| missing(Field::Benefit))?.into(),
        from,
        to,
        minutes: record.minutes(Field::Hours)?,
        amount_oere: record.amount(Field::Amount)?.ok_or_else(|| missing(Field::Amount))?,
        refund_oere: record.amount(Field::Refund)?.unwrap_or(0),
    };
    Ok((event.to_json(), from))
}

fn income(record: &Record<'_>, common: PersonFields<'_>) -> Result<(Vec<u8>, NaiveDate), Refusal> {
    let missing = |field| record.refuse(field, Reason::InvalidField, "is blank or missing");
    let month = record.required(Field::Month, values::month)?;
    let event = IncomeEvent {
        common,
        month: month.format("%Y-%m").to_string().into(),
        wage_oere: record.amount(Field::Wage)?.ok_or_else(|| missing(Field::Wage))?,
        minutes: record.minutes(Field::Hours)?.ok_or_else(|| missing(Field::Hours))?,
    };
    Ok((event.to_json(), month))
}

fn case_step(record: &Record<'_>) -> Result<CaseStep<'static>, Refusal> {
    let missing = |field| record.refuse(field, Reason::InvalidField, "is blank or missing");
    let text = |field| Ok::<_, Refusal>(Cow::Owned(record.text(field)?.unwrap_or_default()));
    let interval = || {
        let (from, to) = (record.required_date(Field::From)?, record.date(Field::To)?);
        to.map_or(Ok(()), |to| in_order(record, from, to))?;
        Ok::<_, Refusal>((from, to))
    };
    Ok(match record.map.kind {
        Kind::Contact => CaseStep::Contact {
            due: record.required_date(Field::Due)?,
            held: record.date(Field::Held)?,
            form: text(Field::Form)?,
        },
        Kind::Activation => {
            let (from, to) = interval()?;
            let minutes = record.minutes(Field::HoursAWeek)?;
            CaseStep::Activation {
                from,
                to,
                offer: text(Field::Offer)?,
                minutes_per_week: minutes.ok_or_else(|| missing(Field::HoursAWeek))?,
            }
        }
        Kind::LanguageTest => CaseStep::LanguageTest {
            on: record.required_date(Field::On)?,
            level: text(Field::Level)?,
            passed: record.required(Field::Passed, values::flag)?,
            school: match record.text(Field::School)?.filter(|code| !code.is_empty()) {
                Some(code) if !is_school(&code) => {
                    return Err(record.refuse(Field::School, Reason::InvalidValue, SCHOOL_EXPECTED));
                }
                code => code.map(Cow::Owned),
            },
        },
        Kind::Origin => {
            let origin = record.text(Field::Origin)?.ok_or_else(|| missing(Field::Origin))?;
            if !matches!(origin.as_str(), "danish" | "western" | "non_western") {
                let expected = "expected danish, western or non_western (see codes.origin)";
                return Err(record.refuse(Field::Origin, Reason::InvalidValue, expected));
            }
            CaseStep::Origin { origin: origin.into(), from: record.required_date(Field::From)? }
        }
        _ => {
            let (from, to) = interval()?;
            CaseStep::Registration { from, to }
        }
    })
}
