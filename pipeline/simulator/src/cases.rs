//! What persons leave behind in the case systems: registrations, interviews with a due date, activation
//! (AMANDA), language tests and origin.

use crate::file::{System, working_day};
use crate::life::World;
use crate::person::{Contact, NEVER, NON_WESTERN, ORIGINS};
use crate::record::{CaseDetail, CaseRecord, OriginRecord, Record, TestRecord};

/// Forms of an interview, by their codes.
const FORMS: [&str; 3] = ["meeting", "phone", "video"];

/// Offers, by the contract's field `offer`.
const OFFERS: [&str; 5] =
    ["company_internship", "wage_subsidy", "utility_job", "guidance_and_qualification", "mentor"];

/// Levels of the Danish tests, in the order they are taken.
const LEVELS: [&str; 3] = ["pd1", "pd2", "pd3"];

impl World {
    /// Registers a person at the jobcentre and sets the first interview.
    pub(crate) fn open_case(&mut self, person: u32, week: i32) {
        let case = self.new_case();
        let late = self.per_10_000(150);
        let wait = if late { self.random.i32(10..60) } else { self.random.i32(0..=3) };
        // Those who are there from the start are not all due on the same day.
        let (spread, at_start) = (self.random.i32(1..=91), week == self.first);
        let state = &mut self.persons[person as usize];
        state.registration = case;
        state.registration_from = week;
        let first = if state.who.age(week) < 30 { 30 } else { 91 };
        state.contact =
            Contact { case: 0, due: week + if at_start { spread } else { first }, held: NEVER, form: "" };
        let detail = CaseDetail::Registration { from: week, to: None, reason: "" };
        self.push_case(person, week + wait, case, 0, detail);
    }

    fn push_case(&mut self, person: u32, day: i32, case: u64, revision: u16, detail: CaseDetail) {
        let state = &self.persons[person as usize];
        let record = Record::Case(CaseRecord { who: state.who, case, revision, detail });
        self.outbox.push(working_day(day), System::Amanda, usize::from(state.area), record);
    }

    /// A week as a registered person: interviews, offers, tests.
    pub(crate) fn keep_case(&mut self, person: u32, week: i32) {
        self.keep_contact(person, week);
        self.keep_activation(person, week);
        let state = &self.persons[person as usize];
        let level = usize::from(state.tests_passed);
        if state.origin == NON_WESTERN && level < LEVELS.len() && self.per_10_000(80) {
            let passed = self.percent(66);
            let number = self.new_case();
            let (on, wait) = (week + self.random.i32(0..5), self.random.i32(5..20));
            let state = &mut self.persons[person as usize];
            state.tests_passed += u8::from(passed);
            let record = TestRecord { who: state.who, number, on, level: LEVELS[level], passed };
            let area = usize::from(state.area);
            self.outbox.push(working_day(on + wait), System::Language, area, Record::Test(record));
        }
    }

    fn keep_contact(&mut self, person: u32, week: i32) {
        let contact = self.persons[person as usize].contact;
        if contact.case == 0 {
            if contact.due - 14 > week + 6 {
                return;
            }
            let case = self.new_case();
            let held = match self.random.u32(..100) {
                0..85 => contact.due - self.random.i32(0..14),
                85..95 => contact.due + self.random.i32(1..=30),
                _ => NEVER,
            };
            let form = FORMS[self.random.usize(..FORMS.len())];
            // A few plans are delivered only after the interview was held.
            let wait = if self.per_10_000(150) { self.random.i32(20..60) } else { self.random.i32(0..=3) };
            let held = held.max(week);
            self.persons[person as usize].contact = Contact { case, held, form, ..contact };
            let detail = CaseDetail::Contact { due: contact.due, held: None, form };
            self.push_case(person, week + wait, case, 0, detail);
        } else if contact.held <= week + 6 {
            let detail =
                CaseDetail::Contact { due: contact.due, held: Some(contact.held), form: contact.form };
            let wait = self.random.i32(0..=4);
            self.push_case(person, week.max(contact.held) + wait, contact.case, 1, detail);
            self.persons[person as usize].contact =
                Contact { case: 0, due: contact.due + 91, held: NEVER, form: "" };
        } else if contact.held == NEVER && contact.due < week {
            self.persons[person as usize].contact = Contact { case: 0, due: contact.due + 91, ..contact };
        }
    }

    fn keep_activation(&mut self, person: u32, week: i32) {
        let activation = self.persons[person as usize].activation;
        if activation.case != 0 {
            if activation.to < week {
                self.end_activation(person, week, activation.to);
            }
            return;
        }
        if !self.per_10_000(230) {
            return;
        }
        let case = self.new_case();
        let (weeks, open) = (self.random.i32(3..=13), self.percent(25));
        let offer = OFFERS[self.random.usize(..OFFERS.len())];
        let hours_per_week = self.random.u32(8..=37);
        let wait = self.random.i32(1..=5);
        let (from, to) = (week, week + 7 * weeks - 1);
        let activation = &mut self.persons[person as usize].activation;
        (activation.case, activation.from, activation.to) = (case, from, to);
        (activation.open, activation.offer, activation.hours_per_week) = (open, offer, hours_per_week);
        let detail = CaseDetail::Activation { from, to: (!open).then_some(to), offer, hours_per_week };
        self.push_case(person, week + wait, case, 0, detail);
    }

    /// Ends the running offer on `last`; told only if that was not known.
    fn end_activation(&mut self, person: u32, week: i32, last: i32) {
        let activation = self.persons[person as usize].activation;
        self.persons[person as usize].activation.case = 0;
        if activation.case == 0 || (last >= activation.to && !activation.open) {
            return;
        }
        let detail = CaseDetail::Activation {
            from: activation.from,
            to: Some(last.min(activation.to).max(activation.from)),
            offer: activation.offer,
            hours_per_week: activation.hours_per_week,
        };
        let wait = self.random.i32(0..=5);
        self.push_case(person, week + wait, activation.case, 1, detail);
    }

    /// Closes what is open at the jobcentre, with the Sunday before `week` as the last day.
    pub(crate) fn close_case(&mut self, person: u32, week: i32, reason: &'static str) {
        let (last, state) = (week - 1, &self.persons[person as usize]);
        let (case, from, contact) = (state.registration, state.registration_from, state.contact);
        if case == 0 {
            return;
        }
        self.end_activation(person, week, last);
        if contact.case != 0 && self.percent(50) {
            // The last interview is held as a farewell.
            let detail = CaseDetail::Contact { due: contact.due, held: Some(last), form: contact.form };
            self.push_case(person, week, contact.case, 1, detail);
        }
        self.persons[person as usize].contact.case = 0;
        self.persons[person as usize].registration = 0;
        let closed = |to: i32| CaseDetail::Registration { from, to: Some(to.max(from)), reason };
        let filed = week + self.random.i32(0..=7);
        self.push_case(person, filed, case, 1, closed(last));
        if self.per_10_000(150) {
            let shift = self.random.i32(-14..=7);
            if let Some(days) = self.long_delay(filed) {
                self.push_case(person, filed + days, case, 2, closed(last + shift));
            }
        }
    }

    /// Tells where a person comes from, once.
    pub(crate) fn tell_origin(&mut self, person: u32, week: i32, area: usize) {
        let wait = self.random.i32(1..=5);
        let state = &self.persons[person as usize];
        let from = match state.origin {
            0 => state.who.birth,
            // Came some time between birth and the start of the simulation.
            _ => state.who.birth + self.random.i32(0..(self.first - state.who.birth).max(1)),
        };
        let (origin, number) = (ORIGINS[usize::from(state.origin)].0, u64::from(person) + 1);
        let record = OriginRecord { who: state.who, number, origin, from };
        self.outbox.push(working_day(week + wait), System::Origin, area, Record::Origin(record));
    }
}
