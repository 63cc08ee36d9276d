//! Payment events by the hundred million, for load tests.
//!
//! Every row is a function of the seed and its number, so nothing is kept but a table of persons (24 bytes
//! each), and any range of rows can be written by anybody in any order. Of the rows 3 % are corrections (two
//! negative rows with replacement for one retraction) and 0.5 % the same row again. A permutation of all row numbers
//! is the order of arrival: neighbours are years and persons apart, which no window puts in order.
//!
//! A person has 125 weekly rows in up to three spells, fewer if the months are few. Weekly ledger rows (YR) only.

use std::io::{self, Write};
use std::ops::Range;

use rettidig_event::municipality::MUNICIPALITIES;

use crate::SimulationOptions;
use crate::benefit::Benefit;
use crate::file::Pseudonym;
use crate::identity::Identities;
use crate::random::{Permutation, below, hash, mix};
use crate::reality::{AREAS, weights};
use crate::text::{
    day_number, monday_of, month_of, month_start, push_date, push_hex, push_integer, push_month,
    push_unsigned,
};

/// Weekly rows of a person.
const ROWS_PER_PERSON: u64 = 125;

/// What a workload consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadSummary {
    /// All rows: originals, corrections, duplicates.
    pub rows: u64,
    /// Negative rows and replacements.
    pub corrections: u64,
    /// Rows that are there twice, word by word.
    pub duplicates: u64,
    /// Persons.
    pub persons: u64,
    /// Bytes written.
    pub bytes: u64,
}

#[derive(Debug, Clone)]
struct Person {
    pseudonym: [u8; 16],
    birth_month: i16,
    male: bool,
    area: u8,
}

/// The texts of a week.
#[derive(Debug)]
struct Week {
    /// `"from":"…","to":"…"` of the week.
    interval: Vec<u8>,
    /// Sequence and date in the file's name, by the municipality's day of delivery.
    file: [Vec<u8>; 3],
    /// The file's date.
    date: [Vec<u8>; 3],
    /// Before the reform of 1 July 2025.
    has_education_help: bool,
}

/// A workload, ready to be written in any pieces.
#[derive(Debug)]
pub struct PaymentsWorkload {
    seed: u64,
    originals: u64,
    corrections: u64,
    rows: u64,
    rows_per_person: u64,
    order: Permutation,
    corrected: Permutation,
    repeated: Permutation,
    persons: Vec<Person>,
    weeks: Vec<Week>,
    /// `{"source":"yr-…","id":"yr-…-…-` of a municipality.
    starts: Vec<Vec<u8>>,
}

impl PaymentsWorkload {
    /// Prepares a workload of `rows`. Of the options, `seed`, `months` and `end` count.
    pub fn new(options: &SimulationOptions, rows: u64, pseudonym: Pseudonym<'_>) -> Self {
        let end = day_number(options.end);
        let first = monday_of(month_start(month_of(end) - options.months.max(6) as i32 + 1));
        // The last week's file is made by the end.
        let count = ((end - 10 - first) / 7).max(8) as u64;
        let rows_per_person = ROWS_PER_PERSON.min(count / 2);
        let corrections = rows * 3 / 100 / 5 * 5;
        let originals = rows - corrections - rows / 200;
        let persons = originals.div_ceil(rows_per_person);
        let years = |years: i32| years * 365 + years / 4;
        let (oldest, youngest) = (end - years(66), first - years(18));
        let identities = Identities::new(oldest.min(youngest - 365), youngest, options.seed);
        let mut reach = 0.0;
        let reaches: Vec<f64> = weights()
            .iter()
            .map(|weight| {
                reach += weight;
                reach
            })
            .collect();
        let seed = options.seed;
        let person = |number: u64| {
            let identity = identities.get(number % identities.capacity());
            let draw = below(hash(seed, 10, number), 1 << 32) as f64 / (1_u64 << 32) as f64;
            let digits = identity.digits();
            Person {
                pseudonym: pseudonym(std::str::from_utf8(&digits).unwrap_or_default()),
                birth_month: month_of(identity.birth) as i16,
                male: identity.is_male(),
                area: reaches.partition_point(|reach| *reach < draw).min(AREAS - 1) as u8,
            }
        };
        Self {
            seed,
            originals,
            corrections,
            rows,
            rows_per_person,
            order: Permutation::new(rows.max(1), hash(seed, 11, 0)),
            corrected: Permutation::new(originals.max(1), hash(seed, 12, 0)),
            repeated: Permutation::new((originals + corrections).max(1), hash(seed, 13, 0)),
            persons: (0..persons).map(person).collect(),
            weeks: (0..count as i32).map(|index| week(first, index)).collect(),
            starts: MUNICIPALITIES.iter().map(|(code, _)| start(*code)).collect(),
        }
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends the rows of a range of positions in the order of arrival, one JSON object a line. Positions at
    /// or past [`PaymentsWorkload::rows`] have none.
    pub fn write_rows(&self, positions: Range<u64>, out: &mut Vec<u8>) {
        for position in positions.start..positions.end.min(self.rows) {
            let mut row = self.order.at(position);
            let ledger = self.originals + self.corrections;
            if row >= ledger {
                row = self.repeated.at(row - ledger);
            }
            match row.checked_sub(self.originals) {
                None => self.write_row(row, None, out),
                Some(correction) => {
                    // Five rows correct three others: minus and plus, minus and plus, minus.
                    let (group, part) = (correction / 5, correction % 5);
                    let target = self.corrected.at(group * 3 + part / 2);
                    self.write_row(target, Some(part % 2 == 1), out);
                }
            }
        }
    }

    /// Writes an original row, or its negative (`Some(false)`) or replacement (`Some(true)`).
    fn write_row(&self, original: u64, replaces: Option<bool>, out: &mut Vec<u8>) {
        let (number, turn) = (original / self.rows_per_person, original % self.rows_per_person);
        let person = &self.persons[number as usize];
        let life = hash(self.seed, 14, number);
        // Up to three spells: two gaps after turns of their own share the weeks that are not used.
        let weeks = self.weeks.len() as u64;
        let slack = weeks - 1 - self.rows_per_person;
        let cut = |shift: u32| 1 + ((life >> shift) & 0xff) * self.rows_per_person / 512;
        let gap = |shift: u32, share: u64| ((life >> shift) & 0xff) * (slack / share) / 256;
        let (first_cut, second_cut) = (cut(0), cut(0) + cut(8));
        let spell = u64::from(turn >= first_cut) + u64::from(turn >= second_cut);
        let mut index = turn + gap(16, 2);
        index += if spell > 0 { gap(24, 4) } else { 0 };
        index += if spell > 1 { gap(32, 4) } else { 0 };
        let week = &self.weeks[index as usize];
        let moved = spell == 2 && (life >> 56) < 20;
        let area = if moved { ((life >> 40) % AREAS as u64) as usize } else { usize::from(person.area) };

        let draw = mix(life ^ turn);
        let benefit = match (life >> 48).wrapping_add(spell * 90) & 0xff {
            0..140 => Benefit::Unemployment,
            140..170 if week.has_education_help => Benefit::EducationHelp,
            _ => Benefit::Cash,
        };
        let full = benefit.week_oere() * (80 + (life >> 59) as i64 % 21) / 100;
        let paid =
            |draw: u64| if draw & 15 == 0 { full * (30 + (draw >> 4 & 63) as i64) / 100 } else { full };
        let rate = match turn {
            0..4 => 80,
            4..26 => 40,
            26..52 => 30,
            _ => 20,
        };
        let (amount, filed, line) = match replaces {
            None => (paid(draw), index, 2 + number),
            Some(replacement) => {
                let filed = self.correction_week(index, mix(draw));
                let line = 2 + self.persons.len() as u64 + (number * 128 + turn) * 2;
                let amount = paid(draw);
                if replacement {
                    (amount * (40 + (draw >> 20) as i64 % 75) / 100, filed, line + 1)
                } else {
                    (-amount, filed, line)
                }
            }
        };
        let file = &self.weeks[filed as usize];
        out.extend_from_slice(&self.starts[area]);
        out.extend_from_slice(&file.file[area % 3]);
        push_unsigned(out, line);
        out.extend_from_slice(br#"","op":"add","revision":0,"recorded_at":""#);
        out.extend_from_slice(&file.date[area % 3]);
        out.extend_from_slice(br#"T00:00:00Z","person":""#);
        push_hex(out, &person.pseudonym);
        out.extend_from_slice(br#"","birth":""#);
        push_month(out, i32::from(person.birth_month));
        out.extend_from_slice(if person.male {
            br#"","sex":"male","municipality":"#.as_slice()
        } else {
            br#"","sex":"female","municipality":"#
        });
        push_integer(out, i64::from(MUNICIPALITIES[area].0));
        out.extend_from_slice(br#","benefit":""#);
        out.extend_from_slice(benefit.code().as_bytes());
        out.extend_from_slice(&week.interval);
        push_integer(out, amount);
        out.extend_from_slice(br#","refund_oere":"#);
        push_integer(out, amount * rate / 100);
        out.extend_from_slice(b"}\n");
    }

    /// In which week's file a correction stands: mostly weeks later, some within a year, a tail to eight years.
    fn correction_week(&self, week: u64, draw: u64) -> u64 {
        let weeks = match draw & 0xff {
            0..168 => 1 + below(mix(draw), 12),
            168..225 => 9 + below(mix(draw), 43),
            _ => 52 + below(mix(draw), 364),
        };
        let last = self.weeks.len() as u64 - 1;
        if week + weeks <= last { week + weeks } else { week + 1 + below(mix(draw ^ 1), last - week) }
    }
}

fn start(code: i32) -> Vec<u8> {
    format!(r#"{{"source":"yr-{code}","id":"yr-ydelsesrefusion-beregning-{code:03}-"#).into_bytes()
}

fn week(first: i32, index: i32) -> Week {
    let monday = first + 7 * index;
    let mut interval = br#"","from":""#.to_vec();
    push_date(&mut interval, monday);
    interval.extend_from_slice(br#"","to":""#);
    push_date(&mut interval, monday + 6);
    interval.extend_from_slice(br#"","minutes":null,"amount_oere":"#);
    let date = [8, 9, 10].map(|days| {
        let mut text = Vec::new();
        push_date(&mut text, monday + days);
        text
    });
    let file = [0, 1, 2].map(|day: usize| {
        let mut text = format!("{:04}-", index + 1).into_bytes();
        text.extend_from_slice(&date[day]);
        text.extend_from_slice(b".csv:");
        text
    });
    // 2025-06-30 is the last day of education_help.
    Week { interval, file, date, has_education_help: monday + 6 <= 20_269 }
}

/// Writes a whole workload of `rows` payment events, one JSON object a line, in order of arrival.
pub fn payments_workload(
    options: &SimulationOptions,
    rows: u64,
    pseudonym: Pseudonym<'_>,
    writer: &mut dyn Write,
) -> io::Result<WorkloadSummary> {
    let workload = PaymentsWorkload::new(options, rows, pseudonym);
    let mut buffer = Vec::with_capacity(4 << 20);
    let mut bytes = 0;
    let mut position = 0;
    while position < rows {
        buffer.clear();
        workload.write_rows(position..position + 8192, &mut buffer);
        writer.write_all(&buffer)?;
        bytes += buffer.len() as u64;
        position += 8192;
    }
    writer.flush()?;
    let duplicates = rows - workload.originals - workload.corrections;
    let persons = workload.persons.len() as u64;
    Ok(WorkloadSummary { rows, corrections: workload.corrections, duplicates, persons, bytes })
}
