//! The facts of the simulated life, as they stand in a file: one record each, told apart by source system.
//!
//! A record knows the person only by number and birth ([`Identity`]); texts, encodings and pseudonyms are
//! made when it is written ([`crate::format`], [`crate::event`]). Units: øre, days since 1970-01-01, months
//! counted from 1970-01 as 0, instants in seconds since 1970-01-01T00:00:00Z.

use crate::benefit::Benefit;
use crate::identity::Identity;

/// A row of the ledger (YR): one week's benefit, or a correction of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerRow {
    pub who: Identity,
    pub benefit: Benefit,
    /// Monday of the week.
    pub week: i32,
    /// As reported by the payer, before the calculation.
    pub reported_oere: i64,
    pub amount_oere: i64,
    pub refund_oere: i64,
    /// State share in percent.
    pub refund_rate: u8,
}

/// A revision of a benefit period (KY).
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeriodRecord {
    pub who: Identity,
    /// What the UUID is made from.
    pub number: u64,
    pub revision: u16,
    pub benefit: Benefit,
    pub from: i32,
    pub to: i32,
    pub amount_oere: i64,
    /// Paid time in quarters of an hour.
    pub quarters: Option<u32>,
    pub deleted: bool,
    pub registered: i64,
}

/// What an AMANDA record says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CaseDetail {
    /// Open while `to` is none; closed with a reason.
    Registration { from: i32, to: Option<i32>, reason: &'static str },
    /// An interview with its due date.
    Contact { due: i32, held: Option<i32>, form: &'static str },
    /// An offer.
    Activation { from: i32, to: Option<i32>, offer: &'static str, hours_per_week: u32 },
}

/// A revision of a case (AMANDA).
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaseRecord {
    pub who: Identity,
    pub case: u64,
    pub revision: u16,
    pub detail: CaseDetail,
}

/// A revision of a month's wage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WageRecord {
    pub who: Identity,
    pub month: i32,
    pub kroner: i64,
    pub hours: u32,
    pub report: u64,
    pub revision: u16,
}

/// A language test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestRecord {
    pub who: Identity,
    pub number: u64,
    pub on: i32,
    pub level: &'static str,
    pub passed: bool,
}

/// Where a person comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OriginRecord {
    pub who: Identity,
    pub number: u64,
    pub origin: &'static str,
    pub from: i32,
}

/// Any of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Record {
    Ledger(LedgerRow),
    Period(PeriodRecord),
    Case(CaseRecord),
    Wage(WageRecord),
    Test(TestRecord),
    Origin(OriginRecord),
}
