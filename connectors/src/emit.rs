//! What every source does alike: judge a body before it is parsed, and hand figures, deliveries and dead
//! letters to the sink.
//!
//! A body is refused whole or taken whole; the refusal carries the bytes as they came, so that nothing that
//! arrived is lost. Instants are written with seconds. Nothing here knows a publisher's shape.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use rettidig_event::{
    DeadLetter, DeliveryEvent, OfficialEvent, OfficialStatus, Origin, Period, PollOutcome, Reason, Sink,
    SinkError, SourceError, Topic,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::numbers::Cell;

/// The most bytes of a refused body that a dead letter keeps; base64 and the broker's limit leave no more.
pub(crate) const DEAD_LETTER_BYTES_MAX: usize = 20 << 20;

/// One figure, before it becomes an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    pub measure: String,
    pub area: i32,
    pub period: Period,
    pub breakdown: BTreeMap<String, String>,
    pub cell: Cell,
}

/// Why a body is not used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub reason: Reason,
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The text of a body that should be data: not empty, UTF-8 (a byte order mark is dropped), no page.
pub(crate) fn text_body(body: &[u8]) -> Result<&str, Refusal> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::new(Reason::Empty, "the answer has no content; expected JSON"));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Refusal::new(Reason::WrongEncoding, format!("expected UTF-8; byte {at} is not"))
    })?;
    if text.trim_start().starts_with('<') {
        let message = "expected JSON, got a page; a proxy or a login answered in the publisher's place";
        return Err(Refusal::new(Reason::UnexpectedContent, message));
    }
    Ok(text)
}

/// Parses a body that should be JSON.
pub(crate) fn json_body(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_str(text_body(body)?)
        .map_err(|error| Refusal::new(Reason::MalformedJson, error.to_string()))
}

/// A short fingerprint, for telling one body or profile from another.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}

/// An instant as it stands in events.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The error of a cursor that is JSON, but not this source's.
pub(crate) fn not_a_cursor(name: &str) -> SourceError {
    SourceError::Stop {
        attempt: format!("reading the cursor of {name}"),
        cause: "it is JSON, but not a cursor of this source".to_owned(),
        remedy: "put its last good copy back, or delete it to have everything sent again".to_owned(),
    }
}

/// Hands records of one poll to the sink and counts them.
pub(crate) struct Emitter<'a> {
    sink: &'a mut dyn Sink,
    publisher: &'a str,
    stage: &'a str,
    retrieved_at: DateTime<Utc>,
    retrieved_text: String,
    pub records: u64,
    pub dead_letters: u64,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(
        sink: &'a mut dyn Sink,
        publisher: &'a str,
        stage: &'a str,
        retrieved_at: DateTime<Utc>,
    ) -> Self {
        let retrieved_text = instant(retrieved_at);
        Self { sink, publisher, stage, retrieved_at, retrieved_text, records: 0, dead_letters: 0 }
    }

    /// Sends figures of one table; hidden and missing ones without a value.
    pub(crate) async fn figures(
        &mut self,
        table: &str,
        published_at: DateTime<Utc>,
        figures: &[Figure],
    ) -> Result<(), SinkError> {
        let published_at = instant(published_at);
        for figure in figures {
            let (value, status) = match &figure.cell {
                Cell::Number(text) => (Some(Cow::Borrowed(text.as_str())), OfficialStatus::Final),
                Cell::Hidden => (None, OfficialStatus::Hidden),
                Cell::Missing => (None, OfficialStatus::Missing),
            };
            let event = OfficialEvent {
                publisher: self.publisher.into(),
                table: table.into(),
                measure: figure.measure.as_str().into(),
                area: figure.area,
                period: figure.period.to_string().into(),
                breakdown: figure
                    .breakdown
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                    .collect(),
                value,
                status,
                published_at: published_at.as_str().into(),
                retrieved_at: self.retrieved_text.as_str().into(),
            };
            self.sink.send(Topic::Official, table, event.to_json()).await?;
            self.records += 1;
        }
        Ok(())
    }

    /// Sends the delivery record of one table.
    pub(crate) async fn delivery(
        &mut self,
        table: &str,
        newest: Period,
        figures: u64,
    ) -> Result<(), SinkError> {
        let source = format!("{}-{table}", self.publisher);
        let at = self.retrieved_text.clone();
        self.delivery_of(&source, 0, &at, (newest, figures, None)).await
    }

    /// Sends the delivery record of a source of a municipality: when it was delivered, its newest period, how many records it
    /// had, and its control sum.
    pub(crate) async fn delivery_of(
        &mut self,
        source: &str,
        municipality: i32,
        delivered_at: &str,
        (newest, records, control_sum): (Period, u64, Option<&str>),
    ) -> Result<(), SinkError> {
        let event = DeliveryEvent {
            source: source.into(),
            municipality,
            period: newest.to_string().into(),
            records: i64::try_from(records).unwrap_or(i64::MAX),
            control_sum: control_sum.map(Cow::Borrowed),
            delivered_at: delivered_at.into(),
        };
        self.sink.send(Topic::Deliveries, source, event.to_json()).await?;
        self.records += 1;
        Ok(())
    }

    /// Sends an event about a person.
    pub(crate) async fn event(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        self.sink.send(topic, key, payload).await?;
        self.records += 1;
        Ok(())
    }

    /// Puts bytes aside under `file` (method and path, never a query or a token).
    pub(crate) async fn dead_letter(
        &mut self,
        file: &str,
        line: Option<u64>,
        bytes: &[u8],
        refusal: &Refusal,
    ) -> Result<(), SinkError> {
        let kept = &bytes[..bytes.len().min(DEAD_LETTER_BYTES_MAX)];
        let message = if kept.len() < bytes.len() {
            format!("{}; only the first {} of {} bytes are kept", refusal.message, kept.len(), bytes.len())
        } else {
            refusal.message.clone()
        };
        tracing::warn!(stage = self.stage, file, reason = refusal.reason.code(), message, "answer put aside");
        let origin = Origin::File { file: file.to_owned(), line };
        let letter = DeadLetter::new(origin, kept, self.stage, refusal.reason, message, self.retrieved_at);
        self.sink.send(Topic::DeadLetter, refusal.reason.code(), letter.to_json()).await?;
        self.dead_letters += 1;
        Ok(())
    }

    /// Sends a dead letter unless the same content was put aside at an earlier poll: a page that stands for a day
    /// would otherwise be put aside every few minutes. `refused` is the cursor's: fingerprints by key.
    pub(crate) async fn put_aside(
        &mut self,
        refused: &mut serde_json::Map<String, Value>,
        key: &str,
        (file, line): (&str, Option<u64>),
        bytes: &[u8],
        refusal: &Refusal,
    ) -> Result<(), SinkError> {
        let content = Value::from(fingerprint(bytes));
        if refused.get(key) == Some(&content) {
            tracing::warn!(file, reason = refusal.reason.code(), "the same unusable answer as before");
            return Ok(());
        }
        self.dead_letter(file, line, bytes, refusal).await?;
        refused.insert(key.to_owned(), content);
        Ok(())
    }

    /// What the poll brought.
    pub(crate) fn outcome(
        &self,
        cursor: Value,
        next_poll: DateTime<Utc>,
        failures: Vec<SourceError>,
    ) -> PollOutcome {
        let (records, dead_letters) = (self.records, self.dead_letters);
        PollOutcome { cursor, records, dead_letters, next_poll, failures }
    }
}
