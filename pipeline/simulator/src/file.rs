//! Files of the source systems, and when they arrive.
//!
//! A file is made on a day, and arrives on that day or (late, sent again) on another. The [`Outbox`] collects
//! records by the file they will stand in and hands the files out by the day they arrive; it holds what is not
//! yet due and nothing else.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rettidig_event::Topic;
use rettidig_event::municipality::MUNICIPALITIES;

use crate::random::{below, hash};
use crate::reality::AREAS;
use crate::record::Record;
use crate::text::{DAY_SECONDS, date_of, monday_of, month_of};
use crate::{event, format};

/// Maps the ten digits of a CPR number to the person's pseudonym.
pub type Pseudonym<'a> = &'a dyn Fn(&str) -> [u8; 16];

/// A system that delivers files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum System {
    /// Ydelsesrefusion: weekly ledger rows, CSV.
    Yr,
    /// Benefit periods, NDJSON.
    Ky,
    /// Registrations, contacts, activation.
    Amanda,
    /// Monthly wages, CSV.
    Income,
    /// Language tests; no source format exists, the file holds canonical events.
    Language,
    /// Origin; no source format exists, the file holds canonical events.
    Origin,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Yr, Self::Ky, Self::Amanda, Self::Income, Self::Language, Self::Origin];

    /// The first part of the event's `source`, before `-<municipality>`; also the folder of its files.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Yr => "yr",
            Self::Ky => "ky",
            Self::Amanda => "amanda",
            Self::Income => "income",
            Self::Language => "sprog",
            Self::Origin => "cpr",
        }
    }

    /// The topic its events travel on.
    pub fn topic(self) -> Topic {
        match self {
            Self::Yr | Self::Ky => Topic::Payments,
            Self::Amanda | Self::Language | Self::Origin => Topic::Cases,
            Self::Income => Topic::Income,
        }
    }
}

/// A file as it arrives, with its records still unwritten.
#[derive(Debug, Clone)]
pub struct SourceFile {
    pub(crate) system: System,
    pub(crate) area: usize,
    pub(crate) made_on: i32,
    pub(crate) delivered_at: i64,
    pub(crate) again: bool,
    pub(crate) sequence: u32,
    pub(crate) seed: u64,
    pub(crate) records: Vec<Record>,
}

impl SourceFile {
    /// Who made it.
    pub fn system(&self) -> System {
        self.system
    }

    /// The municipality's code.
    pub fn municipality(&self) -> i32 {
        MUNICIPALITIES[self.area].0
    }

    /// The `source` of its events, e.g. `yr-101`.
    pub fn source(&self) -> String {
        format!("{}-{}", self.system.prefix(), self.municipality())
    }

    /// The date in its name.
    pub fn made_on(&self) -> NaiveDate {
        date_of(self.made_on)
    }

    /// When it arrives.
    pub fn delivered_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.delivered_at, 0).unwrap_or_default()
    }

    /// Whether it was delivered before, under the same name and with the same bytes.
    pub fn is_sent_again(&self) -> bool {
        self.again
    }

    /// Records in it, repeated ones counted.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// The topic its events travel on.
    pub fn topic(&self) -> Topic {
        self.system.topic()
    }

    /// Its name, as the source system gives it.
    pub fn name(&self) -> String {
        let (date, code) = (self.made_on(), self.municipality());
        match self.system {
            System::Yr => {
                format!("yr-ydelsesrefusion-beregning-{code:03}-{:04}-{date}.csv", self.sequence)
            }
            System::Ky => format!("ky-{code:03}-{date}.ndjson"),
            System::Amanda => format!("amanda-{code:03}-{date}-{}.txt", self.sequence),
            System::Income => format!("income-{code:03}-{date}.csv"),
            System::Language => format!("sprog-{code:03}-{date}.ndjson"),
            System::Origin => format!("cpr-{code:03}-{date}.ndjson"),
        }
    }

    /// The newest month it is about, counted from 1970-01 as 0.
    pub(crate) fn month(&self) -> i32 {
        match self.system {
            System::Yr => month_of(monday_of(self.made_on) - 1),
            System::Income => month_of(self.made_on) - 1,
            _ => month_of(self.made_on),
        }
    }

    /// Appends the file's bytes. The pseudonym is needed only where no source format exists.
    pub fn write_bytes(&self, pseudonym: Pseudonym<'_>, out: &mut Vec<u8>) {
        match self.system {
            System::Yr => format::yr(self, out),
            System::Ky => format::ky(self, out),
            System::Amanda => format::amanda(self, out),
            System::Income => format::income(self, out),
            System::Language | System::Origin => event::write_all(self, pseudonym, out),
        }
    }

    /// Appends the events its records mean, one JSON object a line, for [`SourceFile::topic`].
    pub fn write_events(&self, pseudonym: Pseudonym<'_>, out: &mut Vec<u8>) {
        event::write_all(self, pseudonym, out);
    }

    /// Shows every event with its key, the person's 32 hex digits, to `visit`: for producing to Kafka.
    pub fn for_each_event(&self, pseudonym: Pseudonym<'_>, visit: &mut dyn FnMut(&str, &[u8])) {
        const MARK: &[u8] = br#""person":""#;
        let mut lines = Vec::new();
        event::write_all(self, pseudonym, &mut lines);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // The field stands in every event, and no text in an event holds a quote.
            let at = line.windows(MARK.len()).position(|window| window == MARK).unwrap_or(0) + MARK.len();
            let key = line.get(at..at + 32).and_then(|key| std::str::from_utf8(key).ok());
            visit(key.unwrap_or_default(), line);
        }
    }

    /// Appends the delivery event that tells of the file, as one line.
    pub fn write_delivery(&self, out: &mut Vec<u8>) {
        event::write_delivery(self, out);
    }
}

/// A working day on or after `day`.
pub(crate) fn working_day(day: i32) -> i32 {
    match (day + 3).rem_euclid(7) {
        5 => day + 2,
        6 => day + 1,
        _ => day,
    }
}

/// The first day on or after `day` on which a municipality's weekly YR file is made.
pub(crate) fn yr_day(day: i32, area: usize) -> i32 {
    let due = monday_of(day) + 1 + (area % 3) as i32;
    if due < day { due + 7 } else { due }
}

/// The first day on or after `day` on which a month's income file is made.
pub(crate) fn income_day(day: i32) -> i32 {
    let due = |month| working_day(crate::text::month_start(month) + 9);
    let month = month_of(day);
    if due(month) < day { due(month + 1) } else { due(month) }
}

/// Records by the file they will stand in, files by the day they arrive.
#[derive(Debug)]
pub(crate) struct Outbox {
    seed: u64,
    empty_files: bool,
    waiting: BTreeMap<(i32, System, usize), Vec<Record>>,
    arriving: BTreeMap<i32, Vec<SourceFile>>,
    sequences: [[u32; AREAS]; 2],
}

impl Outbox {
    pub(crate) fn new(seed: u64, empty_files: bool) -> Self {
        let (waiting, arriving) = (BTreeMap::new(), BTreeMap::new());
        Self { seed, empty_files, waiting, arriving, sequences: [[0; AREAS]; 2] }
    }

    /// Puts a record into the file of `system` and municipality that is made on `day`.
    pub(crate) fn push(&mut self, day: i32, system: System, area: usize, record: Record) {
        self.waiting.entry((day, system, area)).or_default().push(record);
    }

    /// Closes the files made on `day` and hands out those that arrive on it, in order of arrival.
    pub(crate) fn files_of(&mut self, day: i32) -> Vec<SourceFile> {
        let working = working_day(day) == day;
        for area in 0..AREAS {
            let mut due = |system| {
                self.waiting.entry((day, system, area)).or_default();
            };
            if yr_day(day, area) == day {
                due(System::Yr);
            }
            if income_day(day) == day {
                due(System::Income);
            }
            if self.empty_files && working {
                due(System::Ky);
                due(System::Amanda);
            }
        }
        let later = self.waiting.split_off(&(day + 1, System::Yr, 0));
        for ((made_on, system, area), records) in std::mem::replace(&mut self.waiting, later) {
            self.close(made_on, system, area, records);
        }
        let mut files = self.arriving.remove(&day).unwrap_or_default();
        files.sort_by_key(|file| (file.delivered_at, file.system, file.area, file.made_on));
        files
    }

    /// Orders, repeats and numbers the records of a file, and says when it arrives (again).
    fn close(&mut self, made_on: i32, system: System, area: usize, mut records: Vec<Record>) {
        let key = hash(self.seed ^ (system as u64) << 32, made_on as u64, area as u64);
        let mut random = fastrand::Rng::with_seed(key);
        random.shuffle(&mut records);
        if matches!(system, System::Ky | System::Amanda | System::Income) {
            // The same line twice in one file.
            for index in 0..records.len() {
                if random.u32(..1000) < 3 {
                    records.push(records[index]);
                }
            }
        }
        let sequence = match system {
            System::Yr | System::Amanda => {
                let counter = &mut self.sequences[usize::from(system == System::Amanda)][area];
                *counter += 1;
                // Four digits in the name; the date keeps the name unique after a wrap.
                (*counter - 1) % 9_999 + 1
            }
            _ => 0,
        };
        let mut instant = |day: i32| i64::from(day) * DAY_SECONDS + 14_400 + random.i64(0..10_800);
        let on_time = instant(made_on);
        let wait = |hash, days| 1 + below(hash, days) as i32;
        let late = below(hash(key, 1, 1), 1000) < 15;
        let arrival = if late { made_on + wait(hash(key, 1, 2), 20) } else { made_on };
        let delivered_at = if late { instant(arrival) } else { on_time };
        let seed = self.seed;
        let file = SourceFile { system, area, made_on, delivered_at, again: false, sequence, seed, records };
        if below(hash(key, 2, 1), 1000) < 10 {
            let again = arrival + wait(hash(key, 2, 2), 10);
            let copy = SourceFile { delivered_at: instant(again), again: true, ..file.clone() };
            self.arriving.entry(again).or_default().push(copy);
        }
        self.arriving.entry(arrival).or_default().push(file);
    }
}
