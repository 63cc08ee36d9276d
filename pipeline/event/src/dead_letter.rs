//! What could not be used, with its bytes: nothing that arrives is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// The stage of what notes that a letter was sent again: its origin is the letter's place on the dead-letter topic, its
/// reason is the letter's, it has no bytes.
pub const REPLAY: &str = "replay";

/// Why something was put aside. A closed list: it is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No JSON, or cut off.
    MalformedJson,
    /// Not UTF-8.
    WrongEncoding,
    /// No bytes at all.
    Empty,
    /// Larger than any event may be.
    TooLarge,
    /// A required field is missing or has the wrong type.
    InvalidField,
    /// A field is well-typed but its value is out of range or contradicts another.
    InvalidValue,
    /// Same identity and revision as a stored record, other content; the first one stays.
    ConflictingRevision,
    /// An answer of a delivering system whose shape is not known.
    UnknownShape,
    /// A page instead of data: a proxy's or a login's HTML with status 200.
    UnexpectedContent,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::MalformedJson,
        Self::WrongEncoding,
        Self::Empty,
        Self::TooLarge,
        Self::InvalidField,
        Self::InvalidValue,
        Self::ConflictingRevision,
        Self::UnknownShape,
        Self::UnexpectedContent,
    ];

    /// The code as it stands in the event and in metric labels.
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::WrongEncoding => "wrong_encoding",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::InvalidField => "invalid_field",
            Self::InvalidValue => "invalid_value",
            Self::ConflictingRevision => "conflicting_revision",
            Self::UnknownShape => "unknown_shape",
            Self::UnexpectedContent => "unexpected_content",
        }
    }

    /// The reason of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// Where the bytes came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Origin {
    /// A message on a topic.
    Message {
        /// Topic name.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
    },
    /// A file or an answer of a delivering system.
    File {
        /// File name, or method and address without secrets.
        file: String,
        /// Line, counted from 1, where there is one.
        line: Option<u64>,
    },
}

/// The event on `rettidig.dead-letter`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The bytes as they came, base64.
    pub bytes: String,
    /// The stage that refused them: `ingest`, `statbank`, `jobindsats`; [`REPLAY`] if this notes a replay.
    pub stage: String,
    /// Why.
    pub reason: Reason,
    /// Field, what was expected, what to do.
    pub message: String,
    /// When, RFC 3339 UTC.
    pub at: String,
}

impl DeadLetter {
    /// A dead letter of `bytes`.
    pub fn new(
        origin: Origin,
        bytes: &[u8],
        stage: &str,
        reason: Reason,
        message: impl Into<String>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            origin,
            bytes: STANDARD.encode(bytes),
            stage: stage.to_owned(),
            reason,
            message: message.into(),
            at: at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }

    /// The payload on the topic.
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of texts and integers has no way to fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The bytes as they came; `None` if the text is not base64.
    pub fn original_bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_bytes_and_round_trips() {
        let bytes = [0xff, 0x00, b'{', 0xe6];
        for origin in [
            Origin::Message { topic: "rettidig.official".into(), partition: 3, offset: 42 },
            Origin::File { file: "GET /v3/data/y25i01".into(), line: None },
        ] {
            let at = "2026-08-19T07:58:44Z".parse().expect("instant");
            let letter = DeadLetter::new(origin, &bytes, "ingest", Reason::WrongEncoding, "not UTF-8", at);
            let back: DeadLetter = serde_json::from_slice(&letter.to_json()).expect("json");
            assert_eq!(back, letter);
            assert_eq!(back.original_bytes().as_deref(), Some(&bytes[..]));
        }
    }

    #[test]
    fn codes_match_the_serialised_form() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("json"), reason.code());
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }
}
