//! The life of the persons, a week at a time: who enters, leaves, moves, falls ill and comes back.
//!
//! Each municipality and benefit group has a number of places that follows the real level of the month
//! ([`crate::reality`]), scaled to the persons there are. Persons leave their place by hazard; free places are
//! taken by those who come back, then by persons without benefit, preferably ones who left lately (relapse).
//! One generator is used in one fixed order, so a seed means one life. What the persons' weeks leave behind in
//! the source systems is in [`crate::payments`], [`crate::cases`] and [`crate::wages`].

use crate::SimulationOptions;
use crate::benefit::{Benefit, CASH_FAMILY, EARLY_RETIREMENT, GROUPS, Group, SICKNESS, UNEMPLOYMENT};
use crate::file::Outbox;
use crate::identity::Identities;
use crate::person::{IDLE, NEVER, NON_WESTERN, ORIGINS, Person};
use crate::random::{below, hash};
use crate::reality::{AREAS, Series, level, weights};
use crate::text::{day_number, monday_of, month_of, month_start};

/// Share of the persons who are on a benefit in the month with most of them.
const SHARE_ON_BENEFIT: f64 = 0.45;

/// The Monday from which `education_help` and `start_help` are cash benefit: 30 June 2025, their last day.
const REFORM_WEEK: i32 = 20_269;

/// Persons and what is still on its way.
pub(crate) struct World {
    pub random: fastrand::Rng,
    pub persons: Vec<Person>,
    pub outbox: Outbox,
    /// The first Monday.
    pub first: i32,
    /// The last day on which anything arrives; corrections are drawn to arrive by then.
    pub last_arrival: i32,
    /// Simulated per real full-time person.
    pub scale: f64,
    pub next_case: u64,
    pub next_period: u64,
    pub next_report: u64,
    /// Persons by municipality and group.
    stock: Vec<Vec<u32>>,
    /// Persons without benefit, by municipality; those who left last stand last.
    idle: Vec<Vec<u32>>,
    /// Persons who take a place next, by municipality and group.
    returning: Vec<Vec<u32>>,
    /// Left in this week; idle from the next.
    leavers: Vec<u32>,
    weights: Vec<f64>,
    phases: Vec<f64>,
}

fn place(area: usize, group: usize) -> usize {
    area * GROUPS.len() + group
}

/// Real full-time persons of a group in a month.
fn real_level(weights: &[f64], area: usize, group: usize, month: i32) -> f64 {
    match GROUPS[group] {
        Group::Unemployment => level(Series::Unemployment, area, month),
        Group::CashFamily => level(Series::Cash, area, month),
        single => single.stock() * weights[area],
    }
}

impl World {
    pub(crate) fn new(options: &SimulationOptions) -> Self {
        let end = day_number(options.end);
        let last_month = month_of(end);
        let first_month = last_month - options.months.max(1) as i32 + 1;
        let first = monday_of(month_start(first_month));
        let weights = weights();
        let total = |month: i32| -> f64 {
            let one = |index: usize| real_level(&weights, index / GROUPS.len(), index % GROUPS.len(), month);
            (0..AREAS * GROUPS.len()).map(one).sum()
        };
        let most = (first_month..=last_month).map(total).fold(1.0, f64::max);
        let years = |years: i32| years * 365 + years / 4;
        // Of working age throughout; at least one birth year, however long the simulation.
        let (oldest, youngest) = (end - years(66), first - years(18));
        let identities = Identities::new(oldest.min(youngest - 365), youngest, options.seed);
        let persons = options.persons.min(identities.capacity()).min(u64::from(u32::MAX)) as u32;
        let mut world = Self {
            random: fastrand::Rng::with_seed(hash(options.seed, 1, 0)),
            persons: Vec::with_capacity(persons as usize),
            outbox: Outbox::new(options.seed, options.empty_files),
            first,
            last_arrival: end + options.runoff_days as i32,
            scale: f64::from(persons) * SHARE_ON_BENEFIT / most,
            next_case: 1_000_000,
            next_period: 0,
            next_report: 100_000_000,
            stock: vec![Vec::new(); AREAS * GROUPS.len()],
            idle: vec![Vec::new(); AREAS],
            returning: vec![Vec::new(); AREAS * GROUPS.len()],
            leavers: Vec::new(),
            phases: (0..AREAS * GROUPS.len())
                .map(|index| {
                    below(hash(options.seed, 2, index as u64), 1 << 32) as f64 / (1_u64 << 32) as f64
                })
                .collect(),
            weights,
        };
        world.settle(persons, &identities);
        world
    }

    /// Gives every person a municipality, in proportion, and most of them a job.
    fn settle(&mut self, persons: u32, identities: &Identities) {
        let (mut area, mut reached) = (0, self.weights[0]);
        for number in 0..persons {
            while (f64::from(number) + 0.5) / f64::from(persons) > reached && area + 1 < AREAS {
                area += 1;
                reached += self.weights[area];
            }
            let draw = self.random.u64(..100);
            let origin = match draw {
                _ if draw < ORIGINS[0].1 => 0,
                _ if draw < ORIGINS[0].1 + ORIGINS[1].1 => 1,
                _ => NON_WESTERN,
            };
            let (factor, wage) = (self.random.u8(80..=100), 1_000 * self.random.i32(21..46));
            let mut person = Person::new(identities.get(u64::from(number)), area as u8, origin, factor, wage);
            if self.percent(70) {
                person.employed_since = self.first;
            }
            self.persons.push(person);
            self.idle[area].push(number);
        }
        for idle in &mut self.idle {
            self.random.shuffle(idle);
        }
    }

    /// True in `share` of 100 draws.
    pub(crate) fn percent(&mut self, share: u32) -> bool {
        self.random.u32(..100) < share
    }

    /// True in `share` of 10,000 draws.
    pub(crate) fn per_10_000(&mut self, share: u64) -> bool {
        self.random.u64(..10_000) < share
    }

    /// Lives the week that starts on Monday `week`.
    pub(crate) fn live(&mut self, week: i32) {
        if month_of(week) != month_of(week - 7) && week > self.first {
            self.pay_wages(week);
            self.move_house(week);
        }
        self.exits(week);
        for area in 0..AREAS {
            for group in 0..GROUPS.len() {
                self.fill(week, area, group);
            }
        }
        for person in std::mem::take(&mut self.leavers) {
            let area = usize::from(self.persons[person as usize].area);
            self.idle[area].push(person);
        }
        for index in 0..self.stock.len() {
            let members = std::mem::take(&mut self.stock[index]);
            for &person in &members {
                self.spend_week(person, week);
            }
            self.stock[index] = members;
        }
    }

    /// A week on a benefit.
    fn spend_week(&mut self, person: u32, week: i32) {
        let state = &mut self.persons[person as usize];
        if matches!(state.benefit, Benefit::EducationHelp | Benefit::StartHelp) {
            let grown = state.benefit == Benefit::EducationHelp && state.who.age(week) >= 30;
            if week >= REFORM_WEEK || grown {
                state.benefit = Benefit::Cash;
            }
        }
        if GROUPS[usize::from(state.group)].is_ky() {
            self.keep_period(person, week);
        } else {
            self.pay_week(person, week);
        }
        if usize::from(self.persons[person as usize].group) >= UNEMPLOYMENT {
            self.keep_case(person, week);
        }
    }

    /// Those whose time on the benefit ends before `week`.
    fn exits(&mut self, week: i32) {
        for index in 0..self.stock.len() {
            let group = GROUPS[index % GROUPS.len()];
            let mut members = std::mem::take(&mut self.stock[index]);
            members.retain(|&person| {
                let weeks = (week - self.persons[person as usize].since) / 7;
                let leaves = self.per_10_000(group.exit_hazard(weeks));
                if leaves {
                    self.leave(person, week);
                }
                !leaves
            });
            self.stock[index] = members;
        }
    }

    /// Ends a person's benefit: in a week system with the Sunday before `week`, else around it.
    fn leave(&mut self, person: u32, week: i32) {
        let group = usize::from(self.persons[person as usize].group);
        let reason =
            *self.random.choice(["job", "påbegyndt uddannelse", "øvrige årsager"].iter()).unwrap_or(&"");
        self.stop(person, week, reason);
        let chance = match GROUPS[group] {
            Group::Unemployment => 68,
            Group::CashFamily => 32,
            Group::Single(Benefit::Sickness) => 55,
            Group::Single(Benefit::UnemploymentFlex) => 50,
            Group::Single(Benefit::EarlyPension | Benefit::EarlyRetirement) => 0,
            Group::Single(_) => 18,
        };
        let back = self.percent(75);
        let employed = self.percent(chance);
        let state = &mut self.persons[person as usize];
        let returns_to = std::mem::replace(&mut state.returns_to, IDLE);
        if returns_to != IDLE && back {
            self.returning[place(usize::from(state.area), usize::from(returns_to))].push(person);
        } else {
            state.employed_since = if employed { week } else { NEVER };
            self.leavers.push(person);
        }
    }

    /// Closes what runs on a person's benefit.
    fn stop(&mut self, person: u32, week: i32, reason: &'static str) {
        let group = usize::from(self.persons[person as usize].group);
        if GROUPS[group].is_ky() {
            self.end_period(person, week);
        }
        self.close_case(person, week, reason);
        self.persons[person as usize].group = IDLE;
    }

    /// Places of a municipality and group in a week: the days' mean level, rounded by a phase of its own so
    /// that the rounding does not add up over municipalities.
    fn places(&self, week: i32, area: usize, group: usize) -> usize {
        let (first, last) = (month_of(week), month_of(week + 6));
        let level = |month| real_level(&self.weights, area, group, month);
        let days_after = if first == last { 0 } else { week + 7 - month_start(last) };
        let mean = (level(first) * f64::from(7 - days_after) + level(last) * f64::from(days_after)) / 7.0;
        (mean * self.scale + self.phases[place(area, group)]).floor() as usize
    }

    /// Brings a municipality's group to its number of places.
    fn fill(&mut self, week: i32, area: usize, group: usize) {
        let index = place(area, group);
        let places = self.places(week, area, group);
        for person in std::mem::take(&mut self.returning[index]) {
            self.enter(person, week, area, group);
        }
        while self.stock[index].len() > places {
            let at = self.random.usize(..self.stock[index].len());
            let person = self.stock[index].swap_remove(at);
            self.leave(person, week);
        }
        while self.stock[index].len() < places {
            let person = if group == SICKNESS && self.percent(50) {
                self.fall_ill(week, area).or_else(|| self.draw_idle(week, area, group))
            } else {
                self.draw_idle(week, area, group)
            };
            let Some(person) = person else { return };
            self.enter(person, week, area, group);
        }
    }

    /// Somebody on unemployment or cash benefit who falls ill, and will come back.
    fn fall_ill(&mut self, week: i32, area: usize) -> Option<u32> {
        let group = if self.percent(70) { UNEMPLOYMENT } else { CASH_FAMILY };
        let members = &mut self.stock[place(area, group)];
        if members.is_empty() {
            return None;
        }
        let at = self.random.usize(..members.len());
        let person = members.swap_remove(at);
        self.stop(person, week, "sygdom");
        self.persons[person as usize].returns_to = group as u8;
        Some(person)
    }

    /// A person without benefit who may enter the group, from the municipality or else from another.
    fn draw_idle(&mut self, week: i32, area: usize, group: usize) -> Option<u32> {
        let mut from = area;
        for attempt in 0..40 {
            if self.idle[from].is_empty() || attempt == 30 {
                from = self.draw_area();
                continue;
            }
            let len = self.idle[from].len();
            let recent = (len / 8).max(1);
            let at = if self.percent(30) {
                len - 1 - self.random.usize(..recent)
            } else {
                self.random.usize(..len)
            };
            let person = self.idle[from][at];
            let age = self.persons[person as usize].who.age(week);
            if (group == EARLY_RETIREMENT && age < 60) || (group != EARLY_RETIREMENT && age > 64) {
                continue;
            }
            // Order is kept but for the one that takes the place: those who left last stay last.
            self.idle[from].swap_remove(at);
            self.persons[person as usize].area = area as u8;
            return Some(person);
        }
        None
    }

    /// A municipality by its weight.
    fn draw_area(&mut self) -> usize {
        let mut draw = self.random.f64();
        for (area, weight) in self.weights.iter().enumerate() {
            draw -= weight;
            if draw < 0.0 {
                return area;
            }
        }
        AREAS - 1
    }

    /// Gives a person a place.
    fn enter(&mut self, person: u32, week: i32, area: usize, group: usize) {
        let at_start = week == self.first;
        let history = if at_start { self.random.i32(0..80) } else { 0 };
        let (young, newcomer) = (self.percent(85), self.percent(40));
        let state = &mut self.persons[person as usize];
        state.group = group as u8;
        state.since = week - 7 * history;
        state.employed_since = NEVER;
        state.benefit = match GROUPS[group] {
            Group::Unemployment => Benefit::Unemployment,
            Group::Single(benefit) => benefit,
            Group::CashFamily if week >= REFORM_WEEK => Benefit::Cash,
            Group::CashFamily if newcomer && state.origin == NON_WESTERN => Benefit::StartHelp,
            Group::CashFamily if young && state.who.age(week) < 30 => Benefit::EducationHelp,
            Group::CashFamily => Benefit::Cash,
        };
        if !std::mem::replace(&mut state.known, true) {
            self.tell_origin(person, week, area);
        }
        if GROUPS[group].is_ky() {
            self.start_period(person, week);
        } else if group >= UNEMPLOYMENT {
            self.open_case(person, week);
        }
        self.stock[place(area, group)].push(person);
    }

    /// Once a month some persons move to another municipality. A benefit paid by the week moves with them.
    fn move_house(&mut self, week: i32) {
        let mut movers = Vec::new();
        for area in 0..AREAS {
            let mut idle = std::mem::take(&mut self.idle[area]);
            idle.retain(|&person| {
                let moves = self.per_10_000(40);
                if moves {
                    movers.push((person, IDLE));
                }
                !moves
            });
            self.idle[area] = idle;
            for group in (0..GROUPS.len()).filter(|group| !GROUPS[*group].is_ky()) {
                let mut members = std::mem::take(&mut self.stock[place(area, group)]);
                members.retain(|&person| {
                    let moves = self.per_10_000(40);
                    if moves {
                        movers.push((person, group as u8));
                    }
                    !moves
                });
                self.stock[place(area, group)] = members;
            }
        }
        for (person, group) in movers {
            let area = self.draw_area();
            if group == IDLE {
                self.persons[person as usize].area = area as u8;
                self.idle[area].push(person);
                continue;
            }
            self.close_case(person, week, "fraflytning");
            self.persons[person as usize].area = area as u8;
            if usize::from(group) >= UNEMPLOYMENT {
                self.open_case(person, week);
            }
            self.stock[place(area, usize::from(group))].push(person);
        }
    }

    /// How long after `from` something late happens, in days: mostly weeks, some within a year, a tail to
    /// eight years (2,920 days). `None` if that cannot be before the last arrival.
    pub(crate) fn long_delay(&mut self, from: i32) -> Option<i32> {
        let horizon = self.last_arrival - from;
        if horizon < 14 {
            return None;
        }
        for _ in 0..6 {
            let days = match self.random.u32(..100) {
                0..65 => 7 + self.random.i32(0..84),
                65..88 => self.random.i32(60..365),
                _ => self.random.i32(365..=2_900),
            };
            if days + 7 <= horizon {
                return Some(days);
            }
        }
        Some(self.random.i32(7..=horizon - 7))
    }

    pub(crate) fn new_case(&mut self) -> u64 {
        self.next_case += 1;
        self.next_case
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reform_week_is_the_monday_of_the_last_day() {
        assert_eq!(crate::text::date_of(REFORM_WEEK).to_string(), "2025-06-30");
        assert_eq!(monday_of(REFORM_WEEK), REFORM_WEEK);
    }
}
