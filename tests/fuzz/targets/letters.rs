//! Dead letters: what was put aside is there again byte for byte, what is no dead letter is refused without a panic,
//! and whatever a refused message still tells could stand in an event.
#![no_main]

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use rettidig_event::refused::Refused;
use rettidig_event::{DeadLetter, Origin, Reason, Topic, aside};

fuzz_target!(|data: &[u8]| {
    let at: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let refused = Refused::read(data);
    for topic in Topic::ALL {
        for told in [refused.source(topic), refused.key(topic)].into_iter().flatten() {
            assert!((1..=128).contains(&told.len()) && !told.chars().any(char::is_control), "{told:?}");
        }
    }
    let origin = Origin::Message { topic: Topic::Official.name().to_owned(), partition: 0, offset: 1 };
    let letter = DeadLetter::new(origin, data, "ingest", Reason::InvalidField, "field", at);
    let back: DeadLetter =
        serde_json::from_slice(&letter.to_json()).expect("a letter that was written can be read");
    assert_eq!(back, letter);
    assert_eq!(back.original_bytes().as_deref(), Some(data));
    let rows = aside::figures(&[back], at).num_rows();
    assert_eq!(rows, usize::from(refused.figure().is_some()));

    // The input itself as it might stand on the dead-letter topic.
    if let Ok(letter) = serde_json::from_slice::<DeadLetter>(data) {
        let back: DeadLetter =
            serde_json::from_slice(&letter.to_json()).expect("a letter that was written can be read");
        assert_eq!(back, letter);
        if let Some(bytes) = letter.original_bytes() {
            let again = DeadLetter::new(
                letter.origin.clone(),
                &bytes,
                &letter.stage,
                letter.reason,
                &*letter.message,
                at,
            );
            assert_eq!(again.original_bytes(), Some(bytes));
        }
        let _ = aside::figures(&[letter], at);
    }
});
