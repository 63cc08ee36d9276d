//! Records about persons: delivered lines to events, by a profile.
//!
//! Bytes are cut into lines ([`lines`]), lines into fields ([`row`]), fields become exact values ([`values`]) and
//! one event ([`mapping`]); [`feed`] keeps what a delivery has in common and decides what one bad line does.
//! All of it is pure and holds one line at a time; where bytes come from is the business of the sources. A CPR
//! number is read here and goes no further: not into an event, an error, a log or a dead letter.

use rettidig_event::{Reason, SinkError};

use self::feed::{Bad, Feed, Outcome};
use self::lines::Lines;
use crate::emit::{Emitter, Refusal, instant};

pub(crate) mod feed;
pub(crate) mod lines;
mod mapping;
pub(crate) mod name;
pub(crate) mod profile;
mod row;
mod values;

/// The most dead letters of one delivery; the lines after it are counted.
const BAD_LINES_MAX: u64 = 10_000;

/// Hands a delivery's lines to the emitter, in pieces of any size.
pub(crate) struct Production<'p> {
    pub feed: Feed<'p>,
    lines: Lines,
    /// Lines put aside, or counted beyond the limit.
    pub bad: u64,
    /// What is remembered of bad lines, for a report.
    pub bad_lines: Vec<(u64, Refusal)>,
    file: String,
}

/// How far it went.
pub(crate) enum Step {
    Used,
    /// The delivery as a whole is unusable.
    Rejected(Bad),
}

impl<'p> Production<'p> {
    /// `file` is what dead letters name.
    pub(crate) fn new(feed: Feed<'p>, file: &str) -> Self {
        Self { feed, lines: Lines::default(), bad: 0, bad_lines: Vec::new(), file: file.to_owned() }
    }

    /// Reads without using anything; ends early if the whole is rejected.
    pub(crate) fn check(&mut self, mut piece: &[u8]) -> Step {
        while let Some(line) = self.lines.next(&mut piece) {
            if let Outcome::Reject(bad) = self.feed.line(&line) {
                return Step::Rejected(bad);
            }
        }
        Step::Used
    }

    /// The end of what is only checked.
    pub(crate) fn check_end(&mut self) -> Step {
        if let Some(line) = self.lines.finish()
            && let Outcome::Reject(bad) = self.feed.line(&line)
        {
            return Step::Rejected(bad);
        }
        match self.feed.finish() {
            Ok(_) => Step::Used,
            Err(refusal) => Step::Rejected(Bad { refusal, line: 0, bytes: Vec::new() }),
        }
    }

    /// Reads and emits.
    pub(crate) async fn piece(
        &mut self,
        mut piece: &[u8],
        emitter: &mut Emitter<'_>,
    ) -> Result<Step, SinkError> {
        while let Some(line) = self.lines.next(&mut piece) {
            let outcome = self.feed.line(&line);
            if let Some(rejected) = self.used(outcome, emitter).await? {
                return Ok(Step::Rejected(rejected));
            }
        }
        Ok(Step::Used)
    }

    /// Reads and emits one row of a table.
    pub(crate) async fn row(
        &mut self,
        texts: &[&str],
        number: u64,
        emitter: &mut Emitter<'_>,
    ) -> Result<(), SinkError> {
        let outcome = self.feed.row(texts, number);
        // A row alone rejects nothing.
        self.used(outcome, emitter).await.map(drop)
    }

    /// The end: emits the last line and the delivery.
    pub(crate) async fn end(&mut self, emitter: &mut Emitter<'_>) -> Result<Step, SinkError> {
        if let Some(line) = self.lines.finish() {
            let outcome = self.feed.line(&line);
            if let Some(rejected) = self.used(outcome, emitter).await? {
                return Ok(Step::Rejected(rejected));
            }
        }
        let file = self.file.clone();
        if self.bad > BAD_LINES_MAX {
            let message = format!(
                "{} more lines of this delivery are unusable; only the first {BAD_LINES_MAX} were put aside one by one",
                self.bad - BAD_LINES_MAX
            );
            emitter.dead_letter(&file, None, b"", &Refusal::new(Reason::InvalidValue, message)).await?;
        }
        let (delivery, tally) = match self.feed.finish() {
            Ok(finished) => finished,
            Err(refusal) => return Ok(Step::Rejected(Bad { refusal, line: 0, bytes: Vec::new() })),
        };
        let municipality = delivery.municipality.unwrap_or(0);
        let period = tally.period(delivery);
        let at = instant(delivery.delivered_at);
        let what = (period, tally.events, tally.control_sum());
        emitter.delivery_of(&delivery.source, municipality, &at, what).await?;
        tracing::info!(
            file,
            source = delivery.source,
            records = tally.events,
            bad_lines = tally.bad,
            modulus_11_failed = tally.modulus_11_failed,
            erased = tally.erased,
            "delivery read"
        );
        Ok(Step::Used)
    }

    async fn used(&mut self, outcome: Outcome, emitter: &mut Emitter<'_>) -> Result<Option<Bad>, SinkError> {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Event(event) => emitter.event(event.topic, &event.key, event.payload).await?,
            Outcome::Bad(bad) => {
                self.bad += 1;
                if self.bad <= BAD_LINES_MAX {
                    emitter.dead_letter(&self.file, Some(bad.line), &bad.bytes, &bad.refusal).await?;
                    self.bad_lines.push((bad.line, bad.refusal));
                }
            }
            Outcome::Reject(bad) => return Ok(Some(bad)),
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use rettidig_event::{Sink, Topic};
    use secrecy::SecretString;

    use super::lines::Encoding;
    use super::profile::Profile;
    use super::*;
    use crate::pseudonym::PseudonymKey;

    #[derive(Default)]
    struct Kept(Vec<(Topic, String, Vec<u8>)>);

    #[async_trait]
    impl Sink for Kept {
        async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
            self.0.push((topic, key.to_owned(), payload));
            Ok(())
        }

        async fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }

    const FILES: [(&str, &[u8], Encoding); 4] = [
        ("amanda", include_bytes!("../fixtures/amanda/raw.txt"), Encoding::Windows1252),
        ("income", include_bytes!("../fixtures/income/raw.csv"), Encoding::Utf8),
        ("ky", include_bytes!("../fixtures/ky/raw.ndjson"), Encoding::Utf8),
        ("yr", include_bytes!("../fixtures/yr/raw.csv"), Encoding::Utf8),
    ];

    fn events(name: &str, bytes: &[u8], encoding: Encoding, cuts: &[usize]) -> Kept {
        let profile =
            Profile::read(name, crate::sources::default_feed_profile(name).expect("name")).expect("profile");
        let key = PseudonymKey::from_text(SecretString::from("key ".repeat(8))).expect("key");
        let now: DateTime<Utc> = "2026-08-20T06:00:00Z".parse().expect("instant");
        let feed = Feed::new(&profile, &key, encoding, "f", Some(101), None, now);
        let mut production = Production::new(feed, "f");
        let mut kept = Kept::default();
        let mut emitter = Emitter::new(&mut kept, "x", "x", now);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| (*cut).min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        futures::executor::block_on(async {
            for pair in cuts.windows(2) {
                let step = production.piece(&bytes[pair[0]..pair[1]], &mut emitter).await.expect("sink");
                assert!(matches!(step, Step::Used));
            }
            assert!(matches!(production.end(&mut emitter).await.expect("sink"), Step::Used));
        });
        kept
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However a file is cut into pieces, its events, dead letters and delivery are the same.
        #[test]
        fn pieces_do_not_matter(cuts in proptest::collection::vec(0_usize..2_500, 0..8)) {
            for (name, bytes, encoding) in FILES {
                let whole = events(name, bytes, encoding, &[]);
                prop_assert!(whole.0.len() > 4);
                prop_assert_eq!(events(name, bytes, encoding, &cuts).0, whole.0);
            }
        }
    }
}
