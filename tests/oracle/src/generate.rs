//! Seeded histories with everything in them that is easily counted wrong, in an arbitrary order of arrival.
//!
//! Guarantees: the same seed gives the same rows; two rows of one identity and revision are equal (duplicates are
//! exact); no row of a ledger shares an identity with a record; payments are at most 366 days long; every date lies
//! within the options' days but for open ends. Identities repeat on purpose between persons and between topics.

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use fastrand::Rng;
use rettidig_event::benefit::{self, BENEFITS};
use rettidig_event::person::kind;

use crate::calendar::{Day, Month, day_of, first_day_of, last_day_of, month_of};
use crate::row::{Row, from_batch, op, to_batch, topic};

const MICROS_OF_DAY: i64 = 86_400_000_000;

/// What the histories are made within.
#[derive(Debug, Clone)]
pub struct Options {
    /// First day that anything lies on.
    pub first_day: NaiveDate,
    /// Last day that anything lies on, but for open ends; an as-of date before it leaves rows in the future.
    pub last_day: NaiveDate,
    /// Municipalities that people live in.
    pub municipalities: Vec<i32>,
    /// Rows that arrive a second time, per cent.
    pub duplicate_percent: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_day: NaiveDate::from_ymd_opt(2023, 1, 1).unwrap_or_default(),
            last_day: NaiveDate::from_ymd_opt(2026, 10, 31).unwrap_or_default(),
            municipalities: vec![101, 147, 151, 461, 751, 860],
            duplicate_percent: 15,
        }
    }
}

/// Rows of `persons` persons, spread over all buckets, duplicates included, in an arbitrary order.
pub fn random_rows(seed: u64, persons: usize, options: &Options) -> RecordBatch {
    let mut rng = Rng::with_seed(seed);
    let turn = rng.usize(..1_024);
    let mut rows = Vec::new();
    for index in 0..persons {
        let bucket = u16::try_from((index * 1_024 / persons + turn) % 1_024).unwrap_or(0);
        let mut person: [u8; 16] = rng.u128(..).to_be_bytes();
        person[..2].copy_from_slice(&(bucket << 6 | rng.u16(..64)).to_be_bytes());
        // Told apart even if the random bytes should be equal.
        person[8..].copy_from_slice(&u64::try_from(index).unwrap_or(0).to_be_bytes());
        rows.extend(Writer::new(rng.fork(), person, options).history());
    }
    let again = rows.len() * options.duplicate_percent / 100;
    for _ in 0..again {
        rows.push(rows[rng.usize(..rows.len())].clone());
    }
    rng.shuffle(&mut rows);
    to_batch(&rows)
}

/// The same rows in another order of arrival.
pub fn shuffled(batch: &RecordBatch, seed: u64) -> RecordBatch {
    let mut rows = from_batch(batch);
    Rng::with_seed(seed).shuffle(&mut rows);
    to_batch(&rows)
}

/// Writes the history of one person.
struct Writer<'a> {
    rng: Rng,
    options: &'a Options,
    first: Day,
    last: Day,
    person: [u8; 16],
    birth_month: Option<Month>,
    sex: Option<i32>,
    rows: Vec<Row>,
    /// Identities used so far, by topic.
    ids: [u32; 3],
}

impl<'a> Writer<'a> {
    fn new(mut rng: Rng, person: [u8; 16], options: &'a Options) -> Self {
        let (first, last) = (day_of(options.first_day), day_of(options.last_day));
        // Most turn 25, 30, 50 or 60 within the days, so that every border of age is crossed.
        let year = *rng.choice(&[25, 30, 30, 50, 60]).unwrap_or(&30);
        let turning = rng.i32(month_of(first)..=month_of(last)) - year * 12;
        let birth_month = rng.choice([None, Some(turning), Some(turning), Some(turning)]).flatten();
        let sex = rng.choice([None, Some(1), Some(2), Some(2), Some(1)]).flatten();
        Self { rng, options, first, last, person, birth_month, sex, rows: Vec::new(), ids: [0; 3] }
    }

    fn history(mut self) -> Vec<Row> {
        let years = (self.last - self.first) / 365 + 1;
        for _ in 0..self.rng.i32(1..=2 + years) {
            let benefit = self.benefit();
            let start = self.day();
            match self.rng.u32(..9) {
                0 => self.ledger_of_months(benefit, start),
                1 => self.ledger_of_weeks(benefit, start),
                2 => self.record(benefit, start),
                3 => self.calendar_gap(benefit, start),
                4 => self.days_apart(start),
                5 => self.two_municipalities(benefit, start),
                6 => self.relapse(benefit, start),
                7 => self.long(benefit, start),
                _ => self.around_the_ends(benefit),
            }
        }
        for _ in 0..self.rng.i32(0..=years) {
            let start = self.day();
            match self.rng.u32(..5) {
                0 => self.activation(start),
                1 => self.contact(start),
                2 => self.language_test(start),
                3 => self.origin(start),
                _ => self.registration(start),
            }
        }
        self.wages();
        if self.rows.is_empty() {
            let start = self.day();
            self.registration(start);
        }
        self.rows
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.rng.u32(..one_in) == 0
    }

    fn day(&mut self) -> Day {
        self.rng.i32(self.first..=self.last)
    }

    /// Few benefits, so that the same one comes again; sickness often, as its spells split easily.
    fn benefit(&mut self) -> i32 {
        let favourites = ["cash", "sickness", "unemployment", "sickness", "early_retirement"];
        if self.chance(4) {
            return BENEFITS[self.rng.usize(..BENEFITS.len())].1;
        }
        let code = favourites[self.rng.usize(..favourites.len())];
        benefit::number_of(code).unwrap_or(1)
    }

    fn municipality(&mut self) -> i32 {
        self.options.municipalities[self.rng.usize(..self.options.municipalities.len())]
    }

    fn amount(&mut self) -> i64 {
        match self.rng.u32(..12) {
            0 => 0,
            1 => 1,
            2 => -self.rng.i64(1..1_000),
            _ => self.rng.i64(1..2_000_000),
        }
    }

    /// A row with what all rows have. Instants are whole weeks, so that many are equal.
    fn row(&mut self, topic: i32, op: i32) -> Row {
        let at = usize::try_from(topic).unwrap_or(0);
        let sources: &[&str] = match topic {
            topic::PAYMENTS => &["yr-101", "yr-147", "ky-101"],
            topic::CASES => &["amanda-101", "amanda-147", "yr-101"],
            _ => &["income-a", "income-b"],
        };
        let source = sources[self.rng.usize(..sources.len())];
        let number = self.ids[at];
        self.ids[at] += 1;
        let style = if op == op::ADD { 'l' } else { 'r' };
        let mut row = Row {
            person: self.person,
            topic,
            source: source.to_owned(),
            id: format!("{style}{number}"),
            op,
            municipality: self.municipality(),
            ..Row::default()
        };
        self.record_again(&mut row);
        row
    }

    /// Another instant and another view of the person.
    fn record_again(&mut self, row: &mut Row) {
        let week = self.rng.i32(self.first / 7..=self.last / 7 + 4);
        row.recorded_at = i64::from(week * 7) * MICROS_OF_DAY + i64::from(self.chance(5));
        row.birth_month = match self.rng.u32(..12) {
            0..4 => None,
            4 => self.birth_month.map(|birth| birth + self.rng.i32(-1..=1)),
            _ => self.birth_month,
        };
        row.sex = match self.rng.u32(..12) {
            0..4 => None,
            4 => self.sex.map(|sex| 3 - sex),
            _ => self.sex,
        };
        // A case that shares source and id with a payment says nothing of the person: which of the two rows is
        // the latest, no ruling says.
        if row.topic == topic::CASES && row.source == "yr-101" {
            row.birth_month = None;
            row.sex = None;
        }
    }

    /// A payment within the days of the options; none if it lies outside.
    fn payment(&mut self, op: i32, benefit: i32, from: Day, to: Day, amount_oere: i64) -> Option<Row> {
        let (from, to) = (from.max(self.first), to.min(self.last).min(from + 365));
        (from <= to).then(|| Row {
            kind: kind::PAYMENT,
            benefit: Some(benefit),
            from_day: Some(from),
            to_day: Some(to),
            amount_oere: Some(amount_oere),
            refund_oere: Some(amount_oere * self.rng.i64(0..=80) / 100 - i64::from(self.chance(6))),
            minutes: self.chance(2).then_some(9_620),
            ..self.row(topic::PAYMENTS, op)
        })
    }

    /// Paid for certain, in one of the two styles.
    fn paid(&mut self, benefit: i32, from: Day, to: Day) {
        let amount = self.rng.i64(1..900_001);
        let style = if self.chance(2) { op::ADD } else { op::UPSERT };
        let row = self.payment(style, benefit, from, to, amount);
        self.rows.extend(row);
    }

    /// A row of the ledger, and what may come of it: a retraction (net zero), one that takes too much, one of a part,
    /// one more payment. Any of them may stand in another municipality and may have been recorded first.
    fn ledger(&mut self, benefit: i32, from: Day, to: Day) {
        let amount = self.amount();
        let first = self.payment(op::ADD, benefit, from, to, amount);
        self.rows.extend(first.clone());
        let corrections = match self.rng.u32(..8) {
            0 => vec![-amount],
            1 => vec![-amount - 1],
            2 => vec![-amount / 2, -amount / 3],
            3 => vec![-amount, amount],
            4 => vec![self.amount()],
            _ => Vec::new(),
        };
        for correction in corrections {
            let mut row = self.payment(op::ADD, benefit, from, to, correction);
            if let (Some(row), Some(first)) = (&mut row, &first)
                && self.chance(2)
            {
                row.municipality = first.municipality;
                row.recorded_at = first.recorded_at;
            }
            self.rows.extend(row);
        }
    }

    fn ledger_of_months(&mut self, benefit: i32, start: Day) {
        let mut month = month_of(start);
        for _ in 0..self.rng.i32(1..=14) {
            let (mut from, mut to) = (first_day_of(month), last_day_of(month));
            if self.chance(5) {
                from += self.rng.i32(0..=15);
                to -= self.rng.i32(0..=12);
            }
            self.ledger(benefit, from, to);
            month += self.rng.choice([1, 1, 1, 1, 1, 1, 2, 3]).unwrap_or(1);
        }
    }

    /// Weeks from Monday to Sunday, over the ends of months and years. 5 January 1970 was a Monday.
    fn ledger_of_weeks(&mut self, benefit: i32, start: Day) {
        let mut monday = start - (start - 4).rem_euclid(7);
        for _ in 0..self.rng.i32(1..=20) {
            self.ledger(benefit, monday, monday + 6);
            monday += 7 * self.rng.choice([1, 1, 1, 1, 1, 2, 5, 9]).unwrap_or(1);
        }
    }

    /// A record with several revisions, which move it, pay it otherwise, delete it or bring it back.
    fn record(&mut self, benefit: i32, start: Day) {
        let days = self.rng.i32(1..=200);
        let amount = self.amount();
        let Some(mut row) = self.payment(op::UPSERT, benefit, start, start + days, amount) else { return };
        self.revise(&mut row, |writer, row| {
            let to = writer.rng.i32(start..=start + 300).min(writer.last);
            let amount = writer.amount();
            row.to_day = Some(to);
            row.amount_oere = Some(amount);
            row.municipality = writer.municipality();
        });
    }

    /// Writes `row` with one to five revisions, a third of them deletions.
    fn revise(&mut self, row: &mut Row, change: impl Fn(&mut Self, &mut Row)) {
        for _ in 0..self.rng.i32(1..=5) {
            self.record_again(row);
            if self.chance(4) {
                // A deletion needs no more than its identity.
                let kind = match row.topic {
                    topic::PAYMENTS => kind::PAYMENT,
                    topic::CASES => kind::REGISTRATION,
                    _ => kind::INCOME,
                };
                self.rows.push(Row {
                    op: op::DELETE,
                    kind,
                    benefit: None,
                    from_day: None,
                    to_day: None,
                    minutes: None,
                    amount_oere: None,
                    refund_oere: None,
                    detail: None,
                    passed: None,
                    school: None,
                    ..row.clone()
                });
            } else {
                self.rows.push(row.clone());
            }
            row.revision += self.rng.i64(1..=3);
            change(self, row);
        }
    }

    /// A pause of exactly one calendar month, and of a day less.
    fn calendar_gap(&mut self, benefit: i32, start: Day) {
        let month = month_of(start);
        let end = self.rng.choice([start, first_day_of(month), last_day_of(month)]).unwrap_or(start);
        let back = [
            first_day_of(month + 2),
            last_day_of(month + 1),
            first_day_of(month + 2) + 3,
            last_day_of(month + 2),
        ];
        let back = back[self.rng.usize(..back.len())];
        let (before, after) = (self.rng.i32(0..=70), self.rng.i32(0..=70));
        self.paid(benefit, end - before, end);
        self.paid(benefit, back, back + after);
    }

    /// Sickness in pieces that touch, overlap, or lie one or two days apart.
    fn days_apart(&mut self, start: Day) {
        let sickness = benefit::number_of("sickness").unwrap_or(5);
        let mut from = start;
        for _ in 0..self.rng.i32(2..=8) {
            let to = from + self.rng.i32(0..=60);
            self.paid(sickness, from, to);
            from = to + self.rng.choice([0, 1, 1, 2, 2, 3]).unwrap_or(1);
        }
    }

    /// Two municipalities pay the same days, or partly the same, some recorded at the same instant.
    fn two_municipalities(&mut self, benefit: i32, start: Day) {
        let days = self.rng.i32(5..=120);
        let style = if self.chance(2) { op::ADD } else { op::UPSERT };
        let shift = self.rng.choice([0, 0, 1, days / 2, days, -days / 2]).unwrap_or(0);
        let Some(one) = self.payment(style, benefit, start, start + days, 1_000_003) else { return };
        let other = self.payment(style, benefit, start + shift, start + shift + days, 777_777);
        if let Some(mut other) = other {
            if self.chance(2) {
                other.recorded_at = one.recorded_at;
            }
            self.rows.push(other);
        }
        self.rows.push(one);
    }

    /// The same benefit again after about 26 or 52 weeks.
    fn relapse(&mut self, benefit: i32, start: Day) {
        let days = self.rng.i32(0..=90);
        let weeks = self.rng.choice([26, 52]).unwrap_or(26);
        let again = start + days + weeks * 7 + self.rng.i32(-1..=1);
        self.paid(benefit, start, start + days);
        self.paid(benefit, again, again + days);
    }

    /// Year after year.
    fn long(&mut self, benefit: i32, start: Day) {
        let mut from = start;
        for _ in 0..self.rng.i32(1..=3) {
            let to = from + self.rng.i32(150..=365);
            self.paid(benefit, from, to);
            from = to + 1;
        }
    }

    /// The last days of February and of December.
    fn around_the_ends(&mut self, benefit: i32) {
        let month = month_of(self.day());
        let month = month.div_euclid(12) * 12 + self.rng.choice([2, 2, 12]).unwrap_or(2);
        let end = first_day_of(month);
        let (before, after) = (self.rng.i32(0..=3), self.rng.i32(-2..=3));
        self.ledger(benefit, end - before, end + after.max(-before));
    }

    fn activation(&mut self, start: Day) {
        let end = start + self.rng.i32(0..=120);
        let to = self.chance(3).then_some(end);
        let row = self.row(topic::CASES, op::UPSERT);
        let mut row = Row {
            kind: kind::ACTIVATION,
            from_day: Some(start),
            to_day: to,
            minutes: Some(600),
            detail: Some("job_training".to_owned()),
            ..row
        };
        self.revise(&mut row, |writer, row| {
            let end = start + writer.rng.i32(0..=300);
            row.to_day = (!writer.chance(4)).then_some(end);
        });
    }

    fn contact(&mut self, due: Day) {
        let row = self.row(topic::CASES, op::UPSERT);
        let mut row =
            Row { kind: kind::CONTACT, from_day: Some(due), detail: Some("meeting".to_owned()), ..row };
        self.revise(&mut row, |writer, row| {
            let due = (due + writer.rng.i32(-31..=31)).clamp(writer.first, writer.last);
            let held = due + writer.rng.i32(-2..=2);
            row.from_day = Some(due);
            row.to_day = (!writer.chance(4)).then_some(held);
        });
    }

    /// One of two, or not told.
    fn school(&mut self) -> Option<String> {
        let number = self.rng.u32(..3);
        (number > 0).then(|| format!("school-{number}"))
    }

    fn language_test(&mut self, on: Day) {
        let row = self.row(topic::CASES, op::UPSERT);
        let mut row = Row {
            kind: kind::LANGUAGE_TEST,
            from_day: Some(on),
            detail: Some("pd2".to_owned()),
            passed: Some(false),
            school: self.school(),
            ..row
        };
        self.revise(&mut row, |writer, row| {
            row.passed = Some(writer.chance(2));
            row.school = writer.school();
        });
    }

    /// One origin and perhaps another one since some later day, or since the same.
    fn origin(&mut self, start: Day) {
        for from in [start, start + self.rng.choice([0, 0, 31, 200]).unwrap_or(0)] {
            let detail = self.rng.choice(["danish", "western", "non_western"]).map(str::to_owned);
            let row = self.row(topic::CASES, op::UPSERT);
            let mut row = Row { kind: kind::ORIGIN, from_day: Some(from.min(self.last)), detail, ..row };
            self.revise(&mut row, |writer, row| {
                row.detail = writer.rng.choice(["danish", "western", "non_western"]).map(str::to_owned);
            });
        }
    }

    fn registration(&mut self, start: Day) {
        let row = self.row(topic::CASES, op::UPSERT);
        let mut row = Row { kind: kind::REGISTRATION, from_day: Some(start), to_day: None, ..row };
        self.revise(&mut row, |_, row| row.to_day = Some(start));
    }

    /// Some months with wages, with nothing, with wages taken back, with revisions and deletions.
    fn wages(&mut self) {
        let Some(start) =
            self.rng.choice([None, Some(month_of(self.first)), Some(month_of(self.last) - 24)]).flatten()
        else {
            return;
        };
        for month in start.max(month_of(self.first))..=month_of(self.last) {
            let wage = self.rng.choice([0, 1, 2_500_000]).unwrap_or(0);
            let style = if self.chance(2) { op::ADD } else { op::UPSERT };
            let row = self.row(topic::INCOME, style);
            let mut row = Row {
                kind: kind::INCOME,
                from_day: Some(first_day_of(month)),
                to_day: Some(last_day_of(month)),
                minutes: Some(9_620),
                amount_oere: Some(wage),
                ..row
            };
            match (self.rng.u32(..4), style) {
                (0 | 1, _) => {}
                (2, op::UPSERT) => self.revise(&mut row, |writer, row| {
                    row.amount_oere = writer.rng.choice([0, 3_000_001]);
                }),
                (2, _) => {
                    let back = Row { amount_oere: Some(-wage), ..self.row(topic::INCOME, op::ADD) };
                    let back = Row {
                        kind: kind::INCOME,
                        from_day: row.from_day,
                        to_day: row.to_day,
                        minutes: Some(0),
                        ..back
                    };
                    self.rows.extend([back, row]);
                }
                _ => self.rows.push(row),
            }
        }
    }
}
