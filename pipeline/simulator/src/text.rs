//! Numbers, money and dates as text, written straight into a buffer: no allocation a field.
//!
//! Units: money in øre, days since 1970-01-01, instants in seconds since 1970-01-01T00:00:00Z.

use chrono::{Datelike, NaiveDate};

/// Seconds in a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// Days from 0001-01-01 to 1970-01-01.
const DAYS_CE_1970: i32 = 719_163;

/// Days since 1970-01-01.
pub(crate) fn day_number(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - DAYS_CE_1970
}

/// The date of a day number.
pub(crate) fn date_of(day: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(day + DAYS_CE_1970).unwrap_or(NaiveDate::MIN)
}

/// Year, month and day of a day number (the proleptic Gregorian calendar in integer arithmetic).
pub(crate) fn civil(day: i32) -> (i32, u32, u32) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let d = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let m = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i32::from(m <= 2), m as u32, d)
}

/// The first day of a month, months counted from 1970-01 as 0.
pub(crate) fn month_start(month: i32) -> i32 {
    let date = NaiveDate::from_ymd_opt(1970 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1);
    day_number(date.unwrap_or(NaiveDate::MIN))
}

/// The month of a day, counted from 1970-01 as 0.
pub(crate) fn month_of(day: i32) -> i32 {
    let (year, month, _) = civil(day);
    (year - 1970) * 12 + month as i32 - 1
}

/// The Monday of a day's week.
pub(crate) fn monday_of(day: i32) -> i32 {
    day - (day + 3).rem_euclid(7)
}

pub(crate) fn push_unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

pub(crate) fn push_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_unsigned(out, value.unsigned_abs());
}

/// With leading zeros to `width` digits.
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let start = out.len();
    push_unsigned(out, value);
    while out.len() - start < width {
        out.insert(start, b'0');
    }
}

fn push_two(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// `2026-07-31`.
pub(crate) fn push_date(out: &mut Vec<u8>, day: i32) {
    let (year, month, day) = civil(day);
    push_two(out, year as u32 / 100);
    push_two(out, year as u32 % 100);
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
}

/// `31-07-2026`, or `31072026` without a separator.
pub(crate) fn push_date_danish(out: &mut Vec<u8>, day: i32, separator: Option<u8>) {
    let (year, month, day) = civil(day);
    push_two(out, day);
    out.extend(separator);
    push_two(out, month);
    out.extend(separator);
    push_two(out, year as u32 / 100);
    push_two(out, year as u32 % 100);
}

/// `2026-07`.
pub(crate) fn push_month(out: &mut Vec<u8>, month: i32) {
    push_padded(out, (1970 + month.div_euclid(12)) as u64, 4);
    out.push(b'-');
    push_two(out, month.rem_euclid(12) as u32 + 1);
}

/// `2026-07-31T05:12:00Z`.
pub(crate) fn push_instant(out: &mut Vec<u8>, seconds: i64) {
    push_date(out, seconds.div_euclid(DAY_SECONDS) as i32);
    let second = seconds.rem_euclid(DAY_SECONDS) as u32;
    out.push(b'T');
    push_two(out, second / 3600);
    out.push(b':');
    push_two(out, second / 60 % 60);
    out.push(b':');
    push_two(out, second % 60);
    out.push(b'Z');
}

/// Hundredths as decimal text with two decimals.
pub(crate) fn push_hundredths(out: &mut Vec<u8>, value: i64, decimal_sign: u8) {
    if value < 0 {
        out.push(b'-');
    }
    push_unsigned(out, value.unsigned_abs() / 100);
    out.push(decimal_sign);
    push_two(out, (value.unsigned_abs() % 100) as u32);
}

/// 16 bytes as 32 lower-case hex digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0_u8; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn days_and_dates_agree_with_chrono() {
        for day in (-40_000..40_000).step_by(13) {
            let date = date_of(day);
            assert_eq!(civil(day), (date.year(), date.month(), date.day()));
            assert_eq!(day_number(date), day);
            assert_eq!(monday_of(day), day - date.weekday().num_days_from_monday() as i32);
            assert!(month_start(month_of(day)) <= day && day < month_start(month_of(day) + 1));
        }
    }

    #[test]
    fn forms() {
        let day = day_number(NaiveDate::from_ymd_opt(2026, 7, 31).expect("date"));
        assert_eq!(text(|o| push_date(o, day)), "2026-07-31");
        assert_eq!(text(|o| push_date_danish(o, day, None)), "31072026");
        assert_eq!(text(|o| push_date_danish(o, day, Some(b'-'))), "31-07-2026");
        assert_eq!(text(|o| push_month(o, month_of(day))), "2026-07");
        assert_eq!(text(|o| push_instant(o, i64::from(day) * DAY_SECONDS + 18_725)), "2026-07-31T05:12:05Z");
        assert_eq!(text(|o| push_hundredths(o, -5, b',')), "-0,05");
        assert_eq!(text(|o| push_hundredths(o, 123_450, b'.')), "1234.50");
        assert_eq!(text(|o| push_padded(o, 42, 4)), "0042");
        assert_eq!(text(|o| push_integer(o, -42)), "-42");
        assert_eq!(text(|o| push_hex(o, &[0xaf; 16])), "af".repeat(16));
    }
}
