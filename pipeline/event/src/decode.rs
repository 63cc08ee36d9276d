//! From message bytes to a checked struct: the part that every event type shares.

use std::ops::RangeInclusive;

use arrow::array::RecordBatch;
use serde::Deserialize;

use crate::Reason;

/// The largest event, bytes. The biggest real one is below 1 KiB.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// One message as it stands on a topic.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Partition.
    pub partition: i32,
    /// Offset within the partition.
    pub offset: i64,
    /// The bytes.
    pub payload: &'a [u8],
}

/// A batch of messages, decoded.
#[derive(Debug)]
pub struct Decoded {
    /// The good ones, in the order of the messages.
    pub batch: RecordBatch,
    /// The others.
    pub rejected: Vec<Rejected>,
    /// Fields that no event type knows, over all messages; ignored but counted.
    pub unknown_fields: u64,
}

/// A message that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the batch handed in.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// Field, what was expected.
    pub message: String,
}

/// Why one message was refused, before its place in a batch is known.
pub(crate) type Refusal = (Reason, String);

/// Parses one JSON object strictly; counts the fields that `T` does not know.
pub(crate) fn parse_object<'a, T: Deserialize<'a>>(
    payload: &'a [u8],
    unknown_fields: &mut u64,
) -> Result<T, Refusal> {
    if payload.is_empty() {
        return Err((Reason::Empty, "expected one JSON object, got no bytes".to_owned()));
    }
    if payload.len() > EVENT_BYTES_MAX {
        let message = format!("expected at most {EVENT_BYTES_MAX} bytes, got {}", payload.len());
        return Err((Reason::TooLarge, message));
    }
    let text = std::str::from_utf8(payload).map_err(|error| {
        (Reason::WrongEncoding, format!("expected UTF-8; byte {} is not", error.valid_up_to()))
    })?;
    // Serde would fill a struct from an array by position; the contract says object.
    if text.trim_start().starts_with('[') {
        return Err((Reason::InvalidField, "expected one JSON object, got an array".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = serde_ignored::deserialize(&mut json, |_| *unknown_fields += 1).map_err(|error| {
        let reason = if error.is_data() { Reason::InvalidField } else { Reason::MalformedJson };
        (reason, error.to_string())
    })?;
    json.end().map_err(|error| (Reason::MalformedJson, error.to_string()))?;
    Ok(parsed)
}

/// Checks the length of a text field, in bytes.
pub(crate) fn check_text(field: &str, text: &str, bytes: RangeInclusive<usize>) -> Result<(), Refusal> {
    if bytes.contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let message =
        format!("{field}: expected {} to {} bytes without control characters", bytes.start(), bytes.end());
    Err((Reason::InvalidValue, message))
}

/// Parses an RFC 3339 instant to microseconds since 1970 UTC.
pub(crate) fn instant_micros(field: &str, text: &str) -> Result<i64, Refusal> {
    text.parse::<chrono::DateTime<chrono::Utc>>().map(|at| at.timestamp_micros()).map_err(|_| {
        (Reason::InvalidValue, format!("{field}: expected an RFC 3339 instant such as 2026-08-19T07:58:44Z"))
    })
}

/// Checks a municipality code; `0` stands for the whole country.
pub(crate) fn check_area(field: &str, code: i32) -> Result<(), Refusal> {
    if code == 0 || crate::municipality::is_municipality(code) {
        return Ok(());
    }
    let message =
        format!("{field}: expected 0 (whole country) or one of the 98 municipality codes, got {code}");
    Err((Reason::InvalidValue, message))
}
