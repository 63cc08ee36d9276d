//! Canonical events (contract §1) of a file's records, one JSON object a line.
//!
//! Written by hand: every text in them is one of ours (codes, digits, hex), none needs escaping. A source
//! whose file is read by a connector gets here the ids the connector would give.

use crate::file::{Pseudonym, SourceFile};
use crate::identity::Identity;
use crate::random::{hash, mix};
use crate::record::{
    CaseDetail, CaseRecord, LedgerRow, OriginRecord, PeriodRecord, Record, TestRecord, WageRecord,
};
use crate::text::{
    DAY_SECONDS, civil, month_of, month_start, push_date, push_hex, push_instant, push_integer, push_month,
    push_padded, push_unsigned,
};

/// Keeps the UUIDs apart from everything else drawn from the seed.
const UUID: u64 = 0x7575_6964;

/// The UUID of a KY record, version 4 by its looks.
pub(crate) fn push_uuid(out: &mut Vec<u8>, seed: u64, number: u64) {
    let high = hash(seed, UUID, number) & !0xf000 | 0x4000;
    let low = mix(high ^ number) & !(0b11 << 62) | (0b10 << 62);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    let mut hex = Vec::with_capacity(32);
    push_hex(&mut hex, &bytes);
    for (index, part) in [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        out.extend_from_slice(part);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn date_or_null(out: &mut Vec<u8>, day: Option<i32>) {
    match day {
        Some(day) => {
            out.push(b'"');
            push_date(out, day);
            out.push(b'"');
        }
        None => text(out, "null"),
    }
}

/// Writes a file's events.
struct Writer<'a> {
    file: &'a SourceFile,
    pseudonym: Pseudonym<'a>,
    start: String,
    out: &'a mut Vec<u8>,
}

pub(crate) fn write_all(file: &SourceFile, pseudonym: Pseudonym<'_>, out: &mut Vec<u8>) {
    let start = format!(r#"{{"source":"{}","id":""#, file.source());
    let mut writer = Writer { file, pseudonym, start, out };
    let name = file.name();
    for (index, record) in file.records.iter().enumerate() {
        text(writer.out, &writer.start);
        match record {
            Record::Ledger(row) => writer.ledger(row, &name, index + 2),
            Record::Period(record) => writer.period(record),
            Record::Case(record) => writer.case(record),
            Record::Wage(record) => writer.wage(record),
            Record::Test(record) => writer.test(record),
            Record::Origin(record) => writer.origin(record),
        }
        writer.out.extend_from_slice(b"}\n");
    }
}

impl Writer<'_> {
    /// The instant the file was made: its date at midnight.
    fn made_at(&self) -> i64 {
        i64::from(self.file.made_on) * DAY_SECONDS
    }

    /// Everything from the end of the id to the municipality.
    fn common(&mut self, op: &str, revision: u16, recorded_at: i64, who: Identity) {
        let digits = who.digits();
        let person = (self.pseudonym)(std::str::from_utf8(&digits).unwrap_or_default());
        let out = &mut *self.out;
        text(out, r#"","op":""#);
        text(out, op);
        text(out, r#"","revision":"#);
        push_unsigned(out, u64::from(revision));
        text(out, r#","recorded_at":""#);
        push_instant(out, recorded_at);
        text(out, r#"","person":""#);
        push_hex(out, &person);
        text(out, r#"","birth":""#);
        push_month(out, month_of(who.birth));
        text(out, if who.is_male() { r#"","sex":"male""# } else { r#"","sex":"female""# });
        text(out, r#","municipality":"#);
        push_integer(out, i64::from(self.file.municipality()));
    }

    fn ledger(&mut self, row: &LedgerRow, name: &str, line: usize) {
        text(self.out, name);
        self.out.push(b':');
        push_unsigned(self.out, line as u64);
        self.common("add", 0, self.made_at(), row.who);
        payment(self.out, row.benefit.code(), row.week, row.week + 6);
        text(self.out, "null");
        money(self.out, row.amount_oere, row.refund_oere);
    }

    fn period(&mut self, record: &PeriodRecord) {
        push_uuid(self.out, self.file.seed, record.number);
        let op = if record.deleted { "delete" } else { "upsert" };
        self.common(op, record.revision, record.registered, record.who);
        payment(self.out, record.benefit.code(), record.from, record.to);
        match record.quarters {
            Some(quarters) => push_unsigned(self.out, u64::from(quarters) * 15),
            None => text(self.out, "null"),
        }
        money(self.out, record.amount_oere, 0);
    }

    fn case(&mut self, record: &CaseRecord) {
        let prefix = match record.detail {
            CaseDetail::Registration { .. } => "reg-",
            CaseDetail::Contact { .. } => "contact-",
            CaseDetail::Activation { .. } => "activation-",
        };
        text(self.out, prefix);
        push_unsigned(self.out, record.case);
        self.common("upsert", record.revision, self.made_at(), record.who);
        let out = &mut *self.out;
        match record.detail {
            CaseDetail::Registration { from, to, .. } => {
                text(out, r#","kind":"registration","from":"#);
                date_or_null(out, Some(from));
                text(out, r#","to":"#);
                date_or_null(out, to);
            }
            CaseDetail::Contact { due, held, form } => {
                text(out, r#","kind":"contact","due":"#);
                date_or_null(out, Some(due));
                text(out, r#","held":"#);
                date_or_null(out, held);
                text(out, r#","form":""#);
                text(out, form);
                out.push(b'"');
            }
            CaseDetail::Activation { from, to, offer, hours_per_week } => {
                text(out, r#","kind":"activation","from":"#);
                date_or_null(out, Some(from));
                text(out, r#","to":"#);
                date_or_null(out, to);
                text(out, r#","offer":""#);
                text(out, offer);
                text(out, r#"","minutes_per_week":"#);
                push_unsigned(out, u64::from(hours_per_week) * 60);
            }
        }
    }

    fn wage(&mut self, record: &WageRecord) {
        push_unsigned(self.out, record.report);
        self.common("upsert", record.revision, self.made_at(), record.who);
        text(self.out, r#","month":""#);
        push_month(self.out, record.month);
        text(self.out, r#"","wage_oere":"#);
        push_integer(self.out, record.kroner * 100);
        text(self.out, r#","minutes":"#);
        push_unsigned(self.out, u64::from(record.hours) * 60);
    }

    fn test(&mut self, record: &TestRecord) {
        text(self.out, "test-");
        push_unsigned(self.out, record.number);
        self.common("upsert", 0, self.made_at(), record.who);
        text(self.out, r#","kind":"language_test","on":"#);
        date_or_null(self.out, Some(record.on));
        text(self.out, r#","level":""#);
        text(self.out, record.level);
        text(self.out, if record.passed { r#"","passed":true"# } else { r#"","passed":false"# });
        // One school east of the Great Belt, one west of it.
        let is_east = self.file.municipality() <= 400;
        text(
            self.out,
            if is_east { r#","school":"sprogcenter-oest""# } else { r#","school":"sprogcenter-vest""# },
        );
    }

    fn origin(&mut self, record: &OriginRecord) {
        text(self.out, "origin-");
        push_unsigned(self.out, record.number);
        self.common("upsert", 0, self.made_at(), record.who);
        text(self.out, r#","kind":"origin","origin":""#);
        text(self.out, record.origin);
        text(self.out, r#"","from":"#);
        date_or_null(self.out, Some(record.from));
    }
}

fn payment(out: &mut Vec<u8>, benefit: &str, from: i32, to: i32) {
    text(out, r#","benefit":""#);
    text(out, benefit);
    text(out, r#"","from":""#);
    push_date(out, from);
    text(out, r#"","to":""#);
    push_date(out, to);
    text(out, r#"","minutes":"#);
}

fn money(out: &mut Vec<u8>, amount_oere: i64, refund_oere: i64) {
    text(out, r#","amount_oere":"#);
    push_integer(out, amount_oere);
    text(out, r#","refund_oere":"#);
    push_integer(out, refund_oere);
}

/// The delivery event of a file.
pub(crate) fn write_delivery(file: &SourceFile, out: &mut Vec<u8>) {
    text(out, r#"{"source":""#);
    text(out, &file.source());
    text(out, r#"","municipality":"#);
    push_integer(out, i64::from(file.municipality()));
    text(out, r#","period":""#);
    let (year, month, _) = civil(month_start(file.month()));
    push_padded(out, year as u64, 4);
    out.push(b'M');
    push_padded(out, u64::from(month), 2);
    text(out, r#"","records":"#);
    push_unsigned(out, file.records.len() as u64);
    text(out, r#","control_sum":null,"delivered_at":""#);
    push_instant(out, file.delivered_at);
    text(out, "\"}\n");
}
