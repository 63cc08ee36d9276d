//! Wages as they are reported about the tenth of the next month, for everybody who has ever had a benefit.

use crate::file::{System, income_day};
use crate::life::World;
use crate::person::{IDLE, NEVER};
use crate::record::{Record, WageRecord};
use crate::text::{month_of, month_start};

/// Hours of a full-time month, whole.
const FULL_MONTH_HOURS: i32 = 160;

impl World {
    /// Reports the wages of the month before `week`, and lets some jobs begin and end.
    pub(crate) fn pay_wages(&mut self, week: i32) {
        let month = month_of(week) - 1;
        let (start, end) = (month_start(month), month_start(month + 1));
        for person in 0..self.persons.len() {
            let state = &self.persons[person];
            if state.group == IDLE {
                let employed = state.employed_since != NEVER;
                if self.per_10_000(if employed { 120 } else { 350 }) {
                    self.persons[person].employed_since = if employed { NEVER } else { week };
                }
                if employed && self.persons[person].known {
                    let state = &self.persons[person];
                    let days = end - state.employed_since.clamp(start, end);
                    let hours = FULL_MONTH_HOURS * days / (end - start);
                    let kroner = i64::from(state.wage_kroner) * i64::from(days) / i64::from(end - start);
                    if hours > 0 && kroner > 0 {
                        self.report_wage(person, month, kroner, hours as u32);
                    }
                }
            } else if self.percent(9) {
                // A few ordinary hours beside the benefit.
                let hours = self.random.u32(8..60);
                let kroner = i64::from(self.persons[person].wage_kroner) * i64::from(hours) / 160;
                self.report_wage(person, month, kroner, hours);
            }
        }
    }

    fn report_wage(&mut self, person: usize, month: i32, kroner: i64, hours: u32) {
        self.next_report += 1;
        let state = &self.persons[person];
        let (area, who) = (usize::from(state.area), state.who);
        let due = month_start(month + 1) + 9;
        let late = if self.percent(2) { 31 * self.random.i32(1..=4) } else { 0 };
        let filed = income_day(due + late);
        let record = WageRecord { who, month, kroner, hours, report: self.next_report, revision: 0 };
        self.outbox.push(filed, System::Income, area, Record::Wage(record));
        if self.per_10_000(180) {
            let Some(days) = self.long_delay(due) else { return };
            let kroner = kroner * self.random.i64(80..125) / 100;
            let revised = WageRecord { kroner, revision: 1, ..record };
            self.outbox.push(income_day(due + days), System::Income, area, Record::Wage(revised));
        }
    }
}
