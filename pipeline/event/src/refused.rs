//! What bytes that could not be used still tell: their source, their key on the topic, the figure they are about.
//!
//! A decoder refuses a message for its first fault; the rest of it is often readable. Nothing told here is taken for
//! an event: it names the source of a dead letter, finds the way back to its partition, and lets completeness say
//! that a figure is expected. What cannot be told is `None`, never a guess.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::decode::{EVENT_BYTES_MAX, check_area, check_text};
use crate::official::joined;
use crate::person::{TOPICS, parse_person};
use crate::{Period, Topic};

/// How far into bytes that are no JSON a field is looked for.
const SCANNED_BYTES: usize = 64 << 10;

/// Bytes that an event type's decoder refused, read as far as they can be.
#[derive(Debug)]
pub struct Refused<'a> {
    bytes: &'a [u8],
    object: Option<Map<String, Value>>,
}

/// The figure that an unusable message on `rettidig.official` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutAside {
    /// `dst` or `jobindsats`.
    pub publisher: String,
    /// The publisher's table id.
    pub table: String,
    /// What is counted.
    pub measure: String,
    /// 0 for the whole country, else the municipality code.
    pub area: i32,
    /// Reference period.
    pub period: Period,
    /// Dimensions, joined as in the decoded event.
    pub breakdown: String,
    /// Their values.
    pub breakdown_value: String,
}

impl<'a> Refused<'a> {
    /// Reads what can be read.
    pub fn read(bytes: &'a [u8]) -> Self {
        let parsed = if bytes.len() <= EVENT_BYTES_MAX { serde_json::from_slice(bytes).ok() } else { None };
        let object = match parsed {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        };
        Self { bytes, object }
    }

    /// A text field, of what is no JSON too: cut off, or in another encoding.
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.object {
            Some(object) => object.get(name)?.as_str().map(Cow::Borrowed),
            None => scan(self.bytes, name).map(Cow::Borrowed),
        }
    }

    /// The delivering system, as events and deliveries name it.
    pub fn source(&self, topic: Topic) -> Option<String> {
        let told = match topic {
            Topic::Official => {
                let (publisher, table) = (self.publisher()?, self.text("table")?);
                check_text("table", &table, 1..=64).ok()?;
                format!("{publisher}-{table}")
            }
            Topic::DeadLetter => return None,
            _ => self.text("source")?.into_owned(),
        };
        check_text("source", &told, 1..=128).is_ok().then_some(told)
    }

    /// The key that a producer gives such an event: person, table or source.
    pub fn key(&self, topic: Topic) -> Option<String> {
        let name = match topic {
            Topic::Official => "table",
            Topic::Deliveries => "source",
            Topic::DeadLetter => return None,
            _ => "person",
        };
        let key = self.text(name)?;
        let is_key = if TOPICS.contains(&topic) {
            parse_person(&key).is_some()
        } else {
            check_text(name, &key, 1..=64).is_ok()
        };
        is_key.then(|| key.into_owned())
    }

    fn publisher(&self) -> Option<Cow<'_, str>> {
        self.text("publisher").filter(|publisher| matches!(publisher.as_ref(), "dst" | "jobindsats"))
    }

    /// The figure, if all that makes it this one is there and right.
    pub fn figure(&self) -> Option<PutAside> {
        let object = self.object.as_ref()?;
        let (table, measure) = (self.text("table")?, self.text("measure")?);
        check_text("table", &table, 1..=64).ok()?;
        check_text("measure", &measure, 1..=128).ok()?;
        let area = i32::try_from(object.get("area")?.as_i64()?).ok()?;
        check_area("area", area).ok()?;
        let dimensions: BTreeMap<&str, &str> = object
            .get("breakdown")?
            .as_object()?
            .iter()
            .map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect::<Option<_>>()?;
        for (name, value) in &dimensions {
            check_text("breakdown", name, 1..=64).ok()?;
            check_text("breakdown", value, 1..=128).ok()?;
        }
        Some(PutAside {
            publisher: self.publisher()?.into_owned(),
            table: table.into_owned(),
            measure: measure.into_owned(),
            area,
            period: self.text("period")?.parse().ok()?,
            breakdown: joined(dimensions.keys().copied()).into_owned(),
            breakdown_value: joined(dimensions.values().copied()).into_owned(),
        })
    }
}

/// The text after `"name":` in bytes that need not be JSON; one with an escape is not told.
fn scan<'b>(bytes: &'b [u8], name: &str) -> Option<&'b str> {
    let bytes = &bytes[..bytes.len().min(SCANNED_BYTES)];
    let wanted = format!("\"{name}\"").into_bytes();
    let at = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    let rest = bytes[at + wanted.len()..].trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    (!text.contains('\\')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "00ff00ff00ff00ff00ff00ff00ff00ff";

    #[test]
    fn source_and_key_are_told_of_whole_cut_and_wrongly_encoded_messages() {
        let payment = format!(r#"{{"source":"yr-101","id":"7","person":"{PERSON}","benefit":"new","to":1}}"#);
        let official = r#"{"publisher":"dst","table":"AUP01","area":"Aalborg","value":"1"}"#;
        let delivery = br#"{"source" : "income-101","municipality":"K\u00f8benhavn"}"#;
        let latin1 = [&payment.as_bytes()[..60], b"\xf8"].concat();
        let cases = [
            (Topic::Payments, payment.as_bytes(), Some("yr-101"), Some(PERSON)),
            (Topic::Payments, &payment.as_bytes()[..40], Some("yr-101"), None),
            (Topic::Payments, &latin1[..], Some("yr-101"), None),
            (Topic::Official, official.as_bytes(), Some("dst-AUP01"), Some("AUP01")),
            (Topic::Official, &br#"{"publisher":"somebody","table":"AUP01"}"#[..], None, Some("AUP01")),
            (Topic::Deliveries, &delivery[..], Some("income-101"), Some("income-101")),
            (Topic::Cases, &br#"{"source":7,"person":"0101701234"}"#[..], None, None),
            (Topic::Income, &b"<html>"[..], None, None),
        ];
        for (topic, bytes, source, key) in cases {
            let refused = Refused::read(bytes);
            let told = (refused.source(topic), refused.key(topic));
            assert_eq!((told.0.as_deref(), told.1.as_deref()), (source, key), "{bytes:?}");
        }
    }

    #[test]
    fn a_figure_is_told_only_if_all_that_makes_it_one_is_right() {
        let good = r#"{"publisher":"jobindsats","table":"y25i01","measure":"m","area":851,"period":"2026M07","breakdown":{"b":"2","a":"1"},"value":"4.112,0"}"#;
        let figure = Refused::read(good.as_bytes()).figure().expect("a figure");
        assert_eq!(
            (figure.area, figure.period, figure.table.as_str()),
            (851, Period::Month(2026, 7), "y25i01")
        );
        assert_eq!((figure.breakdown.as_str(), figure.breakdown_value.as_str()), ("a/b", "1/2"));
        let total = good.replace(r#"{"b":"2","a":"1"}"#, "{}");
        assert_eq!(Refused::read(total.as_bytes()).figure().expect("a figure").breakdown, "total");
        for (from, to) in [
            ("851", "852"),
            ("851", "\"851\""),
            ("2026M07", "July"),
            ("jobindsats", "somebody"),
            (r#""measure":"m","#, ""),
            (r#"{"b":"2","a":"1"}"#, "null"),
            (r#""2""#, "2"),
        ] {
            let bad = good.replace(from, to);
            assert_eq!(Refused::read(bad.as_bytes()).figure(), None, "{bad}");
        }
        assert_eq!(Refused::read(&good.as_bytes()[..good.len() - 1]).figure(), None, "cut off");
    }
}
