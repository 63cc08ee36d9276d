//! The benefits: codes, source system, level and the rates a simulated life needs.
//!
//! Codes are the contract's. Levels of `unemployment` and of the cash family follow real figures
//! ([`crate::reality`]); the other levels, amounts and hazards are round constants of ours, made to look
//! plausible, not estimated. Amounts in øre a week, hazards per 10,000 a week.

/// A benefit of the contract's code list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Benefit {
    /// A-dagpenge.
    Unemployment,
    /// Kontanthjælp.
    Cash,
    /// Uddannelseshjælp, until 2025-06-30.
    EducationHelp,
    /// Selvforsørgelses- og hjemrejseydelse and its forerunners, until 2025-06-30.
    StartHelp,
    /// Sygedagpenge.
    Sickness,
    /// Jobafklaring.
    JobClarification,
    /// Revalidering.
    Rehabilitation,
    /// Forrevalidering.
    PreRehabilitation,
    /// Ressourceforløb.
    Resource,
    /// Ledighedsydelse.
    UnemploymentFlex,
    /// Fleksjob.
    FlexJob,
    /// Førtidspension.
    EarlyPension,
    /// Efterløn.
    EarlyRetirement,
}

impl Benefit {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unemployment,
        Self::Cash,
        Self::EducationHelp,
        Self::StartHelp,
        Self::Sickness,
        Self::JobClarification,
        Self::Rehabilitation,
        Self::PreRehabilitation,
        Self::Resource,
        Self::UnemploymentFlex,
        Self::FlexJob,
        Self::EarlyPension,
        Self::EarlyRetirement,
    ];

    /// The contract's code; also what stands in `ydelseskode` of a KY file.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unemployment => "unemployment",
            Self::Cash => "cash",
            Self::EducationHelp => "education_help",
            Self::StartHelp => "start_help",
            Self::Sickness => "sickness",
            Self::JobClarification => "job_clarification",
            Self::Rehabilitation => "rehabilitation",
            Self::PreRehabilitation => "pre_rehabilitation",
            Self::Resource => "resource",
            Self::UnemploymentFlex => "unemployment_flex",
            Self::FlexJob => "flex_job",
            Self::EarlyPension => "early_pension",
            Self::EarlyRetirement => "early_retirement",
        }
    }

    /// What stands in `Ydelse` of a YR file: the Danish name.
    pub fn danish_name(self) -> &'static str {
        match self {
            Self::Unemployment => "A-dagpenge",
            Self::Cash => "Kontanthjælp",
            Self::EducationHelp => "Uddannelseshjælp",
            Self::StartHelp => "Selvforsørgelses- og hjemrejseydelse",
            Self::Sickness => "Sygedagpenge",
            Self::JobClarification => "Jobafklaring",
            Self::Rehabilitation => "Revalidering",
            Self::PreRehabilitation => "Forrevalidering",
            Self::Resource => "Ressourceforløb",
            Self::UnemploymentFlex => "Ledighedsydelse",
            Self::FlexJob => "Fleksjob",
            Self::EarlyPension => "Førtidspension",
            Self::EarlyRetirement => "Efterløn",
        }
    }

    /// Gross benefit of a full week, øre.
    pub(crate) fn week_oere(self) -> i64 {
        match self {
            Self::Unemployment => 480_000,
            Self::Cash => 290_000,
            Self::EducationHelp => 170_000,
            Self::StartHelp => 155_000,
            Self::Sickness => 465_000,
            Self::JobClarification | Self::Resource => 285_000,
            Self::Rehabilitation | Self::PreRehabilitation => 390_000,
            Self::UnemploymentFlex => 425_000,
            Self::FlexJob => 330_000,
            Self::EarlyPension => 470_000,
            Self::EarlyRetirement => 437_000,
        }
    }

    /// Whether its weeks move a person down the refund ladder.
    pub(crate) fn in_ladder(self) -> bool {
        self != Self::EarlyRetirement
    }
}

/// What shares one level: a benefit, or the three that became one on 1 July 2025.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// A-dagpenge.
    Unemployment,
    /// `cash`, `education_help` and `start_help`: one published series.
    CashFamily,
    /// Any other benefit.
    Single(Benefit),
}

/// The groups in the order they are filled: those that take persons from others come first.
pub(crate) const GROUPS: [Group; 11] = [
    Group::Single(Benefit::Sickness),
    Group::Single(Benefit::JobClarification),
    Group::Single(Benefit::Rehabilitation),
    Group::Single(Benefit::PreRehabilitation),
    Group::Single(Benefit::Resource),
    Group::Single(Benefit::UnemploymentFlex),
    Group::Single(Benefit::FlexJob),
    Group::Single(Benefit::EarlyPension),
    Group::Single(Benefit::EarlyRetirement),
    Group::Unemployment,
    Group::CashFamily,
];

/// Index of [`Group::Unemployment`] in [`GROUPS`].
pub(crate) const UNEMPLOYMENT: usize = 9;
/// Index of [`Group::CashFamily`] in [`GROUPS`].
pub(crate) const CASH_FAMILY: usize = 10;
/// Index of sickness in [`GROUPS`].
pub(crate) const SICKNESS: usize = 0;
/// Index of early retirement in [`GROUPS`].
pub(crate) const EARLY_RETIREMENT: usize = 8;

impl Group {
    /// Paid through KY (records with a life) and not YR (a ledger of weeks).
    pub(crate) fn is_ky(self) -> bool {
        use Benefit::{FlexJob, JobClarification, Rehabilitation, Resource, Sickness, UnemploymentFlex};
        matches!(
            self,
            Self::Single(
                Sickness | JobClarification | Rehabilitation | Resource | UnemploymentFlex | FlexJob
            )
        )
    }

    /// Full-time persons in the whole country; 0 for the groups that follow published figures. Far below
    /// the real stock for the pensions, so that unemployment and cash benefit dominate the simulation.
    pub(crate) fn stock(self) -> f64 {
        let Self::Single(benefit) = self else { return 0.0 };
        match benefit {
            Benefit::Sickness => 40_000.0,
            Benefit::JobClarification => 10_000.0,
            Benefit::Rehabilitation => 2_500.0,
            Benefit::PreRehabilitation => 1_000.0,
            Benefit::Resource => 8_000.0,
            Benefit::UnemploymentFlex => 8_000.0,
            Benefit::FlexJob => 12_000.0,
            Benefit::EarlyPension => 15_000.0,
            Benefit::EarlyRetirement => 8_000.0,
            _ => 0.0,
        }
    }

    /// Chance of leaving in a week, per 10,000, after `weeks` in a row.
    pub(crate) fn exit_hazard(self, weeks: i32) -> u64 {
        match self {
            Self::Unemployment if weeks < 13 => 520,
            Self::Unemployment if weeks < 52 => 340,
            Self::Unemployment if weeks < 104 => 260,
            Self::Unemployment => 1_200,
            Self::CashFamily if weeks < 26 => 190,
            Self::CashFamily => 85,
            Self::Single(Benefit::Sickness) if weeks < 8 => 900,
            Self::Single(Benefit::Sickness) => 420,
            Self::Single(Benefit::EarlyPension | Benefit::EarlyRetirement) => 10,
            Self::Single(Benefit::FlexJob) => 40,
            Self::Single(_) => 130,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_groups_stand_where_they_are_said_to() {
        assert_eq!(GROUPS[UNEMPLOYMENT], Group::Unemployment);
        assert_eq!(GROUPS[CASH_FAMILY], Group::CashFamily);
        assert_eq!(GROUPS[SICKNESS], Group::Single(Benefit::Sickness));
        assert_eq!(GROUPS[EARLY_RETIREMENT], Group::Single(Benefit::EarlyRetirement));
    }
}
