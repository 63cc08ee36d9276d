//! What benefits leave behind in the payment systems: weekly ledger rows with additive corrections (YR),
//! and period records with revisions and deletes (KY).
//!
//! Of all YR rows about 3 % are corrections: a negative row and (mostly) its replacement, or a refund booked
//! after the payment. They arrive up to eight years later and never reach before the first week.

use crate::benefit::Benefit;
use crate::file::{System, working_day, yr_day};
use crate::life::World;
use crate::person::RunningPeriod;
use crate::record::{LedgerRow, PeriodRecord, Record};
use crate::text::{DAY_SECONDS, month_of, month_start};

/// Chance that a week's row is corrected, per 10,000. A correction is 1.6 rows on average.
const CORRECTED: u64 = 193;

impl World {
    /// The week's ledger row, and what will become of it.
    pub(crate) fn pay_week(&mut self, person: u32, week: i32) {
        let reduced = self.percent(8);
        let share = if reduced { self.random.i64(30..90) } else { 100 };
        let late = if self.per_10_000(250) { 7 * self.random.i32(1..=8) } else { 0 };
        let state = &mut self.persons[person as usize];
        let area = usize::from(state.area);
        let refund_rate = state.refund_rate();
        if state.benefit.in_ladder() {
            state.ladder_weeks = state.ladder_weeks.saturating_add(1);
        }
        let full = state.benefit.week_oere() * i64::from(state.factor) / 100;
        let amount_oere = full * share / 100;
        let row = LedgerRow {
            who: state.who,
            benefit: state.benefit,
            week,
            reported_oere: amount_oere,
            amount_oere,
            refund_oere: amount_oere * i64::from(refund_rate) / 100,
            refund_rate,
        };
        let made_on = yr_day(week + 8 + late, area);
        let corrected = self.per_10_000(CORRECTED);
        let kind = if corrected { self.random.u32(..100) } else { 0 };
        match corrected.then(|| self.long_delay(made_on)).flatten() {
            None => self.push_row(made_on, area, row),
            Some(days) if kind < 20 => {
                // The refund is not booked with the payment.
                self.push_row(made_on, area, LedgerRow { refund_oere: 0, ..row });
                let booked = LedgerRow { amount_oere: 0, reported_oere: 0, ..row };
                self.push_row(yr_day(made_on + days, area), area, booked);
            }
            Some(days) => {
                self.push_row(made_on, area, row);
                self.correct_row(yr_day(made_on + days, area), area, row, kind < 40);
            }
        }
    }

    fn push_row(&mut self, made_on: i32, area: usize, row: LedgerRow) {
        self.outbox.push(made_on, System::Yr, area, Record::Ledger(row));
    }

    /// Takes a row back and, unless it is a retraction, puts another in its place; that one may be corrected
    /// again. A retraction is the whole row in negative.
    fn correct_row(&mut self, made_on: i32, area: usize, row: LedgerRow, retraction: bool) {
        let (mut made_on, mut row) = (made_on, row);
        loop {
            let negative = LedgerRow {
                reported_oere: -row.reported_oere,
                amount_oere: -row.amount_oere,
                refund_oere: -row.refund_oere,
                ..row
            };
            self.push_row(made_on, area, negative);
            if retraction {
                return;
            }
            row.amount_oere = (row.amount_oere * self.random.i64(40..115) / 100).max(10_000);
            row.reported_oere = row.amount_oere;
            row.refund_oere = row.amount_oere * i64::from(row.refund_rate) / 100;
            self.push_row(made_on, area, row);
            match self.percent(4).then(|| self.long_delay(made_on)).flatten() {
                Some(days) => made_on = yr_day(made_on + days, area),
                None => return,
            }
        }
    }

    /// The first record of a KY benefit; it starts within the first days of the week.
    pub(crate) fn start_period(&mut self, person: u32, week: i32) {
        let from = week + self.random.i32(0..=2);
        self.open_period(person, week, from);
    }

    /// A record from `from` to the end of its month.
    fn open_period(&mut self, person: u32, week: i32, from: i32) {
        let to = month_start(month_of(from) + 1) - 1;
        self.next_period += 1;
        let number = self.next_period;
        let wait = if self.percent(3) { self.random.i32(5..40) } else { self.random.i32(1..=5) };
        let filed = working_day(week.max(from) + wait);
        self.persons[person as usize].period =
            RunningPeriod { number, revision: 0, from, to, amount_oere: 0, filed };
        let amount_oere = self.period_amount(person, from, to);
        self.persons[person as usize].period.amount_oere = amount_oere;
        self.push_period(person, filed, false);
        if self.per_10_000(60) {
            self.mistaken_period(person, week);
        }
    }

    fn period_amount(&self, person: u32, from: i32, to: i32) -> i64 {
        let state = &self.persons[person as usize];
        state.benefit.week_oere() * i64::from(state.factor) * i64::from(to - from + 1) / 700
    }

    /// Puts the present state of the running record into the file of `filed`.
    fn push_period(&mut self, person: u32, filed: i32, deleted: bool) {
        let state = &self.persons[person as usize];
        let period = state.period;
        let days = (period.to - period.from + 1) as u32;
        let timed = matches!(state.benefit, Benefit::Sickness | Benefit::FlexJob);
        let record = PeriodRecord {
            who: state.who,
            number: period.number,
            revision: period.revision,
            benefit: state.benefit,
            from: period.from,
            to: period.to,
            amount_oere: period.amount_oere,
            // 37 hours a week.
            quarters: timed.then_some(148 * days / 7),
            deleted,
            registered: registered(filed, self.random.i64(28_800..57_600)),
        };
        let area = usize::from(state.area);
        self.outbox.push(filed, System::Ky, area, Record::Period(record));
        if self.per_10_000(40) {
            let again = working_day(filed + self.random.i32(1..=10));
            self.outbox.push(again, System::Ky, area, Record::Period(record));
        }
    }

    /// A record that never should have been: written and deleted, or deleted and then written.
    fn mistaken_period(&mut self, person: u32, week: i32) {
        let kept = self.persons[person as usize].period;
        self.next_period += 1;
        let (first, second) = (week + self.random.i32(1..5), week + self.random.i32(7..20));
        let (written, deleted) = if self.percent(50) { (first, second) } else { (second, first) };
        self.persons[person as usize].period.number = self.next_period;
        self.push_period(person, working_day(written), false);
        self.persons[person as usize].period.revision = 1;
        self.push_period(person, working_day(deleted), true);
        self.persons[person as usize].period = kept;
    }

    /// Goes on into the next month if the running record ends in this week.
    pub(crate) fn keep_period(&mut self, person: u32, week: i32) {
        let state = &mut self.persons[person as usize];
        if state.benefit.in_ladder() {
            state.ladder_weeks = state.ladder_weeks.saturating_add(1);
        }
        while self.persons[person as usize].period.to <= week + 6 {
            let next = self.persons[person as usize].period.to + 1;
            self.finish_period(person);
            self.open_period(person, week, next);
        }
    }

    /// The benefit ends around `week`: the running record is shortened by a revision.
    pub(crate) fn end_period(&mut self, person: u32, week: i32) {
        let period = self.persons[person as usize].period;
        let last = (week - 1 + self.random.i32(0..=6)).min(period.to).max(period.from);
        if last < period.to {
            let amount_oere = self.period_amount(person, period.from, last);
            let filed = working_day(week.max(last) + self.random.i32(1..=5));
            self.persons[person as usize].period = RunningPeriod {
                revision: period.revision + 1,
                to: last,
                amount_oere,
                filed: filed.max(period.filed),
                ..period
            };
            self.push_period(person, filed, false);
        }
        self.finish_period(person);
    }

    /// What becomes of a record after its month: few are corrected or deleted, sometimes with a higher
    /// revision delivered before a lower one.
    fn finish_period(&mut self, person: u32) {
        if !self.per_10_000(220) {
            return;
        }
        let period = self.persons[person as usize].period;
        let Some(days) = self.long_delay(period.filed) else { return };
        let filed = working_day(period.filed + days);
        let deleted = self.percent(20);
        let twice = self.percent(30);
        let factor = self.random.i64(50..115);
        let change = |revision: u16, amount_oere: i64| RunningPeriod {
            revision: period.revision + revision,
            amount_oere,
            ..period
        };
        self.persons[person as usize].period = change(1, period.amount_oere * factor / 100);
        self.push_period(person, if twice { working_day(filed + 4) } else { filed }, deleted && !twice);
        if twice {
            self.persons[person as usize].period = change(2, period.amount_oere * 9 / 10);
            self.push_period(person, filed, deleted);
        }
        self.persons[person as usize].period = period;
    }
}

/// The instant of a registration that is in the file of `filed`: the working day before.
fn registered(filed: i32, second: i64) -> i64 {
    let monday = (filed + 3).rem_euclid(7) == 0;
    i64::from(filed - if monday { 3 } else { 1 }) * DAY_SECONDS + second
}
