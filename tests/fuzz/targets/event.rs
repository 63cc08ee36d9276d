//! Official figures and deliveries: rows and refusals are all messages, and decoding twice is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rettidig_event::Topic;
use rettidig_fuzz::{decode, lines};

fuzz_target!(|data: &[u8]| {
    let payloads = lines(data);
    for topic in [Topic::Official, Topic::Deliveries] {
        let decoded = decode(topic, &payloads).expect("a topic with a decoder");
        assert_eq!(decoded.batch.num_rows() + decoded.rejected.len(), payloads.len());
        let again = decode(topic, &payloads).expect("a topic with a decoder");
        assert_eq!((&decoded.batch, &decoded.rejected), (&again.batch, &again.rejected));
    }
});
