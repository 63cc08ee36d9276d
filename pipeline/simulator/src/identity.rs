//! Persons that cannot exist: unique CPR numbers with day + 60, so that no real person is ever matched.
//!
//! What a number tells (birth month, sex) follows the rules of the real ones: the seventh digit gives the
//! century, an odd last digit is male. Modulus 11 is not kept, as numbers since October 2007 need not.

use crate::random::Permutation;
use crate::text::civil;

/// Numbers drawn for one birth date; the century's digits allow no more in every year.
const SERIALS: u64 = 4_000;

/// A simulated person as the number tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Day of birth, days since 1970-01-01.
    pub birth: i32,
    /// The last four digits.
    pub serial: u16,
}

impl Identity {
    /// The ten digits; the day is 61 to 91.
    pub(crate) fn digits(self) -> [u8; 10] {
        let (year, month, day) = civil(self.birth);
        let day = day + 60;
        let (year, serial) = (year as u32 % 100, u32::from(self.serial));
        let pairs = [day, month, year, serial / 100, serial % 100];
        let mut digits = [0; 10];
        for (to, pair) in digits.chunks_exact_mut(2).zip(pairs) {
            to[0] = b'0' + (pair / 10) as u8;
            to[1] = b'0' + (pair % 10) as u8;
        }
        digits
    }

    pub(crate) fn is_male(self) -> bool {
        self.serial % 2 == 1
    }

    /// Full years of age on a day.
    pub(crate) fn age(self, on: i32) -> i32 {
        let ((year, month, day), (now_year, now_month, now_day)) = (civil(self.birth), civil(on));
        now_year - year - i32::from((now_month, now_day) < (month, day))
    }
}

/// Hands out unique identities, by number.
#[derive(Debug, Clone)]
pub(crate) struct Identities {
    first_birth: i32,
    days: u64,
    order: Permutation,
}

impl Identities {
    /// Births between the two days, both inclusive.
    pub(crate) fn new(first_birth: i32, last_birth: i32, seed: u64) -> Self {
        let days = (last_birth - first_birth + 1).max(1) as u64;
        Self { first_birth, days, order: Permutation::new(days * SERIALS, seed) }
    }

    /// How many there are.
    pub(crate) fn capacity(&self) -> u64 {
        self.days * SERIALS
    }

    /// The identity of a number below the capacity.
    pub(crate) fn get(&self, number: u64) -> Identity {
        let slot = self.order.at(number);
        let birth = self.first_birth + (slot % self.days) as i32;
        // 0-3 means 19xx in all years; 4-7 means 20xx for 2000-2036.
        let base = if civil(birth).0 >= 2000 { SERIALS } else { 0 };
        Identity { birth, serial: (base + slot / self.days) as u16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_impossible_and_tell_century_and_sex() {
        let identities = Identities::new(-3000, 14_000, 1);
        let mut seen = std::collections::HashSet::new();
        for number in 0..50_000 {
            let identity = identities.get(number);
            let digits = identity.digits();
            assert!(seen.insert(digits));
            let text = std::str::from_utf8(&digits).expect("ascii");
            let day: u32 = text[..2].parse().expect("day");
            assert!((61..=91).contains(&day), "{text}");
            let century = if matches!(digits[6], b'0'..=b'3') { 1900 } else { 2000 };
            let year: i32 = text[4..6].parse().expect("year");
            assert_eq!(civil(identity.birth).0, century + year, "{text}");
            assert_eq!(identity.is_male(), digits[9] % 2 == 1);
        }
    }

    #[test]
    fn thirty_on_the_birthday() {
        let identity = Identity { birth: 0, serial: 1 };
        let thirty = 365 * 30 + 7;
        assert_eq!((identity.age(thirty - 1), identity.age(thirty)), (29, 30));
    }
}
