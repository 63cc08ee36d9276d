//! Events about persons, on each of their topics: rows and refusals are all messages, decoding twice is the same,
//! and a row written out again decodes to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rettidig_event::person::{TOPICS, to_json};
use rettidig_fuzz::{decode, lines};

fuzz_target!(|data: &[u8]| {
    let payloads = lines(data);
    for topic in TOPICS {
        let decoded = decode(topic, &payloads).expect("a topic with a decoder");
        assert_eq!(decoded.batch.num_rows() + decoded.rejected.len(), payloads.len());
        let again = decode(topic, &payloads).expect("a topic with a decoder");
        assert_eq!((&decoded.batch, &decoded.rejected), (&again.batch, &again.rejected));
        let written: Vec<_> = (0..decoded.batch.num_rows()).map(|row| to_json(&decoded.batch, row)).collect();
        let back = decode(topic, &written.iter().map(Vec::as_slice).collect::<Vec<_>>())
            .expect("a topic with a decoder");
        assert_eq!(back.rejected, [], "a row written out again is refused");
    }
});
