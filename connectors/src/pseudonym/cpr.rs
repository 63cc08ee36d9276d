//! The CPR number: what counts as one, and what can be read off it.
//!
//! Ten digits `DDMMYYSSSS`, a hyphen after the sixth allowed. The date must exist, after an offset of 60 days
//! of the month is taken off (test numbers, which no person can have). The seventh digit tells the century,
//! the last one the sex. Modulus 11 is no condition: numbers given out since October 2007 may fail it.
//! A number is wiped from memory when dropped and shows itself nowhere.

use std::fmt;

use chrono::{Datelike as _, NaiveDate};
use rettidig_event::Sex;
use thiserror::Error;
use zeroize::Zeroize;

/// What is added to the day of the month of numbers that belong to nobody.
const TEST_DAY_OFFSET: u32 = 60;

const MODULUS_11_WEIGHTS: [u32; 10] = [4, 3, 2, 7, 6, 5, 4, 3, 2, 1];

/// A CPR number.
#[derive(Clone)]
pub struct Cpr {
    digits: [u8; 10],
    born: NaiveDate,
}

/// Why a text is no CPR number. Says nothing about the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CprError {
    /// Not ten digits.
    #[error("expected 10 digits DDMMYYSSSS, a hyphen after the sixth allowed")]
    Form,
    /// The first six digits are no date.
    #[error("the first six digits are no date that exists")]
    Date,
}

impl fmt::Debug for Cpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cpr(**********)")
    }
}

impl Drop for Cpr {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl Cpr {
    /// Reads a number; white space around it is allowed.
    ///
    /// # Errors
    /// If it has not the form, or its date does not exist.
    pub fn parse(text: &str) -> Result<Self, CprError> {
        let bytes = text.trim().as_bytes();
        let mut digits = [0; 10];
        match bytes.len() {
            10 => digits.copy_from_slice(bytes),
            11 if bytes[6] == b'-' => {
                digits[..6].copy_from_slice(&bytes[..6]);
                digits[6..].copy_from_slice(&bytes[7..]);
            }
            _ => return Err(CprError::Form),
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            digits.zeroize();
            return Err(CprError::Form);
        }
        match born(&digits) {
            Some(born) => Ok(Self { digits, born }),
            None => {
                digits.zeroize();
                Err(CprError::Date)
            }
        }
    }

    pub(super) fn digits(&self) -> &[u8; 10] {
        &self.digits
    }

    /// Month of birth, `YYYY-MM`; `None` before 1900, where no event reaches.
    pub fn birth(&self) -> Option<String> {
        (self.born.year() >= 1900).then(|| format!("{:04}-{:02}", self.born.year(), self.born.month()))
    }

    /// Sex, by the last digit.
    pub fn sex(&self) -> Sex {
        if self.digits[9] % 2 == 1 { Sex::Male } else { Sex::Female }
    }

    /// Whether the number passes modulus 11; worth counting, never a reason to refuse it.
    pub fn passes_modulus_11(&self) -> bool {
        let sum: u32 = self
            .digits
            .iter()
            .zip(MODULUS_11_WEIGHTS)
            .map(|(digit, weight)| number(&[*digit]) * weight)
            .sum();
        sum.is_multiple_of(11)
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}

/// The date of birth; `None` if there is no such day. Expects ten digits.
pub(super) fn born(digits: &[u8; 10]) -> Option<NaiveDate> {
    let (day, month, year) = (number(&digits[..2]), number(&digits[2..4]), number(&digits[4..6]));
    let century = match (digits[6], year) {
        (b'0'..=b'3', _) => 1900,
        (b'4' | b'9', 0..=36) => 2000,
        (b'4' | b'9', _) => 1900,
        (_, 0..=57) => 2000,
        _ => 1800,
    };
    let day = if day > TEST_DAY_OFFSET { day - TEST_DAY_OFFSET } else { day };
    NaiveDate::from_ymd_opt(century + i32::try_from(year).ok()?, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn birth_follows_the_century_rule_and_sex_the_last_digit() {
        for (text, birth, sex) in [
            ("6101700000", "1970-01", Sex::Female),
            ("610170-3999", "1970-01", Sex::Male),
            ("6101364000", "2036-01", Sex::Female),
            ("6101374001", "1937-01", Sex::Male),
            ("6101369000", "2036-01", Sex::Female),
            ("6101379001", "1937-01", Sex::Male),
            ("6112575000", "2057-12", Sex::Female),
            ("6112588000", "", Sex::Female),
            (" 9112998001 ", "", Sex::Male),
            // 29 February: 2000 is a leap year, 1900 is none.
            ("8902004000", "2000-02", Sex::Female),
        ] {
            let cpr = Cpr::parse(text).expect(text);
            assert_eq!((cpr.birth().unwrap_or_default().as_str(), cpr.sex()), (birth, sex), "{text}");
        }
    }

    #[test]
    fn form_and_date_are_conditions_and_modulus_11_is_none() {
        for text in ["", "610170123", "61017012345", "610170 1234", "6101-701234", "61017O1234", "٦101701234"]
        {
            assert_eq!(Cpr::parse(text).err(), Some(CprError::Form), "{text}");
        }
        for text in ["0000000000", "6013701234", "9202701234", "8902000000", "3202701234", "6000701234"] {
            assert_eq!(Cpr::parse(text).err(), Some(CprError::Date), "{text}");
        }
        // 6·4+1·3+0·2+1·7+7·6+0·5+0·4+0·3+0·2 = 76, and 76 + 1 = 77 is divisible by 11.
        assert!(Cpr::parse("6101700001").expect("number").passes_modulus_11());
        assert!(!Cpr::parse("6101700002").expect("number").passes_modulus_11());
        assert_eq!(format!("{:?}", Cpr::parse("6101700001")), "Ok(Cpr(**********))");
    }

    proptest! {
        /// Hyphen or none: the same person.
        #[test]
        fn a_hyphen_does_not_matter(day in 61_u32..=88, month in 1_u32..=12, year in 0_u32..=99, serial in 0_u32..=9999) {
            let plain = format!("{day:02}{month:02}{year:02}{serial:04}");
            let hyphened = format!("{}-{}", &plain[..6], &plain[6..]);
            let (a, b) = (Cpr::parse(&plain).expect("number"), Cpr::parse(&hyphened).expect("number"));
            prop_assert_eq!(a.digits(), b.digits());
            prop_assert_eq!(a.birth(), b.birth());
        }

        #[test]
        fn any_text_is_taken_without_panic(text in ".{0,14}") {
            let _ = Cpr::parse(&text);
        }
    }
}
