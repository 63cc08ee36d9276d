//! One line taken apart into named fields.
//!
//! Delimited lines follow the csv crate's reader; what that reader would guess at (a quote that is not closed)
//! is refused. JSON lines are objects whose values are kept as written, so that no number passes through a
//! floating-point one; a key that stands twice is refused. A field is `None` if it is blank, absent or null.

use std::borrow::Cow;
use std::fmt;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use rettidig_event::Reason;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::emit::Refusal;

/// The most fields of a line.
const FIELDS_MAX: usize = 512;

/// Splits delimited lines; keeps its buffers.
pub(crate) struct Splitter {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    pub(crate) fn new(separator: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(separator).build();
        Self { reader, text: Vec::new(), ends: vec![0; FIELDS_MAX] }
    }

    /// The fields of a line.
    pub(crate) fn split(&mut self, line: &str) -> Result<Vec<&str>, Refusal> {
        let refuse = |message: &str| Refusal::new(Reason::UnknownShape, message);
        if !line.bytes().filter(|b| *b == b'"').count().is_multiple_of(2) {
            return Err(refuse("a quote that is not closed; a record is one line"));
        }
        self.reader.reset();
        self.text.resize(line.len().max(self.text.len()) + 1, 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        let line = line.as_bytes();
        loop {
            let (result, bytes, out, ended) =
                self.reader.read_record(&line[read..], &mut self.text[written..], &mut self.ends[fields..]);
            (read, written, fields) = (read + bytes, written + out, fields + ended);
            match result {
                // All is read: the next, empty input ends the record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => break,
                ReadRecordResult::OutputFull => {
                    return Err(refuse("a line that grows when it is taken apart"));
                }
                ReadRecordResult::OutputEndsFull => return Err(refuse("more than 512 fields")),
            }
        }
        let mut from = 0;
        let texts = self.ends[..fields].iter().map(|end| {
            let field = &self.text[from..*end];
            from = *end;
            std::str::from_utf8(field).map_err(|_| refuse("a field that is no text"))
        });
        texts.collect()
    }
}

/// A JSON object with its values as written.
pub(crate) struct Object<'l>(Vec<(Cow<'l, str>, &'l RawValue)>);

impl<'l> Object<'l> {
    pub(crate) fn parse(line: &'l str) -> Result<Self, Refusal> {
        serde_json::from_str(line).map_err(|error| {
            let reason = if error.is_data() { Reason::InvalidField } else { Reason::MalformedJson };
            // The parser's own text may hold what it found.
            Refusal::new(reason, format!("expected one JSON object; column {} is not of one", error.column()))
        })
    }

    /// The value of a key as it is written.
    pub(crate) fn raw(&self, key: &str) -> Option<&'l str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// The value of a key: the content of a text, the digits of a number, `true` or `false`.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Cow<'l, str>>, &'static str> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text: Cow<'l, str> =
                    serde_json::from_str::<String>(raw).map(Cow::Owned).unwrap_or_default();
                Ok((!text.trim().is_empty()).then_some(text))
            }
            Some(b'{' | b'[') => Err("expected a text, a number, true, false or null"),
            _ if raw == "null" => Ok(None),
            _ => Ok(Some(Cow::Borrowed(raw))),
        }
    }
}

impl<'de: 'l, 'l> Deserialize<'de> for Object<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if fields.len() >= FIELDS_MAX || fields.iter().any(|(name, _)| *name == key) {
                        return Err(serde::de::Error::custom("a key that stands twice, or too many keys"));
                    }
                    fields.push((Cow::Owned(key), value));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimited_lines() {
        let mut splitter = Splitter::new(b';');
        for (line, expected) in [
            ("a;b;c", vec!["a", "b", "c"]),
            ("\"a;b\";\"c\"\"d\";", vec!["a;b", "c\"d", ""]),
            ("æ;ø", vec!["æ", "ø"]),
            (";;", vec!["", "", ""]),
            ("a", vec!["a"]),
        ] {
            assert_eq!(splitter.split(line).expect(line), expected, "{line}");
        }
        assert!(splitter.split("a;\"b;c").is_err());
        assert!(splitter.split(&";".repeat(600)).is_err());
        assert_eq!(splitter.split("x;y").expect("still works"), ["x", "y"]);
    }

    #[test]
    fn json_lines_keep_numbers_as_written() {
        let object = Object::parse(
            r#"{"a":1234567890123456.70,"b":" x","c":null,"d":true,"e":{},"f":"","g":"\u0031"}"#,
        )
        .expect("object");
        let get = |key: &str| object.get(key).map(|text| text.map(Cow::into_owned));
        assert_eq!(get("a"), Ok(Some("1234567890123456.70".to_owned())));
        assert_eq!(get("b"), Ok(Some(" x".to_owned())));
        assert_eq!((get("c"), get("f"), get("none")), (Ok(None), Ok(None), Ok(None)));
        assert_eq!((get("d"), get("g")), (Ok(Some("true".to_owned())), Ok(Some("1".to_owned()))));
        assert!(get("e").is_err());
        for (line, reason) in [
            ("{\"a\":1,\"a\":2}", Reason::InvalidField),
            ("[1]", Reason::InvalidField),
            ("{\"a\":", Reason::MalformedJson),
            ("{} x", Reason::MalformedJson),
        ] {
            assert_eq!(Object::parse(line).err().map(|refusal| refusal.reason), Some(reason), "{line}");
        }
    }
}
