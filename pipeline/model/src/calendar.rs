//! Days and months as integers: days since 1970, months since January 1970 (0 = January 1970).
//!
//! The person-local SQL counts with these. Proleptic Gregorian calendar; the algorithms are the usual ones over
//! 400-year eras.

/// Year, month (1-12) and day of a day number.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The month that a day lies in.
pub fn month_of(day: i64) -> i64 {
    let (year, month, _) = civil(day);
    (year - 1970) * 12 + month - 1
}

/// The first day of a month.
pub fn month_first(month: i64) -> i64 {
    let (year, month) = (1970 + month.div_euclid(12), month.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The last day of a month.
pub fn month_last(month: i64) -> i64 {
    month_first(month + 1) - 1
}

/// The same day of the month, some months later; its last day if the month is shorter.
pub fn add_months(day: i64, months: i64) -> i64 {
    let month = month_of(day) + months;
    (month_first(month) + civil(day).2 - 1).min(month_last(month))
}

/// The Monday of a day's week. Day 0, 1 January 1970, is a Thursday.
pub fn monday_of(day: i64) -> i64 {
    day - (day + 3).rem_euclid(7)
}

/// An amount's part for some days of its interval: by days, truncated toward zero.
fn part(amount: i64, days: i64, of_days: i64) -> i64 {
    // 128 bits: an amount times the days of a year may pass 64.
    let part = i128::from(amount) * i128::from(days) / i128::from(of_days);
    i64::try_from(part).unwrap_or(amount)
}

/// A month's share of an amount that covers the days `from..=to`: by days, truncated toward zero; the last month
/// gets the rest, so that the shares add up.
pub fn month_share(amount: i64, from: i64, to: i64, month: i64) -> i64 {
    let last_month = month_of(to);
    let share = |month: i64| {
        part(amount, month_last(month).min(to) - month_first(month).max(from) + 1, to - from + 1)
    };
    if month == last_month {
        amount - (month_of(from)..last_month).map(share).sum::<i64>()
    } else {
        share(month)
    }
}

/// The share that the week of a Monday has of an amount that covers the days `from..=to`, as [`month_share`]: the last week
/// gets the rest.
pub fn week_share(amount: i64, from: i64, to: i64, monday: i64) -> i64 {
    let (first, last) = (monday_of(from), monday_of(to));
    let share = |monday: i64| part(amount, (monday + 6).min(to) - monday.max(from) + 1, to - from + 1);
    if monday < last {
        return share(monday);
    }
    // All weeks between the first and the last are whole, so their shares are the same.
    let whole = (last - first) / 7 - 1;
    match last == first {
        true => amount,
        false => amount - share(first) - whole * part(amount, 7, to - from + 1),
    }
}

/// A month as text, `2026-07`.
pub fn month_text(month: i64) -> String {
    format!("{:04}-{:02}", 1970 + month.div_euclid(12), month.rem_euclid(12) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, Days, Months, NaiveDate};

    #[test]
    fn agrees_with_chrono_over_two_centuries() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("date");
        let mut date = NaiveDate::from_ymd_opt(1900, 1, 1).expect("date");
        while date.year() < 2101 {
            let day = (date - epoch).num_days();
            let month = month_of(day);
            assert_eq!(month, i64::from((date.year() - 1970) * 12) + i64::from(date.month0()), "{date}");
            let first = date.with_day(1).expect("first");
            assert_eq!(month_first(month), (first - epoch).num_days(), "{date}");
            assert_eq!(month_last(month), (first + Months::new(1) - epoch).num_days() - 1, "{date}");
            for months in [1, 3, 6, 12] {
                let later = (date + Months::new(months) - epoch).num_days();
                assert_eq!(add_months(day, i64::from(months)), later, "{date} + {months}");
            }
            date = date + Days::new(1);
        }
    }

    #[test]
    fn shares_add_up_and_the_last_month_gets_the_rest() {
        // 2023-12-25 to 2024-01-07: 7 days each; 101 øre.
        let from = month_last(month_first(0) + 12 * 54 - 1) - 6;
        assert_eq!(month_text(month_of(from)), "2023-12");
        let month = month_of(from);
        assert_eq!(month_share(101, from, from + 13, month), 50);
        assert_eq!(month_share(101, from, from + 13, month + 1), 51);
        assert_eq!(month_share(-101, from, from + 13, month), -50);
        assert_eq!(month_share(-101, from, from + 13, month + 1), -51);
        assert_eq!(month_share(i64::MAX / 2, from, from + 365, month + 12), {
            let before: i64 =
                (month..month + 12).map(|m| month_share(i64::MAX / 2, from, from + 365, m)).sum();
            i64::MAX / 2 - before
        });
    }

    #[test]
    fn weeks_begin_on_monday() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("date");
        let mut date = NaiveDate::from_ymd_opt(1960, 1, 1).expect("date");
        while date.year() < 2041 {
            let back = Days::new(u64::from(date.weekday().num_days_from_monday()));
            assert_eq!(monday_of((date - epoch).num_days()), (date - back - epoch).num_days(), "{date}");
            date = date + Days::new(1);
        }
    }

    #[test]
    fn shares_of_weeks_add_up_and_the_last_week_gets_the_rest() {
        // 2026-01-01 is a Thursday: 4 days, then whole weeks, and 3 days of the last one in January 2026.
        let from = month_first(56 * 12);
        assert_eq!(monday_of(from), from - 3);
        let shares = |amount: i64, to: i64| -> Vec<i64> {
            (monday_of(from)..=monday_of(to))
                .step_by(7)
                .map(|week| week_share(amount, from, to, week))
                .collect()
        };
        assert_eq!(shares(1000, from + 30), [129, 225, 225, 225, 196]);
        assert_eq!(shares(-1000, from + 30), [-129, -225, -225, -225, -196]);
        assert_eq!(shares(1000, from + 3), [1000]);
        for (amount, days) in (0_i64..400).map(|days| (days * 7_919 - 1_000_003, days)) {
            assert_eq!(shares(amount, from + days).iter().sum::<i64>(), amount, "{days} days");
        }
        assert_eq!(shares(i64::MAX / 2, from + 365).iter().sum::<i64>(), i64::MAX / 2);
    }
}
