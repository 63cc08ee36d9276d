//! Reads the lines of one delivery, one after the other.
//!
//! Pure: lines in, events and refusals out; no IO, and no memory beyond one line. What must be known of the
//! whole before anything of it is used (a trailer, a file that one bad line rejects) is found by reading it
//! once without using anything, see [`Feed::needs_dry_run`]. Lines that are put aside have every CPR number
//! masked: the field that holds it whatever it looks like, and everything else that looks like one.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, Utc};
use rettidig_event::{Period, Reason, Topic, clock::danish_date};

use super::lines::{Encoding, Line};
use super::mapping::{Delivery, Fields, Mapped, Mapper, NotMapped};
use super::profile::{
    BadLine, Format, HeaderLine, MunicipalityRule, Profile, RecordMap, RecordedAtRule, TrailerLine,
};
use super::row::{Object, Splitter};
use super::values;
use crate::emit::Refusal;
use crate::pseudonym::{PseudonymKey, redact, redact_digits};

/// What one line is.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Blank, a header, a trailer.
    Nothing,
    /// An event.
    Event(Event),
    /// Unusable; the others are used.
    Bad(Bad),
    /// The delivery as a whole is unusable.
    Reject(Bad),
}

/// An event to send.
#[derive(Debug)]
pub(crate) struct Event {
    pub topic: Topic,
    pub key: String,
    pub payload: Vec<u8>,
}

/// A line to put aside.
#[derive(Debug)]
pub(crate) struct Bad {
    pub refusal: Refusal,
    pub line: u64,
    /// Without CPR numbers.
    pub bytes: Vec<u8>,
}

/// What a delivery held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub events: u64,
    pub bad: u64,
    /// Numbers that modulus 11 does not fit; they are used all the same.
    pub modulus_11_failed: u64,
    /// Records of persons who were erased; they are passed over.
    pub erased: u64,
    newest: Option<NaiveDate>,
    /// Records by the trailer's count, and the sum it vouches for.
    counted: u64,
    sum: i128,
    control_sum: Option<String>,
}

/// Where the reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Body,
    Trailer,
}

/// The reader of one delivery.
pub(crate) struct Feed<'p> {
    profile: &'p Profile,
    key: &'p PseudonymKey,
    encoding: Encoding,
    /// Not there while a line of it is read.
    splitter: Option<Splitter>,
    separator: u8,
    stage: Stage,
    /// By record: where its columns are.
    places: Vec<Vec<usize>>,
    /// Number of columns, by the header of a CSV file.
    width: usize,
    delivery: Delivery,
    tally: Tally,
}

impl<'p> Feed<'p> {
    /// A reader; `municipality` and `named_at` are what the delivery's name says, `now` is the poll's instant.
    pub(crate) fn new(
        profile: &'p Profile,
        key: &'p PseudonymKey,
        encoding: Encoding,
        file: &str,
        municipality: Option<i32>,
        named_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let separator = match &profile.format {
            Format::Csv { separator } | Format::Record { separator, .. } => *separator,
            Format::Ndjson | Format::Table => b';',
        };
        let recorded_at = match profile.recorded_at {
            RecordedAtRule::FileName => named_at.unwrap_or(now),
            RecordedAtRule::Header | RecordedAtRule::Poll => now,
        };
        let places = match &profile.format {
            Format::Record { .. } => profile.records.iter().map(|map| places(map, &map.layout, 1)).collect(),
            // The columns of a row are asked for in the order of the names.
            Format::Table => vec![(0..profile.records[0].names.len()).collect()],
            _ => Vec::new(),
        };
        let delivery = Delivery {
            file: file.to_owned(),
            municipality,
            recorded_at,
            delivered_at: now,
            source: source_name(profile, municipality),
        };
        Self {
            profile,
            key,
            encoding,
            splitter: None,
            separator,
            stage: Stage::Start,
            places,
            width: 0,
            delivery,
            tally: Tally::default(),
        }
    }

    /// The same, of a delivery that is known to have come before it is read.
    pub(crate) fn delivered_at(mut self, at: DateTime<Utc>) -> Self {
        self.delivery.delivered_at = at;
        self
    }

    /// Whether the whole must be read without using anything before it is used.
    pub(crate) fn needs_dry_run(profile: &Profile) -> bool {
        profile.on_bad_line == BadLine::RejectFile || matches!(profile.format, Format::Record { .. })
    }

    /// Reads one line.
    pub(crate) fn line(&mut self, line: &Line<'_>) -> Outcome {
        let outcome = self.read(line);
        match outcome {
            Outcome::Event(_) => self.tally.events += 1,
            Outcome::Bad(bad) => {
                if self.profile.on_bad_line == BadLine::RejectFile {
                    return Outcome::Reject(bad);
                }
                self.tally.bad += 1;
                return Outcome::Bad(bad);
            }
            _ => {}
        }
        outcome
    }

    /// The end: what it held, or why the whole is unusable.
    pub(crate) fn finish(&mut self) -> Result<(&Delivery, &Tally), Refusal> {
        match (&self.profile.format, self.stage) {
            (Format::Csv { .. }, Stage::Start) => {
                Err(Refusal::new(Reason::Empty, "no line at all; expected a line with the columns' names"))
            }
            (Format::Record { header, .. }, Stage::Start) => {
                let message = format!("no line at all; expected a header of type {}", header.record_type);
                Err(Refusal::new(Reason::Empty, message))
            }
            (Format::Record { trailer, .. }, Stage::Body) => {
                let message = format!(
                    "the file ends without its trailer of type {}; it was cut off on the way",
                    trailer.record_type
                );
                Err(Refusal::new(Reason::UnknownShape, message))
            }
            _ => Ok((&self.delivery, &self.tally)),
        }
    }

    fn read(&mut self, line: &Line<'_>) -> Outcome {
        let profile = self.profile;
        if line.bytes.iter().all(u8::is_ascii_whitespace) && !line.cut {
            return Outcome::Nothing;
        }
        let bad = |refusal, bytes| Bad { refusal, line: line.number, bytes };
        if line.cut {
            let refusal = Refusal::new(Reason::TooLarge, "longer than 256 KiB; only its beginning is kept");
            return Outcome::Bad(bad(refusal, redact_digits(&line.bytes[..line.bytes.len().min(4096)])));
        }
        let text = match self.encoding.decode(line.bytes) {
            Ok(text) => text,
            Err(refusal) => return Outcome::Bad(bad(refusal, redact_digits(line.bytes))),
        };
        // A line that could not be taken apart may hold a mangled number anywhere.
        let masked = || redact_digits(line.bytes);
        if profile.format == Format::Ndjson {
            self.stage = Stage::Body;
            let object = match Object::parse(&text) {
                Ok(object) => object,
                Err(refusal) => return Outcome::Bad(bad(refusal, masked())),
            };
            return self.record(0, &Fields::Object(&object), line);
        }
        let mut splitter = self.splitter.take().unwrap_or_else(|| Splitter::new(self.separator));
        let outcome = match splitter.split(&text) {
            Ok(texts) => self.split(&texts, line),
            Err(refusal) => Outcome::Bad(bad(refusal, masked())),
        };
        self.splitter = Some(splitter);
        outcome
    }

    fn split(&mut self, texts: &[&str], line: &Line<'_>) -> Outcome {
        let profile = self.profile;
        let bad = |refusal| Bad { refusal, line: line.number, bytes: redact_digits(line.bytes) };
        match (&profile.format, self.stage) {
            (Format::Csv { .. }, Stage::Start) => {
                self.stage = Stage::Body;
                self.width = texts.len();
                match csv_places(&profile.records[0], texts) {
                    Ok(places) => {
                        self.places = vec![places];
                        Outcome::Nothing
                    }
                    Err(refusal) => Outcome::Reject(bad(refusal)),
                }
            }
            (Format::Record { header, .. }, Stage::Start) => {
                self.stage = Stage::Body;
                self.header(header, texts)
                    .map_or_else(|refusal| Outcome::Reject(bad(refusal)), |()| Outcome::Nothing)
            }
            (Format::Record { trailer, .. }, Stage::Body) => self.typed(trailer, texts, line),
            (_, Stage::Trailer) => {
                let message = "a line after the trailer";
                Outcome::Reject(bad(Refusal::new(Reason::UnknownShape, message)))
            }
            _ if texts.len() != self.width => {
                let message =
                    format!("expected {} columns as in the header, got {}", self.width, texts.len());
                Outcome::Bad(bad(Refusal::new(Reason::InvalidField, message)))
            }
            _ => {
                let places = std::mem::take(&mut self.places);
                let outcome = self.record(0, &Fields::Split { texts, places: &places[0] }, line);
                self.places = places;
                outcome
            }
        }
    }

    /// The header of the format `record`.
    fn header(&mut self, header: &HeaderLine, texts: &[&str]) -> Result<(), Refusal> {
        let shape = |message: String| Refusal::new(Reason::UnknownShape, message);
        if texts.first().map(|text| text.trim()) != Some(header.record_type.as_str()) {
            return Err(shape(format!("expected a header of type {} in the first line", header.record_type)));
        }
        if texts.len() != header.fields + 1 {
            return Err(shape(format!("header: expected {} fields after the type", header.fields)));
        }
        let field = |place: usize| texts[place + 1];
        let value = |name: &str, expected: &str| {
            Refusal::new(Reason::InvalidValue, format!("header, {name}: {expected}"))
        };
        if let Some(place) = header.municipality {
            let code =
                values::municipality(field(place)).map_err(|expected| value("municipality", expected))?;
            if self.delivery.municipality.is_some_and(|named| named != code) {
                return Err(value("municipality", "another one than in the file name"));
            }
            if self.profile.municipality == MunicipalityRule::Header {
                self.delivery.municipality = Some(code);
                self.delivery.source = source_name(self.profile, Some(code));
            }
        }
        if let Some(place) = header.date {
            let date = values::date(field(place), &self.profile.dates)
                .map_err(|expected| value("date", expected))?;
            if self.profile.recorded_at == RecordedAtRule::Header {
                self.delivery.recorded_at = date.and_time(NaiveTime::MIN).and_utc();
            }
        }
        Ok(())
    }

    /// A line of the format `record` after the header.
    fn typed(&mut self, trailer: &TrailerLine, texts: &[&str], line: &Line<'_>) -> Outcome {
        let bad = |reason, message: String| Bad {
            refusal: Refusal::new(reason, message),
            line: line.number,
            bytes: redact_digits(line.bytes),
        };
        let record_type = texts.first().map_or("", |text| text.trim());
        if record_type == trailer.record_type {
            self.stage = Stage::Trailer;
            return match self.trailer(trailer, texts) {
                Ok(()) => Outcome::Nothing,
                Err(message) => Outcome::Reject(bad(Reason::InvalidValue, format!("trailer: {message}"))),
            };
        }
        let Some(index) = self.profile.records.iter().position(|map| map.record_type == record_type) else {
            return Outcome::Bad(bad(
                Reason::UnknownShape,
                "a type of record that the profile does not name".to_owned(),
            ));
        };
        let map = &self.profile.records[index];
        self.tally.counted += 1;
        if !trailer.sum_of.is_empty() {
            let place = map.layout.iter().position(|name| *name == trailer.sum_of).map(|place| place + 1);
            let number = place.and_then(|place| texts.get(place)).and_then(|text| values::count(text).ok());
            let Some(number) = number else {
                let message =
                    format!("field {:?}: no number, so the trailer's sum cannot be checked", trailer.sum_of);
                return Outcome::Reject(bad(Reason::InvalidField, message));
            };
            self.tally.sum += i128::from(number);
        }
        if texts.len() != map.layout.len() + 1 {
            let message =
                format!("expected {} fields after the type, got {}", map.layout.len(), texts.len() - 1);
            return Outcome::Bad(bad(Reason::InvalidField, message));
        }
        let places = std::mem::take(&mut self.places);
        let outcome = self.record(index, &Fields::Split { texts, places: &places[index] }, line);
        self.places = places;
        outcome
    }

    fn trailer(&mut self, trailer: &TrailerLine, texts: &[&str]) -> Result<(), String> {
        if texts.len() != trailer.fields + 1 {
            return Err(format!("expected {} fields after the type", trailer.fields));
        }
        let number = |place: usize| texts[place + 1].trim().parse::<i128>().ok();
        if let Some(place) = trailer.records
            && number(place) != Some(i128::from(self.tally.counted))
        {
            return Err(format!(
                "its count of records is not the {} that the file holds",
                self.tally.counted
            ));
        }
        if let Some(place) = trailer.control_sum {
            if number(place) != Some(self.tally.sum) {
                return Err(format!("its sum is not that of {:?} in the file", trailer.sum_of));
            }
            self.tally.control_sum = Some(self.tally.sum.to_string());
        }
        Ok(())
    }

    /// Reads one row of a table: the columns of the one record, in the order of its names.
    pub(crate) fn row(&mut self, texts: &[&str], number: u64) -> Outcome {
        let places = std::mem::take(&mut self.places);
        let fields = Fields::Split { texts, places: &places[0] };
        let names = &self.profile.records[0].names;
        let as_written = |cpr: Option<&str>| {
            let shown = |text: &&str| {
                if cpr.is_some_and(|cpr| !text.is_empty() && cpr == *text) { "**********" } else { *text }
                    .to_owned()
            };
            let row: serde_json::Map<String, serde_json::Value> =
                names.iter().zip(texts).map(|(name, text)| (name.clone(), shown(text).into())).collect();
            redact(serde_json::Value::from(row).to_string().as_bytes())
        };
        let outcome = self.mapped(0, &fields, number, as_written);
        match outcome {
            Outcome::Event(_) => self.tally.events += 1,
            Outcome::Nothing => {}
            _ => self.tally.bad += 1,
        }
        self.places = places;
        outcome
    }

    fn record(&mut self, index: usize, fields: &Fields<'_>, line: &Line<'_>) -> Outcome {
        self.mapped(index, fields, line.number, |cpr| masked(line.bytes, cpr))
    }

    /// `as_written` gives the record for the dead letter, told what its CPR field holds.
    fn mapped(
        &mut self,
        index: usize,
        fields: &Fields<'_>,
        number: u64,
        as_written: impl FnOnce(Option<&str>) -> Vec<u8>,
    ) -> Outcome {
        let map = &self.profile.records[index];
        let mapper = Mapper { profile: self.profile, key: self.key, delivery: &self.delivery };
        match mapper.map(map, fields, number) {
            Ok(Mapped { topic, key, payload, day, passes_modulus_11 }) => {
                self.tally.newest = self.tally.newest.max(Some(day));
                self.tally.modulus_11_failed += u64::from(!passes_modulus_11);
                Outcome::Event(Event { topic, key, payload })
            }
            Err(NotMapped::Erased) => {
                self.tally.erased += 1;
                Outcome::Nothing
            }
            Err(NotMapped::Refused(refusal)) => {
                let bytes = as_written(fields.cpr_as_written(map).as_deref());
                Outcome::Bad(Bad { refusal, line: number, bytes })
            }
        }
    }
}

impl Tally {
    /// The month of the newest record; of the delivery itself if it is empty.
    pub(crate) fn period(&self, delivery: &Delivery) -> Period {
        let day = self.newest.unwrap_or_else(|| danish_date(delivery.recorded_at));
        Period::Month(day.year(), day.month())
    }

    pub(crate) fn control_sum(&self) -> Option<&str> {
        self.control_sum.as_deref()
    }
}

/// `source` in the events of a delivery.
fn source_name(profile: &Profile, municipality: Option<i32>) -> String {
    format!("{}-{}", profile.source, municipality.unwrap_or(0))
}

/// Where the columns of a record are among `layout`, which starts at field `first`.
fn places(map: &RecordMap, layout: &[String], first: usize) -> Vec<usize> {
    let place = |name: &String| layout.iter().position(|column| column == name).unwrap_or(usize::MAX - 1);
    map.names.iter().map(|name| place(name).saturating_add(first)).collect()
}

/// Where the columns of a record are by the header of a CSV file, whose own words are not repeated: a file
/// without a header opens with a person's row.
fn csv_places(map: &RecordMap, header: &[&str]) -> Result<Vec<usize>, Refusal> {
    let mut missing = Vec::new();
    let mut places = Vec::with_capacity(map.names.len());
    for name in &map.names {
        let mut found = header.iter().enumerate().filter(|(_, column)| column.trim() == name);
        match (found.next(), found.next()) {
            (Some((place, _)), None) => places.push(place),
            (Some(_), Some(_)) => missing.push(format!("{name:?} (stands twice)")),
            _ => missing.push(format!("{name:?}")),
        }
    }
    if missing.is_empty() {
        return Ok(places);
    }
    let message = format!("the first line does not name each of these columns once: {}", missing.join(", "));
    Err(Refusal::new(Reason::UnknownShape, message))
}

/// A line with its CPR field masked, whatever stands in it, and everything else that looks like a number.
fn masked(line: &[u8], cpr: Option<&str>) -> Vec<u8> {
    let cpr = cpr.map(str::trim).unwrap_or_default().as_bytes();
    if cpr.is_empty() || cpr == b"null" {
        return redact(line);
    }
    let mut kept = Vec::with_capacity(line.len());
    let (mut rest, mut found) = (line, false);
    while let Some(at) = rest.windows(cpr.len()).position(|window| window == cpr) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(b"**********");
        rest = &rest[at + cpr.len()..];
        found = true;
    }
    // Quoted or encoded another way: mask every digit rather than miss it.
    if !found {
        return redact_digits(line);
    }
    kept.extend_from_slice(rest);
    redact(&kept)
}
