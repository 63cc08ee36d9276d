//! Dead letters after the fact: which there are, what can be done about each, and sending them again.
//!
//! A replay sends the bytes of a letter to the topic that they came from, through the connectors' own sink, so that they
//! are keyed as they were. Whatever of them is there already changes nothing, so a replay may be repeated; that it happened
//! is noted on the dead-letter topic itself, after the broker has acknowledged what was sent. What is refused again
//! becomes a new letter. Why it is so: `pipeline/docs/decisions/2026-11-22-replay.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rettidig_event::dead_letter::REPLAY;
use rettidig_event::refused::Refused;
use rettidig_event::{DeadLetter, Message, Origin, Reason, Sink, Topic, delivery, official, person};
use sha2::{Digest, Sha256};

use crate::RuntimeError;
use crate::engine::TOPICS;
use crate::kafka::{KafkaConfig, KafkaSink, Place, letters};

/// Letters sent before their replay is noted.
const NOTED_TOGETHER: usize = 1_000;

/// What a connector leaves in the place of a number.
const MASK: &[u8] = b"**********";

/// Which letters.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only those with this reason.
    pub reason: Option<Reason>,
    /// Only those of this source, see [`source_of`].
    pub source: Option<String>,
    /// Only those put aside at this instant or later.
    pub since: Option<DateTime<Utc>>,
}

impl Selection {
    /// Whether a letter is meant.
    pub fn holds(&self, letter: &DeadLetter) -> bool {
        self.reason.is_none_or(|reason| reason == letter.reason)
            && self.source.as_ref().is_none_or(|source| source_of(letter).as_ref() == Some(source))
            && self.since.is_none_or(|since| letter.at.parse::<DateTime<Utc>>().is_ok_and(|at| at >= since))
    }
}

/// Where a letter is from: the source in its bytes, or the connector that refused them. `None` if it cannot be told.
pub fn source_of(letter: &DeadLetter) -> Option<String> {
    match &letter.origin {
        Origin::Message { topic, .. } => {
            Refused::read(&letter.original_bytes()?).source(Topic::from_name(topic)?)
        }
        Origin::File { .. } => Some(letter.stage.clone()),
    }
}

/// The letter whose replay this one notes.
pub fn replay_of(letter: &DeadLetter) -> Option<Place> {
    match &letter.origin {
        Origin::Message { topic, partition, offset }
            if letter.stage == REPLAY && topic == Topic::DeadLetter.name() =>
        {
            Some(Place { partition: *partition, offset: *offset })
        }
        _ => None,
    }
}

/// What can be done about a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Its bytes can be sent again.
    Again {
        /// To this topic.
        topic: Topic,
        /// With this key, if they tell one.
        key: Option<String>,
        /// The partition they came from, for those that tell no key.
        partition: i32,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// They cannot; this is what to do instead.
    Instead(&'static str),
}

/// What can be done about a letter.
pub fn way(letter: &DeadLetter) -> Way {
    let Some(bytes) = letter.original_bytes() else {
        return Way::Instead("its bytes are not base64: ask who wrote it");
    };
    let (topic, partition) = match &letter.origin {
        Origin::Message { topic, partition, .. } => match Topic::from_name(topic) {
            Some(topic) if TOPICS.contains(&topic) => (topic, *partition),
            _ => return Way::Instead("its topic is not one that is read"),
        },
        Origin::File { .. } => match canonical(&bytes) {
            Some(topic) => (topic, 0),
            None => {
                return Way::Instead(
                    "a record of its source: correct the profile or the file and deliver it again",
                );
            }
        },
    };
    if bytes.is_empty() {
        return Way::Instead("it has no bytes: the producer has to send the event");
    }
    let key = Refused::read(&bytes).key(topic);
    Way::Again { topic, key, partition, bytes }
}

/// The one topic on which the bytes are an event; `None` if there is none, or if a connector may have masked something.
fn canonical(bytes: &[u8]) -> Option<Topic> {
    if bytes.windows(MASK.len()).any(|window| window == MASK) {
        return None;
    }
    let mut fitting = TOPICS.into_iter().filter(|topic| {
        let message = [Message { partition: 0, offset: 0, payload: bytes }];
        let decoded = match topic {
            Topic::Deliveries => delivery::decode(message),
            Topic::Official => official::decode(message),
            _ => person::decode(*topic, message),
        };
        decoded.rejected.is_empty()
    });
    fitting.next().filter(|_| fitting.next().is_none())
}

/// What a replay did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Messages sent, by topic.
    pub sent: BTreeMap<&'static str, u64>,
    /// Letters whose bytes were sent for another letter.
    pub same_bytes: u64,
    /// Letters left out because they were sent before.
    pub before: u64,
    /// Letters left out because a record that is there stays as it is.
    pub conflicts: u64,
    /// Letters that cannot be sent, by what to do instead.
    pub instead: BTreeMap<&'static str, u64>,
}

/// A letter that is to be sent.
struct Chosen {
    place: Place,
    topic: Topic,
    digest: [u8; 32],
}

/// Sends the selected letters again and notes it. `again` takes those too that were sent before; a `dry_run` sends nothing.
///
/// Letters of [`Reason::ConflictingRevision`] are left out unless the selection names that reason: the record that came
/// first stays, so sending them again only makes another letter.
///
/// # Errors
/// As [`letters`] and [`KafkaSink::bury`]; what was acknowledged before is noted, the rest can be sent by another call.
pub async fn replay(
    config: &KafkaConfig,
    selection: &Selection,
    (again, dry_run): (bool, bool),
    at: DateTime<Utc>,
) -> Result<Replayed, RuntimeError> {
    let mut replayed = Replayed::default();
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut noted: BTreeSet<Place> = BTreeSet::new();
    let mut all = letters(config, None)?;
    while let Some(letter) = all.recv().await {
        let letter = letter?;
        let Some(dead) = &letter.letter else { continue };
        if let Some(place) = replay_of(dead) {
            noted.insert(place);
        } else if selection.holds(dead) {
            if dead.reason == Reason::ConflictingRevision && selection.reason != Some(dead.reason) {
                replayed.conflicts += 1;
                continue;
            }
            match way(dead) {
                Way::Again { topic, bytes, .. } => {
                    let digest = Sha256::digest(&bytes).into();
                    chosen.push(Chosen { place: letter.place, topic, digest });
                }
                Way::Instead(what) => *replayed.instead.entry(what).or_default() += 1,
            }
        }
    }
    let open = chosen.len();
    chosen.retain(|letter| again || !noted.contains(&letter.place));
    replayed.before = (open - chosen.len()) as u64;
    // Equal bytes are sent once; all their letters are noted with it.
    let mut first: HashMap<(Topic, [u8; 32]), Place> = HashMap::new();
    let mut places: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    for letter in &chosen {
        let sent_as = *first.entry((letter.topic, letter.digest)).or_insert(letter.place);
        places.entry(sent_as).or_default().push(letter.place);
        if sent_as == letter.place {
            *replayed.sent.entry(letter.topic.name()).or_default() += 1;
        } else {
            replayed.same_bytes += 1;
        }
    }
    if !dry_run && !places.is_empty() {
        send(config, &mut places, at).await?;
    }
    Ok(replayed)
}

/// Sends the letters at the keys of `places` and notes those at the values.
async fn send(
    config: &KafkaConfig,
    places: &mut BTreeMap<Place, Vec<Place>>,
    at: DateTime<Utc>,
) -> Result<(), RuntimeError> {
    let mut sink = KafkaSink::connect(config)?;
    let mut notes = Vec::new();
    let mut all = letters(config, None)?;
    while let Some(letter) = all.recv().await {
        let letter = letter?;
        let Some(noted) = places.remove(&letter.place) else { continue };
        let Some(dead) = letter.letter else { continue };
        if let Way::Again { topic, key, partition, bytes } = way(&dead) {
            let sent = match &key {
                Some(key) => sink.send(topic, key, bytes).await,
                None => sink.send_back(topic, partition, &bytes).await,
            };
            sent.map_err(|error| {
                RuntimeError::retry(format!("sending the letter at {} again", letter.place), error)
            })?;
            notes.extend(noted.into_iter().map(|place| note(place, &dead, topic, at)));
        }
        if notes.len() >= NOTED_TOGETHER {
            acknowledge(&mut sink, &mut notes).await?;
        }
    }
    acknowledge(&mut sink, &mut notes).await
}

/// What is sent first, then what notes it: a crash between them sends twice at worst.
async fn acknowledge(sink: &mut KafkaSink, notes: &mut Vec<DeadLetter>) -> Result<(), RuntimeError> {
    sink.flush().await.map_err(|error| RuntimeError::retry("sending letters again", error))?;
    sink.bury(notes).await?;
    notes.clear();
    Ok(())
}

fn note(place: Place, letter: &DeadLetter, topic: Topic, at: DateTime<Utc>) -> DeadLetter {
    let (partition, offset) = (place.partition, place.offset);
    let origin = Origin::Message { topic: Topic::DeadLetter.name().to_owned(), partition, offset };
    DeadLetter::new(origin, b"", REPLAY, letter.reason, format!("sent again to {}", topic.name()), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "00ff00ff00ff00ff00ff00ff00ff00ff";

    fn payment(id: &str) -> String {
        format!(
            r#"{{"source":"yr-101","id":"{id}","op":"add","revision":0,"recorded_at":"2026-08-19T07:00:00Z","person":"{PERSON}","birth":null,"municipality":101,"benefit":"cash","from":"2026-07-06","to":"2026-07-12","minutes":null,"amount_oere":1,"refund_oere":0}}"#
        )
    }

    fn letter(origin: Origin, bytes: &[u8]) -> DeadLetter {
        let at = "2026-08-19T07:58:44Z".parse().expect("instant");
        DeadLetter::new(origin, bytes, "yr", Reason::InvalidValue, "benefit", at)
    }

    fn message(topic: &str) -> Origin {
        Origin::Message { topic: topic.to_owned(), partition: 5, offset: 42 }
    }

    fn file() -> Origin {
        Origin::File { file: "yr.csv".to_owned(), line: Some(3) }
    }

    /// Topic, key and partition of what can be sent again.
    fn told(letter: &DeadLetter) -> Option<(Topic, Option<String>, i32)> {
        match way(letter) {
            Way::Again { topic, key, partition, .. } => Some((topic, key, partition)),
            Way::Instead(_) => None,
        }
    }

    #[test]
    fn messages_go_back_and_records_of_sources_do_not() {
        let payments = Topic::Payments;
        let keyed = Some((payments, Some(PERSON.to_owned()), 5));
        assert_eq!(told(&letter(message(payments.name()), payment("1").as_bytes())), keyed);
        assert_eq!(
            told(&letter(message(payments.name()), b"<html>")),
            Some((payments, None, 5)),
            "no key is told"
        );
        assert_eq!(told(&letter(message(payments.name()), b"")), None, "there is nothing to send");
        assert_eq!(told(&letter(message(Topic::DeadLetter.name()), b"x")), None);
        assert_eq!(told(&letter(message("other"), b"x")), None);
        assert_eq!(told(&letter(file(), b"2026-07-06;**********;cash")), None, "deliver the file again");
        let from_file = Some((payments, Some(PERSON.to_owned()), 0));
        assert_eq!(told(&letter(file(), payment("1").as_bytes())), from_file, "an event is an event");
        assert_eq!(told(&letter(file(), payment("**********").as_bytes())), None, "it is not what it was");
        let delete = format!(
            r#"{{"source":"s","id":"1","op":"delete","revision":1,"recorded_at":"2026-08-19T07:00:00Z","person":"{PERSON}","birth":null,"municipality":101}}"#
        );
        assert_eq!(told(&letter(file(), delete.as_bytes())), None, "it would fit three topics");
    }

    #[test]
    fn letters_are_selected_by_reason_source_and_time() {
        let letter = letter(message(Topic::Payments.name()), payment("1").as_bytes());
        let at = |text: &str| Some(text.parse().expect("instant"));
        let all = Selection::default();
        for (selection, holds) in [
            (all.clone(), true),
            (Selection { reason: Some(Reason::InvalidValue), ..all.clone() }, true),
            (Selection { reason: Some(Reason::Empty), ..all.clone() }, false),
            (Selection { source: Some("yr-101".into()), ..all.clone() }, true),
            (Selection { source: Some("yr".into()), ..all.clone() }, false),
            (Selection { since: at("2026-08-19T07:58:44Z"), ..all.clone() }, true),
            (Selection { since: at("2026-08-19T07:58:45Z"), ..all }, false),
        ] {
            assert_eq!(selection.holds(&letter), holds, "{selection:?}");
        }
    }

    #[test]
    fn a_note_names_the_letter_that_was_sent() {
        let at = "2026-08-20T07:00:00Z".parse().expect("instant");
        let place = Place { partition: 0, offset: 17 };
        let letter = letter(message(Topic::Payments.name()), b"{");
        assert_eq!(replay_of(&note(place, &letter, Topic::Payments, at)), Some(place));
        assert_eq!(replay_of(&letter), None);
    }
}
