//! Records about persons: delivered lines to events, by a profile.
//!
//! Bytes are cut into lines ([`lines`]), lines into fields ([`row`]), fields become exact values ([`values`]) and
//! one event ([`mapping`]); [`feed`] keeps what a delivery has in common and decides what one bad line does.
//! All of it is pure and holds one line at a time; where bytes come from is the business of the sources. A CPR
//! number is read here and goes no further: not into an event, an error, a log or a dead letter.

use rettidig_event::{Reason, SinkError};

use self::feed::{Bad, Feed, Outcome};
use self::lines::Lines;
use crate::emit::{Emitter, Refusal};

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
    bad: u64,
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
        emitter
            .delivery_of(&delivery.source, municipality, period, tally.events, tally.control_sum())
            .await?;
        tracing::info!(
            file,
            source = delivery.source,
            records = tally.events,
            bad_lines = tally.bad,
            modulus_11_failed = tally.modulus_11_failed,
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
