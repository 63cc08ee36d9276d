//! The only door to the wall clock.
//!
//! Everything that depends on time takes a [`Clock`], so that a demo can replay August 2026, a test can
//! stand still, and a recomputation never asks what time it is now.

use std::sync::Mutex;

use chrono::{DateTime, NaiveDate, Utc};

/// Where instants come from.
pub trait Clock: Send + Sync {
    /// The current instant, UTC.
    fn now(&self) -> DateTime<Utc>;

    /// The Danish civil date of [`Clock::now`]: the as-of date of an evaluation.
    fn today(&self) -> NaiveDate {
        danish_date(self.now())
    }
}

/// The Danish civil date of an instant.
pub fn danish_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&chrono_tz::Europe::Copenhagen).date_naive()
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the wall clock is read")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that stands still until it is set; for replay and tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves the clock, forwards or backwards.
    pub fn set(&self, at: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = at;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn danish_date_follows_summer_time() {
        for (utc, date) in [
            ("2026-08-19T22:00:00Z", "2026-08-20"),
            ("2026-08-19T21:59:59Z", "2026-08-19"),
            ("2026-01-31T22:59:59Z", "2026-01-31"),
            ("2026-01-31T23:00:00Z", "2026-02-01"),
            ("2026-03-29T00:59:59Z", "2026-03-29"),
            ("2026-10-24T22:30:00Z", "2026-10-25"),
            ("2026-10-25T22:30:00Z", "2026-10-25"),
        ] {
            let at: DateTime<Utc> = utc.parse().expect("instant");
            assert_eq!(danish_date(at).to_string(), date, "{utc}");
        }
    }
}
