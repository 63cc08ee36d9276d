//! Takes CPR numbers out of bytes that have to be kept.
//!
//! What looks like one is ten digits, or six and four with a hyphen, a space or the like between them, not
//! inside a longer run of digits. Works on bytes of any encoding that holds ASCII, because what is put aside
//! is often not even text. [`redact`] asks for no date, rather masking too much; [`contains_cpr`], which refuses
//! records, asks for one.

use super::cpr::born;

const MASK: &[u8] = b"**********";

/// The most bytes between the six and the four digits.
const SEPARATOR_BYTES_MAX: usize = 4;

/// The bytes with everything that looks like a CPR number replaced by ten asterisks.
pub fn redact(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for found in Candidates::new(bytes) {
        kept.extend_from_slice(&bytes[from..found.start]);
        kept.extend_from_slice(MASK);
        from = found.end;
    }
    kept.extend_from_slice(&bytes[from..]);
    kept
}

/// As [`redact`], for a text.
pub(crate) fn redact_text(text: &str) -> String {
    String::from_utf8_lossy(&redact(text.as_bytes())).into_owned()
}

/// Every digit masked: for a line that could not be taken apart, where a mangled number may be anywhere.
pub(crate) fn redact_digits(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| if b.is_ascii_digit() { b'*' } else { *b }).collect()
}

/// Whether a text holds what looks like a CPR number and has a date that exists. A UUID is none.
pub fn contains_cpr(text: &str) -> bool {
    !is_uuid(text) && Candidates::new(text.as_bytes()).any(|found| born(&found.digits).is_some())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

struct Candidate {
    start: usize,
    end: usize,
    digits: [u8; 10],
}

struct Candidates<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Candidates<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The end of the run of digits that starts at `start`.
    fn digits_end(&self, start: usize) -> usize {
        start + self.bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count()
    }
}

impl Iterator for Candidates<'_> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        loop {
            let start = self.at + self.bytes[self.at..].iter().position(u8::is_ascii_digit)?;
            let end = self.digits_end(start);
            self.at = end;
            let mut digits = [0; 10];
            if end - start == 10 {
                digits.copy_from_slice(&self.bytes[start..end]);
                return Some(Candidate { start, end, digits });
            }
            if end - start != 6 {
                continue;
            }
            let between = self.bytes[end..].iter().take_while(|b| is_separator(**b)).count();
            let second = end + between;
            if !(1..=SEPARATOR_BYTES_MAX).contains(&between) || self.digits_end(second) - second != 4 {
                continue;
            }
            digits[..6].copy_from_slice(&self.bytes[start..end]);
            digits[6..].copy_from_slice(&self.bytes[second..second + 4]);
            self.at = second + 4;
            return Some(Candidate { start, end: self.at, digits });
        }
    }
}

/// Hyphen, space and, in UTF-8 or Windows-1252, every dash and non-breaking space.
fn is_separator(b: u8) -> bool {
    matches!(b, b'-' | b' ' | b'\t' | b'.' | b'/') || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(text: &str) -> String {
        redact_text(text)
    }

    #[test]
    fn what_looks_like_a_number_goes_and_the_rest_stays() {
        for (text, expected) in [
            ("6101701234", "**********"),
            ("x6101701234;610170-1234;610170 1234", "x**********;**********;**********"),
            ("610170\u{2013}1234 610170\u{a0}1234", "********** **********"),
            ("610170 - 1234", "**********"),
            // Longer runs, dates, amounts, UUIDs, two fields.
            ("61017012345 161017-12345 2026-08-19 1.234,56", "61017012345 161017-12345 2026-08-19 1.234,56"),
            ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
            ("123456;1234", "123456;1234"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
        assert_eq!(redact(b"610170\x961234\xff"), b"**********\xff");
        assert_eq!(redact_digits(b"61-0\xe6;a"), b"**-*\xe6;a");
    }

    #[test]
    fn records_are_refused_only_for_dates_that_exist() {
        assert!(contains_cpr("case 610170-1234") && contains_cpr("7101701234"));
        assert!(!contains_cpr("9999999999") && !contains_cpr("case 17"));
        // A UUID whose first groups read like a number.
        assert!(!contains_cpr("ab610170-1234-41d3-9a0c-0305e82c3301"));
    }

    proptest! {
        /// Whatever stands around a number, nothing that looks like one is left, and doing it twice changes nothing.
        #[test]
        fn nothing_is_left(before in "[^0-9]{0,9}", day in 61_u32..=88, serial in 0_u32..=9999, after in "[^0-9]{0,9}", hyphen in any::<bool>()) {
            let number = format!("{day}0170{}{serial:04}", if hyphen { "-" } else { "" });
            let once = redact(format!("{before}{number}{after}").as_bytes());
            prop_assert!(!String::from_utf8_lossy(&once).contains(&number));
            prop_assert_eq!(redact(&once), once);
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = redact(&bytes);
        }
    }
}
