//! A simulated person's state between two weeks.

use crate::benefit::Benefit;
use crate::identity::Identity;

/// Not on any benefit; also "returns to nothing".
pub(crate) const IDLE: u8 = u8::MAX;

/// A day that never comes.
pub(crate) const NEVER: i32 = i32::MAX;

/// The origins of the contract and how many of 100 persons have each.
pub(crate) const ORIGINS: [(&str, u64); 3] = [("danish", 80), ("western", 7), ("non_western", 13)];

/// Index of the origin that start help and language tests are for.
pub(crate) const NON_WESTERN: u8 = 2;

/// The running KY record.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RunningPeriod {
    pub number: u64,
    pub revision: u16,
    pub from: i32,
    pub to: i32,
    pub amount_oere: i64,
    /// Day of the file its last revision went into.
    pub filed: i32,
}

/// A planned interview; case 0 is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    pub case: u64,
    pub due: i32,
    pub held: i32,
    pub form: &'static str,
}

/// A running offer; case 0 is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activation {
    pub case: u64,
    pub from: i32,
    pub to: i32,
    /// The end was not told at the start.
    pub open: bool,
    pub offer: &'static str,
    pub hours_per_week: u32,
}

/// A person. Days since 1970-01-01.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub who: Identity,
    /// Index of the municipality of residence.
    pub area: u8,
    /// Index of the benefit group, or [`IDLE`].
    pub group: u8,
    pub benefit: Benefit,
    /// First day of the present spell; before the simulation for those who start on a benefit.
    pub since: i32,
    pub origin: u8,
    /// Has ever been on a benefit.
    pub known: bool,
    /// Percent of the full rate.
    pub factor: u8,
    pub ladder_weeks: u16,
    /// The group a sick person came from.
    pub returns_to: u8,
    pub employed_since: i32,
    pub wage_kroner: i32,
    pub registration: u64,
    pub registration_from: i32,
    pub contact: Contact,
    pub activation: Activation,
    pub period: RunningPeriod,
    pub tests_passed: u8,
}

impl Person {
    pub(crate) fn new(who: Identity, area: u8, origin: u8, factor: u8, wage_kroner: i32) -> Self {
        Self {
            who,
            area,
            group: IDLE,
            benefit: Benefit::Unemployment,
            since: 0,
            origin,
            known: false,
            factor,
            ladder_weeks: 0,
            returns_to: IDLE,
            employed_since: NEVER,
            wage_kroner,
            registration: 0,
            registration_from: 0,
            contact: Contact { case: 0, due: NEVER, held: NEVER, form: "" },
            activation: Activation { case: 0, from: 0, to: 0, open: false, offer: "", hours_per_week: 0 },
            period: RunningPeriod::default(),
            tests_passed: 0,
        }
    }

    /// State share of the benefit in percent, by the weeks on ladder benefits so far: simulated weeks only, so
    /// that whoever counts the weeks in the data comes to the same.
    pub(crate) fn refund_rate(&self) -> u8 {
        match self.ladder_weeks {
            _ if !self.benefit.in_ladder() => 0,
            0..4 => 80,
            4..26 => 40,
            26..52 => 30,
            _ => 20,
        }
    }
}
