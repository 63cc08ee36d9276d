//! Days and months as plain numbers. Units: days since 1 January 1970, months since January 1970.

use chrono::{Datelike, Months, NaiveDate};

/// A day, days since 1 January 1970.
pub type Day = i32;

/// A calendar month, months since January 1970.
pub type Month = i32;

/// What chrono counts as 1 January 1970.
const EPOCH_FROM_CE: i32 = 719_163;

/// The day of a date.
pub fn day_of(date: NaiveDate) -> Day {
    date.num_days_from_ce() - EPOCH_FROM_CE
}

/// The date of a day.
///
/// # Panics
/// On days that chrono cannot count.
pub fn date_of(day: Day) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(day + EPOCH_FROM_CE).expect("a day within the calendar")
}

/// The calendar month a day lies in.
pub fn month_of(day: Day) -> Month {
    let date = date_of(day);
    (date.year() - 1970) * 12 + date.month0().cast_signed()
}

/// The Monday of a day's week.
pub fn monday_of(day: Day) -> Day {
    day - date_of(day).weekday().num_days_from_monday().cast_signed()
}

/// The first day of a month.
///
/// # Panics
/// On months that chrono cannot count.
pub fn first_day_of(month: Month) -> Day {
    let number = u32::try_from(month.rem_euclid(12) + 1).expect("1 to 12");
    let first = NaiveDate::from_ymd_opt(1970 + month.div_euclid(12), number, 1);
    day_of(first.expect("a month within the calendar"))
}

/// The last day of a month.
pub fn last_day_of(month: Month) -> Day {
    first_day_of(month + 1) - 1
}

/// The same day of the month `months` later, or that month's last day where it has no such day.
///
/// # Panics
/// On days that chrono cannot count.
pub fn months_after(day: Day, months: u32) -> Day {
    day_of(date_of(day).checked_add_months(Months::new(months)).expect("a day within the calendar"))
}

/// A month as `YYYY-MM`.
pub fn month_text(month: Month) -> String {
    format!("{:04}-{:02}", 1970 + month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// The quarter of a month as `YYYY-Qn`.
pub fn quarter_text(month: Month) -> String {
    format!("{:04}-Q{}", 1970 + month.div_euclid(12), month.rem_euclid(12) / 3 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> Day {
        day_of(NaiveDate::from_ymd_opt(year, month, day).expect("date"))
    }

    #[test]
    fn months_begin_and_end_where_they_do() {
        assert_eq!(day(1970, 1, 1), 0);
        assert_eq!(day(1971, 1, 1), 365);
        assert_eq!(month_of(day(2024, 2, 29)), 54 * 12 + 1);
        assert_eq!(last_day_of(54 * 12 + 1), day(2024, 2, 29));
        assert_eq!(last_day_of(55 * 12 + 1), day(2025, 2, 28));
        assert_eq!(first_day_of(55 * 12), day(2025, 1, 1));
        assert_eq!(month_text(54 * 12 + 11), "2024-12");
        assert_eq!(month_text(month_of(-1)), "1969-12");
        assert_eq!(quarter_text(54 * 12 + 11), "2024-Q4");
        assert_eq!(quarter_text(54 * 12), "2024-Q1");
    }

    #[test]
    fn a_month_after_the_31st_is_the_last_of_february() {
        assert_eq!(months_after(day(2024, 1, 31), 1), day(2024, 2, 29));
        assert_eq!(months_after(day(2025, 1, 31), 1), day(2025, 2, 28));
        assert_eq!(months_after(day(2024, 2, 29), 12), day(2025, 2, 28));
        assert_eq!(months_after(day(2025, 11, 30), 3), day(2026, 2, 28));
    }
}
