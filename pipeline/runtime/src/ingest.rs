//! Messages → rows: decode, drop what is there already, put aside what cannot be used.
//!
//! A figure delivered twice with the same stamps and content is one row. The same stamps with other content is
//! a conflict: the first one stays, the other goes to the dead letter. Nothing else is dropped, so the result
//! depends neither on batching nor on how often something was sent.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use rettidig_event::{DeadLetter, Decoded, Message, Origin, Reason, Topic, delivery, official, person};
use sha2::{Digest, Sha256};

use crate::RuntimeError;
use crate::codes::Codes;
use crate::groups::column;

/// A message as the consumer hands it over.
#[derive(Debug, Clone)]
pub struct OwnedMessage {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When Kafka got it, milliseconds since 1970; `None` if it did not come over Kafka.
    pub stamp: Option<i64>,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// Rows already in the log: digest of identity and stamps → digest of the content.
#[derive(Debug, Default)]
pub struct Seen(HashMap<[u8; 16], [u8; 8]>);

/// What became of a batch of messages.
#[derive(Debug)]
pub struct Ingested {
    /// Rows that are new.
    pub rows: RecordBatch,
    /// Messages that were there already.
    pub duplicates: u64,
    /// What was put aside.
    pub dead_letters: Vec<DeadLetter>,
    /// Fields that the event type does not know.
    pub unknown_fields: u64,
}

impl Seen {
    /// Rows remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of figures that were put aside those that were not before, and remembers them.
    pub(crate) fn first_of(&mut self, topic: Topic, rows: &RecordBatch) -> Result<RecordBatch, RuntimeError> {
        let is_new = |row| {
            let (identity, content) = digests(topic, rows, row);
            self.0.insert(identity, content).is_none()
        };
        let keep: BooleanArray = (0..rows.num_rows()).map(is_new).map(Some).collect();
        Ok(filter_record_batch(rows, &keep)?)
    }

    /// Remembers the rows of a log file.
    pub fn remember(&mut self, topic: Topic, rows: &RecordBatch) {
        for row in 0..rows.num_rows() {
            let (identity, content) = digests(topic, rows, row);
            self.0.insert(identity, content);
        }
    }
}

/// Takes in a batch of messages of one topic.
///
/// # Errors
/// Only if Arrow fails, which is a bug.
pub fn ingest(
    topic: Topic,
    messages: &[OwnedMessage],
    seen: &mut Seen,
    codes: &Codes,
    at: DateTime<Utc>,
) -> Result<Ingested, RuntimeError> {
    let borrowed = messages.iter().map(|message| Message {
        partition: message.partition,
        offset: message.offset,
        payload: &message.payload,
    });
    let decoded: Decoded = match topic {
        Topic::Deliveries => delivery::decode(borrowed),
        Topic::Payments | Topic::Cases | Topic::Income => codes.decode(topic, borrowed)?,
        Topic::Official | Topic::DeadLetter => official::decode(borrowed),
    };
    let letter = |message: &OwnedMessage, reason: Reason, text: String| {
        let origin = Origin::Message {
            topic: topic.name().to_owned(),
            partition: message.partition,
            offset: message.offset,
        };
        DeadLetter::new(origin, &message.payload, "ingest", reason, text, at)
    };
    let mut dead_letters: Vec<DeadLetter> = decoded
        .rejected
        .iter()
        .filter_map(|rejected| {
            let message = messages.get(rejected.index)?;
            Some(letter(message, rejected.reason, rejected.message.clone()))
        })
        .collect();
    if person::TOPICS.contains(&topic) {
        // What is there already is told when the person's history is read.
        let (rows, unknown_fields) = (decoded.batch, decoded.unknown_fields);
        return Ok(Ingested { rows, duplicates: 0, dead_letters, unknown_fields });
    }
    let mut refused = decoded.rejected.iter().map(|rejected| rejected.index).peekable();
    let accepted = messages.iter().enumerate().filter(|(index, _)| {
        let is_refused = refused.peek() == Some(index);
        if is_refused {
            refused.next();
        }
        !is_refused
    });
    let mut duplicates = 0;
    let mut keep = Vec::with_capacity(decoded.batch.num_rows());
    for (row, (_, message)) in accepted.enumerate() {
        let (identity, content) = digests(topic, &decoded.batch, row);
        let known = seen.0.get(&identity).copied();
        match known {
            None => drop(seen.0.insert(identity, content)),
            Some(same) if same == content => duplicates += 1,
            Some(_) => {
                let text = "same identity and stamps as a stored record, other content: the first one stays; \
                            send it with a newer published_at or retrieved_at";
                dead_letters.push(letter(message, Reason::ConflictingRevision, text.to_owned()));
            }
        }
        keep.push(known.is_none());
    }
    let rows = filter_record_batch(&decoded.batch, &BooleanArray::from(keep))?;
    Ok(Ingested { rows, duplicates, dead_letters, unknown_fields: decoded.unknown_fields })
}

/// Columns that carry content; the topic's place is neither identity nor content.
fn is_content(topic: Topic, column: &str) -> bool {
    match topic {
        // Several files of one source and period can come in one poll: other counts, another delivery.
        Topic::Deliveries => false,
        Topic::DeadLetter => column == "put_aside_at",
        _ => matches!(column, "value_micro" | "status"),
    }
}

fn digests(topic: Topic, rows: &RecordBatch, row: usize) -> ([u8; 16], [u8; 8]) {
    let (mut identity, mut content) = (Sha256::new(), Sha256::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let name = field.name().as_str();
        if matches!(name, "topic_partition" | "topic_offset" | "period_start" | "period_end") {
            continue;
        }
        let digest = if is_content(topic, name) { &mut content } else { &mut identity };
        if column.is_null(row) {
            digest.update([0]);
            continue;
        }
        digest.update([1]);
        if let Some(text) = column.as_string_opt::<i32>() {
            let text = text.value(row);
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        } else if let Some(number) = column.as_primitive_opt::<Int64Type>() {
            digest.update(number.value(row).to_le_bytes());
        } else if let Some(number) = column.as_primitive_opt::<Int32Type>() {
            digest.update(number.value(row).to_le_bytes());
        } else if let Some(instant) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            digest.update(instant.value(row).to_le_bytes());
        }
    }
    let mut short = ([0; 16], [0; 8]);
    short.0.copy_from_slice(&identity.finalize()[..16]);
    short.1.copy_from_slice(&content.finalize()[..8]);
    short
}

/// Dead letters of rows whose identity was there with other content. They carry the event as it was understood; its bytes
/// are on the topic at the place that the letter names.
pub(crate) fn conflict_letters(
    conflicts: &[RecordBatch],
    at: DateTime<Utc>,
) -> Result<Vec<DeadLetter>, RuntimeError> {
    let mut letters = Vec::new();
    for rows in conflicts {
        let topic = column(rows, "topic")?.as_primitive::<Int32Type>();
        let partition = column(rows, "topic_partition")?.as_primitive::<Int32Type>();
        let offset = column(rows, "topic_offset")?.as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            let topic = usize::try_from(topic.value(row)).ok().and_then(|topic| person::TOPICS.get(topic));
            let origin = Origin::Message {
                topic: topic.map_or("", |topic| topic.name()).to_owned(),
                partition: partition.value(row),
                offset: offset.value(row),
            };
            let text = "same source, id and revision as a stored row, other content: the first one stays; send the \
                        correction with a new id (add) or a higher revision (upsert)";
            let bytes = person::to_json(rows, row);
            letters.push(DeadLetter::new(origin, &bytes, "ingest", Reason::ConflictingRevision, text, at));
        }
    }
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(value: &str, retrieved_at: &str) -> Vec<u8> {
        format!(
            r#"{{"publisher":"jobindsats","table":"y25i01","measure":"full_time_unemployed","area":851,"period":"2026M07",
            "breakdown":{{}},"value":"{value}","status":"final","published_at":"2026-08-19T06:00:00Z","retrieved_at":"{retrieved_at}"}}"#
        )
        .into_bytes()
    }

    fn batch(payloads: &[Vec<u8>]) -> Vec<OwnedMessage> {
        let numbered = payloads.iter().zip(0..);
        numbered
            .map(|(payload, offset)| OwnedMessage {
                partition: 0,
                offset,
                stamp: None,
                payload: payload.clone(),
            })
            .collect()
    }

    #[test]
    fn duplicates_conflicts_and_garbage() {
        let at: DateTime<Utc> = "2026-08-19T08:00:00Z".parse().expect("instant");
        let messages = batch(&[
            event("100", "2026-08-19T07:00:00Z"),
            b"<html>".to_vec(),
            event("100", "2026-08-19T07:00:00Z"),
            event("101", "2026-08-19T07:00:00Z"),
            event("101", "2026-08-19T08:00:00Z"),
        ]);
        let mut seen = Seen::default();
        let codes = Codes::of(&rettidig_model::Model::embedded().expect("model"));
        let ingested = ingest(Topic::Official, &messages, &mut seen, &codes, at).expect("ingest");
        assert_eq!((ingested.rows.num_rows(), ingested.duplicates, seen.len()), (2, 1, 2));
        let letters: Vec<_> = ingested.dead_letters.iter().map(|l| (l.reason, l.original_bytes())).collect();
        assert_eq!(
            letters,
            [
                (Reason::MalformedJson, Some(messages[1].payload.clone())),
                (Reason::ConflictingRevision, Some(messages[3].payload.clone())),
            ]
        );
        let mut remembered = Seen::default();
        remembered.remember(Topic::Official, &ingested.rows);
        let again = ingest(Topic::Official, &messages, &mut remembered, &codes, at).expect("again");
        assert_eq!((again.rows.num_rows(), again.duplicates), (0, 3), "the log knows them after a restart");
    }
}
