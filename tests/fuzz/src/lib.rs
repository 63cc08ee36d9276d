//! What the targets share: a sink that remembers, the search for CPR numbers, the cutting of an input into parts.
//!
//! A target states what must hold for any bytes; libFuzzer looks for bytes for which it does not. Whatever is
//! reported names the input, so the texts here name the property.

use async_trait::async_trait;
use rettidig_connectors::pseudonym::contains_cpr;
use rettidig_event::{
    DeadLetter, Decoded, Message, PollOutcome, Sink, SinkError, Topic, delivery, official, person,
};
use serde_json::Value;

/// Decodes messages of a topic; `None` of the dead-letter topic, which has no decoder of its own.
pub fn decode(topic: Topic, payloads: &[&[u8]]) -> Option<Decoded> {
    let messages =
        payloads.iter().zip(0_i64..).map(|(payload, offset)| Message { partition: 0, offset, payload });
    match topic {
        Topic::Payments | Topic::Cases | Topic::Income => Some(person::decode(topic, messages)),
        Topic::Official => Some(official::decode(messages)),
        Topic::Deliveries => Some(delivery::decode(messages)),
        Topic::DeadLetter => None,
    }
}

/// The input as messages: one a line.
pub fn lines(data: &[u8]) -> Vec<&[u8]> {
    data.split(|byte| *byte == b'\n').collect()
}

/// What a source sent, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MemorySink(pub Vec<(Topic, String, Vec<u8>)>);

#[async_trait]
impl Sink for MemorySink {
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        self.0.push((topic, key.to_owned(), payload));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl MemorySink {
    /// Everything that a connector sends is an event that the pipeline takes, or a dead letter that it can read.
    pub fn assert_usable(&self, outcome: &PollOutcome) {
        let of = |wanted: Topic| -> Vec<&[u8]> {
            self.0.iter().filter(|(topic, ..)| *topic == wanted).map(|(.., payload)| &payload[..]).collect()
        };
        for topic in Topic::ALL {
            let payloads = of(topic);
            if let Some(decoded) = decode(topic, &payloads) {
                assert_eq!(decoded.rejected, [], "an event that was sent is refused");
                assert_eq!(decoded.batch.num_rows(), payloads.len());
                assert_eq!(decoded.unknown_fields, 0, "an event that was sent has fields nobody knows");
            }
        }
        let letters = of(Topic::DeadLetter);
        for letter in &letters {
            let letter: DeadLetter = serde_json::from_slice(letter).expect("a dead letter can be read");
            letter.original_bytes().expect("the bytes of a dead letter are base64");
        }
        assert_eq!(outcome.dead_letters, letters.len() as u64);
        assert_eq!(outcome.records, (self.0.len() - letters.len()) as u64);
    }

    /// No CPR number is left in anything that was sent.
    pub fn assert_no_cpr(&self) {
        for (topic, key, payload) in &self.0 {
            assert_text(key);
            let mut event: Value = serde_json::from_slice(payload).expect("JSON");
            if *topic == Topic::DeadLetter {
                event["bytes"] = Value::Null;
                let letter: DeadLetter = serde_json::from_slice(payload).expect("a dead letter can be read");
                let bytes = letter.original_bytes().expect("the bytes of a dead letter are base64");
                assert_text(&String::from_utf8_lossy(&bytes));
            }
            assert_value(&event);
        }
    }
}

/// Looks through every text of a value. Numbers are none: an amount may have ten digits.
fn assert_value(value: &Value) {
    match value {
        Value::String(text) => assert_text(text),
        Value::Array(values) => values.iter().for_each(assert_value),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            assert_text(name);
            assert_value(value);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// No CPR number stands in a text. Pseudonyms and digests, which may hold any ten digits, are passed over.
pub fn assert_text(text: &str) {
    let text = without_digests(text);
    assert!(!contains_cpr(&text), "a CPR number is left in {text:?}");
}

/// The text with lower-case hexadecimal runs of a pseudonym's, a fingerprint's or a digest's length taken out.
fn without_digests(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if matches!(c, '0'..='9' | 'a'..='f') {
            run.push(c);
            continue;
        }
        if !matches!(run.len(), 16 | 32 | 64) {
            kept.push_str(&run);
        }
        run.clear();
        kept.push(c);
    }
    kept
}
