//! The files of the source systems (contract §2), byte by byte.
//!
//! How a YR file is wrapped (encoding, quotes, line ends, date form, hyphen, order of columns) is drawn from
//! the file's own hash, so that a file sent again has the same bytes. AMANDA is Windows-1252 by contract. Texts
//! are ours; none holds a separator, a quote or a line end.

use encoding_rs::WINDOWS_1252;
use rettidig_event::municipality::MUNICIPALITIES;

use crate::event::push_uuid;
use crate::file::SourceFile;
use crate::random::hash;
use crate::record::{CaseDetail, Record};
use crate::text::{
    push_date, push_date_danish, push_hundredths, push_instant, push_integer, push_month, push_padded,
    push_unsigned,
};

/// The columns of a YR file, in the order of the contract.
const YR_COLUMNS: [&str; 10] = [
    "Uge",
    "CPR nummer",
    "Ydelse",
    "Finansiering Kommunenavn",
    "Indberetning udbetalingsbeløb",
    "Beregnet udbetalingsbeløb",
    "Refusionssats",
    "Refusionsbeløb",
    "Medfinansieringssats",
    "Medfinansieringsbeløb",
];

/// The other order some files have.
const YR_ORDER: [usize; 10] = [1, 0, 3, 2, 4, 5, 6, 7, 8, 9];

/// `text`, from UTF-8 to Windows-1252; characters outside it do not occur.
fn push_windows_1252(out: &mut Vec<u8>, text: &[u8]) {
    let (text, _) = encoding_rs::UTF_8.decode_without_bom_handling(text);
    let (bytes, _, _) = WINDOWS_1252.encode(&text);
    out.extend_from_slice(&bytes);
}

pub(crate) fn yr(file: &SourceFile, out: &mut Vec<u8>) {
    let style = hash(file.seed, file.made_on as u64, file.area as u64);
    let chance = |bit: u32| style >> bit & 1 == 1;
    let (latin, quoted, danish_dates, hyphen) = (chance(0), chance(1), chance(2), chance(3));
    let reordered = style >> 4 & 3 == 0;
    let line_end: &[u8] = if style >> 6 & 3 == 0 { b"\n" } else { b"\r\n" };
    let (_, municipality) = MUNICIPALITIES[file.area];
    let mut body = Vec::with_capacity(160 * (file.records.len() + 1));
    let mut fields: [Vec<u8>; 10] = Default::default();
    let write_line = |body: &mut Vec<u8>, fields: &[Vec<u8>; 10], quotes: &dyn Fn(usize) -> bool| {
        for (position, other) in YR_ORDER.into_iter().enumerate() {
            let column = if reordered { other } else { position };
            if position > 0 {
                body.push(b';');
            }
            let quote: &[u8] = if quotes(column) { b"\"" } else { b"" };
            body.extend_from_slice(quote);
            body.extend_from_slice(&fields[column]);
            body.extend_from_slice(quote);
        }
        body.extend_from_slice(line_end);
    };
    for (field, name) in fields.iter_mut().zip(YR_COLUMNS) {
        *field = name.as_bytes().to_vec();
    }
    write_line(&mut body, &fields, &|_| quoted);
    for record in &file.records {
        let Record::Ledger(row) = record else { continue };
        for field in &mut fields {
            field.clear();
        }
        if danish_dates {
            push_date_danish(&mut fields[0], row.week, Some(b'-'));
        } else {
            push_date(&mut fields[0], row.week);
        }
        let digits = row.who.digits();
        fields[1].extend_from_slice(&digits[..6]);
        fields[1].extend(hyphen.then_some(b'-'));
        fields[1].extend_from_slice(&digits[6..]);
        fields[2].extend_from_slice(row.benefit.danish_name().as_bytes());
        fields[3].extend_from_slice(municipality.as_bytes());
        push_hundredths(&mut fields[4], row.reported_oere, b',');
        push_hundredths(&mut fields[5], row.amount_oere, b',');
        push_hundredths(&mut fields[6], i64::from(row.refund_rate) * 100, b',');
        push_hundredths(&mut fields[7], row.refund_oere, b',');
        push_hundredths(&mut fields[8], (100 - i64::from(row.refund_rate)) * 100, b',');
        push_hundredths(&mut fields[9], row.amount_oere - row.refund_oere, b',');
        write_line(&mut body, &fields, &|column| quoted && column < 4);
    }
    if latin {
        push_windows_1252(out, &body);
    } else {
        out.extend_from_slice("\u{feff}".as_bytes());
        out.extend_from_slice(&body);
    }
}

pub(crate) fn ky(file: &SourceFile, out: &mut Vec<u8>) {
    for record in &file.records {
        let Record::Period(record) = record else { continue };
        out.extend_from_slice(br#"{"uuid":""#);
        push_uuid(out, file.seed, record.number);
        out.extend_from_slice(br#"","revision":"#);
        push_unsigned(out, u64::from(record.revision));
        out.extend_from_slice(br#","cpr":""#);
        out.extend_from_slice(&record.who.digits());
        out.extend_from_slice(br#"","kommune":"#);
        push_integer(out, i64::from(file.municipality()));
        out.extend_from_slice(br#","ydelseskode":""#);
        out.extend_from_slice(record.benefit.code().as_bytes());
        out.extend_from_slice(br#"","startdato":""#);
        push_date(out, record.from);
        out.extend_from_slice(br#"","slutdato":""#);
        push_date(out, record.to);
        out.extend_from_slice(br#"","beloeb":"#);
        push_hundredths(out, record.amount_oere, b'.');
        out.extend_from_slice(br#","timer":"#);
        match record.quarters {
            Some(quarters) => push_hundredths(out, i64::from(quarters) * 25, b'.'),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","slettet":"#);
        out.extend_from_slice(if record.deleted { b"true" } else { b"false" });
        out.extend_from_slice(br#","registreret":""#);
        push_instant(out, record.registered);
        out.extend_from_slice(b"\"}\n");
    }
}

pub(crate) fn amanda(file: &SourceFile, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(64 * (file.records.len() + 2));
    body.extend_from_slice(b"00;AMANDA;");
    push_padded(&mut body, file.municipality() as u64, 3);
    body.push(b';');
    push_date_danish(&mut body, file.made_on, None);
    body.push(b';');
    push_unsigned(&mut body, u64::from(file.sequence));
    body.extend_from_slice(b"\r\n");
    let optional = |body: &mut Vec<u8>, day: Option<i32>| {
        if let Some(day) = day {
            push_date_danish(body, day, None);
        }
        body.push(b';');
    };
    let (mut count, mut sum) = (0, 0_u64);
    for record in &file.records {
        let Record::Case(record) = record else { continue };
        count += 1;
        sum += record.case;
        body.extend_from_slice(match record.detail {
            CaseDetail::Registration { to: None, .. } => b"10;",
            CaseDetail::Contact { .. } => b"20;",
            CaseDetail::Activation { .. } => b"30;",
            CaseDetail::Registration { .. } => b"40;",
        });
        push_unsigned(&mut body, record.case);
        body.push(b';');
        push_unsigned(&mut body, u64::from(record.revision));
        body.push(b';');
        body.extend_from_slice(&record.who.digits());
        body.push(b';');
        match record.detail {
            CaseDetail::Registration { from, to: None, .. } => push_open(&mut body, from),
            CaseDetail::Registration { from, to, reason } => {
                optional(&mut body, Some(from));
                optional(&mut body, to);
                body.extend_from_slice(reason.as_bytes());
            }
            CaseDetail::Contact { due, held, form } => {
                optional(&mut body, Some(due));
                optional(&mut body, held);
                body.extend_from_slice(danish_form(form).as_bytes());
            }
            CaseDetail::Activation { from, to, offer, hours_per_week } => {
                optional(&mut body, Some(from));
                optional(&mut body, to);
                body.extend_from_slice(offer.as_bytes());
                body.push(b';');
                push_unsigned(&mut body, u64::from(hours_per_week));
            }
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"99;");
    push_unsigned(&mut body, count);
    body.push(b';');
    push_unsigned(&mut body, sum);
    body.extend_from_slice(b"\r\n");
    push_windows_1252(out, &body);
}

/// The form of an interview as the file has it; the event has the code.
fn danish_form(code: &str) -> &str {
    match code {
        "meeting" => "møde",
        "phone" => "telefon",
        other => other,
    }
}

/// From, and a blank to.
fn push_open(body: &mut Vec<u8>, from: i32) {
    push_date_danish(body, from, None);
    body.push(b';');
}

pub(crate) fn income(file: &SourceFile, out: &mut Vec<u8>) {
    out.extend_from_slice(b"cpr;maaned;loen_kr;timer;indberetning_id;revision\r\n");
    for record in &file.records {
        let Record::Wage(record) = record else { continue };
        out.extend_from_slice(&record.who.digits());
        out.push(b';');
        push_month(out, record.month);
        out.push(b';');
        push_integer(out, record.kroner);
        out.push(b';');
        push_unsigned(out, u64::from(record.hours));
        out.push(b';');
        push_unsigned(out, record.report);
        out.push(b';');
        push_unsigned(out, u64::from(record.revision));
        out.extend_from_slice(b"\r\n");
    }
}
