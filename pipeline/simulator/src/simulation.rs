//! The simulation as an iterator over days.

use std::fmt;

use chrono::NaiveDate;

use crate::file::SourceFile;
use crate::life::World;
use crate::text::{date_of, day_number};

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulationOptions {
    /// Persons, with and without benefit; just under half of them are on a benefit at a time.
    pub persons: u64,
    /// Calendar months up to and with the month of `end`.
    pub months: u32,
    /// The same seed (and other options) gives the same bytes.
    pub seed: u64,
    /// The last day lived.
    pub end: NaiveDate,
    /// Days after `end` on which files still arrive, about the life until then. 0 leaves the newest month
    /// incomplete, as it is in reality.
    pub runoff_days: u32,
    /// Whether the daily systems (KY, AMANDA) deliver a file on working days on which they have no record. The
    /// weekly and monthly ones always deliver.
    pub empty_files: bool,
}

impl Default for SimulationOptions {
    /// 10,000 persons over 24 months until 2026-07-31.
    fn default() -> Self {
        Self {
            persons: 10_000,
            months: 24,
            seed: 1,
            end: NaiveDate::from_ymd_opt(2026, 7, 31).unwrap_or_default(),
            runoff_days: 0,
            empty_files: false,
        }
    }
}

/// A day and the files that arrive on it, in order of arrival.
#[derive(Debug, Clone)]
pub struct Day {
    /// The day.
    pub date: NaiveDate,
    /// The files, written only when asked to.
    pub files: Vec<SourceFile>,
}

/// A running simulation: yields every day from the first Monday to the end, those without files too. It holds
/// the persons and what is still on its way, not what it has yielded.
pub struct Simulation {
    world: World,
    /// The next day to yield.
    next: i32,
    /// The last day lived.
    end: i32,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("persons", &self.world.persons.len())
            .field("next", &date_of(self.next))
            .field("end", &date_of(self.end))
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// Makes the persons; nothing has happened yet.
    pub fn new(options: &SimulationOptions) -> Self {
        let world = World::new(options);
        Self { next: world.first, world, end: day_number(options.end) }
    }

    /// Simulated full-time persons for one real one: multiply [`crate::full_time_persons`] by it to get the level
    /// that a municipality and month should show.
    pub fn scale(&self) -> f64 {
        self.world.scale
    }

    /// The first day: the Monday of the week of the first month's first day. Nothing reaches further back but
    /// births and origins.
    pub fn first_day(&self) -> NaiveDate {
        date_of(self.world.first)
    }

    /// The last day on which anything arrives.
    pub fn last_day(&self) -> NaiveDate {
        date_of(self.world.last_arrival)
    }
}

impl Iterator for Simulation {
    type Item = Day;

    fn next(&mut self) -> Option<Day> {
        let day = self.next;
        if day > self.world.last_arrival {
            return None;
        }
        self.next += 1;
        if (day - self.world.first) % 7 == 0 && day <= self.end {
            self.world.live(day);
        }
        Some(Day { date: date_of(day), files: self.world.outbox.files_of(day) })
    }
}
