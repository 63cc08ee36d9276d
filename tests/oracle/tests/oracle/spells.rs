//! Spells by hand: gaps, states, stocks, what came after. Every expected number is reckoned in a comment.

use super::support::{BENEFITS_CSV, cells, inputs, lines, month, pay, wage};
use rettidig_oracle::row::Row;
use rettidig_oracle::{Inputs, SpellState, evaluate, spells};

fn total(cells: &rettidig_oracle::Cells, measure: &str) -> Vec<String> {
    lines(cells, measure, " total total")
}

fn states(rows: &[Row], as_of: &str) -> Vec<SpellState> {
    spells(&inputs(rows, as_of)).into_values().flatten().map(|spell| spell.state).collect()
}

/// 31 January to 1 March: February is empty, two spells. To 28 February: one. From 1 January to 28 February:
/// 57 empty days, yet no whole month: one. From 1 January to 1 March: two.
#[test]
fn a_whole_calendar_month_splits() {
    let count = |end: &str, back: &str| {
        let rows = [pay("a", "cash", end, end, 1), pay("b", "cash", back, back, 1)];
        states(&rows, "2027-01-01").len()
    };
    assert_eq!(count("2026-01-31", "2026-03-01"), 2);
    assert_eq!(count("2026-01-31", "2026-02-28"), 1);
    assert_eq!(count("2026-01-01", "2026-02-28"), 1);
    assert_eq!(count("2026-01-01", "2026-03-01"), 2);
    // 30 November to 1 January over a year's end, and a day less.
    assert_eq!(count("2025-11-30", "2026-01-01"), 2);
    assert_eq!(count("2025-11-30", "2025-12-31"), 1);
}

/// 1-10 and 12-20 January: the 11th is missing, two spells; 1-10 and 11-20: one.
#[test]
fn one_day_splits_sickness() {
    let rows = |from| {
        [pay("a", "sickness", "2026-01-01", "2026-01-10", 10), pay("b", "sickness", from, "2026-01-20", 10)]
    };
    let split = cells(&rows("2026-01-12"), "2026-01-31");
    assert_eq!(total(&split, "spell_flows"), ["0101 sickness 2026-01 total total: 2 2"]);
    // 10 and 9 days are one whole week each.
    assert_eq!(lines(&split, "ended_durations", ""), ["0101 sickness 2026-01 0-4: 2 19"]);
    let joined = cells(&rows("2026-01-11"), "2026-01-31");
    assert_eq!(total(&joined, "spell_flows"), ["0101 sickness 2026-01 total total: 1 1"]);
    assert_eq!(lines(&joined, "ended_durations", ""), ["0101 sickness 2026-01 0-4: 1 20"]);
    // On the last covered day itself the spell is open, the day after it has ended.
    assert_eq!(states(&rows("2026-01-11"), "2026-01-20"), [SpellState::Open]);
    assert_eq!(states(&rows("2026-01-11"), "2026-01-21"), [SpellState::Ended]);
}

/// `days:N` of the reference table of the last covered day: 5 in 2025, 1 from 2026 on.
/// Last day 20 December, next 25 December: 4 uncovered days, joined; next 26 December: 5, split.
/// Last day 31 December, next 2 January: 2025's rule, joined. Last day 2 January, next 4 January: split.
#[test]
fn the_gap_rule_is_that_of_the_last_day_before_the_gap() {
    let csv = "code,gap_rule,in_refund_ladder,valid_from,valid_to\n\
               cash,days:5,true,2025-01-01,2025-12-31\n\
               cash,one_day,true,2026-01-01,\n";
    let count = |end: &str, back: &str| {
        let rows = [pay("a", "cash", end, end, 1), pay("b", "cash", back, back, 1)];
        let inputs = Inputs { benefits_csv: csv.to_owned(), ..inputs(&rows, "2026-12-31") };
        spells(&inputs).into_values().flatten().count()
    };
    assert_eq!(count("2025-12-20", "2025-12-25"), 1);
    assert_eq!(count("2025-12-20", "2025-12-26"), 2);
    assert_eq!(count("2025-12-31", "2026-01-02"), 1);
    assert_eq!(count("2026-01-02", "2026-01-04"), 2);
    // Before 2025 no row is valid, so the newest is asked: one day splits.
    assert_eq!(count("2024-12-01", "2024-12-03"), 2);
}

/// Last covered day 10 January. 31 days later is 10 February: open until then (10 January < D − 31 first on
/// 11 February), provisionally ended from 11 to 27 February, ended on 28 February, the last day of the empty month.
/// With a last day of 31 January: D − 31 = 28 January on 28 February, so it ends without having been provisional.
#[test]
fn the_as_of_date_moves_over_each_border() {
    let rows = [pay("a", "cash", "2026-01-05", "2026-01-10", 6)];
    assert_eq!(states(&rows, "2026-01-01"), []);
    assert_eq!(states(&rows, "2026-01-07"), [SpellState::Open]);
    assert_eq!(states(&rows, "2026-02-10"), [SpellState::Open]);
    assert_eq!(states(&rows, "2026-02-11"), [SpellState::ProvisionallyEnded]);
    assert_eq!(states(&rows, "2026-02-27"), [SpellState::ProvisionallyEnded]);
    assert_eq!(states(&rows, "2026-02-28"), [SpellState::Ended]);
    let rows = [pay("a", "cash", "2026-01-05", "2026-01-31", 6)];
    assert_eq!(states(&rows, "2026-02-27"), [SpellState::Open]);
    assert_eq!(states(&rows, "2026-02-28"), [SpellState::Ended]);
}

/// 15 January to 10 March. D = 29 April: open, April is not over. Running at the ends of January, February, March
/// and April: 17; 17 + 28 = 45; 45 + 31 = 76; 76 + 30 = 106 days (April to its end, though D is before it).
/// D = 30 April: ended in March; February still counts, March and April do not.
#[test]
fn stocks_run_to_the_months_end() {
    let rows = [pay("a", "unemployment", "2026-01-15", "2026-03-10", 1)];
    let open = cells(&rows, "2026-04-29");
    assert_eq!(
        total(&open, "spell_stocks"),
        [
            "0101 unemployment 2026-01 total total: 0 1 17 1",
            "0101 unemployment 2026-02 total total: 1 1 45 1",
            "0101 unemployment 2026-03 total total: 1 1 76 1",
            "0101 unemployment 2026-04 total total: 1 1 106 1",
        ]
    );
    assert_eq!(total(&open, "spell_flows"), ["0101 unemployment 2026-01 total total: 1 0"]);
    assert_eq!(lines(&open, "ended_durations", ""), [""; 0]);
    let ended = cells(&rows, "2026-04-30");
    assert_eq!(
        total(&ended, "spell_stocks"),
        [
            "0101 unemployment 2026-01 total total: 0 1 17 1",
            "0101 unemployment 2026-02 total total: 1 1 45 1",
            "0101 unemployment 2026-03 total total: 1 0 0 0",
        ]
    );
    // 17 + 28 + 10 = 55 days are 7 whole weeks.
    assert_eq!(lines(&ended, "ended_durations", ""), ["0101 unemployment 2026-03 5-13: 1 55"]);
}

/// Bands by whole weeks of days: 34 days are 4 weeks, 35 are 5; 97 | 98; 188 | 189; 370 | 371; 734 | 735.
#[test]
fn bands_are_whole_weeks() {
    let band = |days: i32| {
        // A year at a time, as long as a payment may be.
        let first = super::support::day("2022-01-01");
        let last = first + days - 1;
        let mut rows = Vec::new();
        let mut from = first;
        while from <= last {
            let payment = pay(&from.to_string(), "cash", "2022-01-01", "2022-01-01", 1);
            rows.push(Row { from_day: Some(from), to_day: Some(last.min(from + 364)), ..payment });
            from += 365;
        }
        let result = cells(&rows, "2026-06-30");
        let (grain, counts) = result["ended_durations"].first_key_value().expect("a cell");
        assert_eq!(*counts, [1, i64::from(days)]);
        grain[3].clone()
    };
    let borders = [(34, "0-4"), (35, "5-13"), (97, "5-13"), (98, "14-26"), (188, "14-26"), (189, "27-52")];
    for (days, expected) in borders {
        assert_eq!(band(days), expected, "{days} days");
    }
    for (days, expected) in [(370, "27-52"), (371, "53-104"), (734, "53-104"), (735, "105+")] {
        assert_eq!(band(days), expected, "{days} days");
    }
}

/// Sick from 1 January 2026. 30 June is day 181, 31 July day 212 > 182. From 31 December 2025, 30 June is day 182:
/// not longer than 182. From 30 December it is day 183: longer.
#[test]
fn long_sickness_is_more_than_182_days() {
    let long = |from| {
        let result = cells(&[pay("a", "sickness", from, "2026-08-05", 1)], "2026-08-01");
        lines(&result, "long_sickness", "")
    };
    // D = 1 August: the month of D counts to its end.
    assert_eq!(long("2026-01-01"), ["0101 2026-07: 1", "0101 2026-08: 1"]);
    assert_eq!(long("2025-12-31"), ["0101 2026-07: 1", "0101 2026-08: 1"]);
    assert_eq!(long("2025-12-30"), ["0101 2026-06: 1", "0101 2026-07: 1", "0101 2026-08: 1"]);
}

fn status(rows: &[Row], income: &[(i32, &str)], as_of: &str) -> Vec<String> {
    let income_delivered = income.iter().map(|(area, newest)| (*area, month(newest))).collect();
    lines(&evaluate(&Inputs { income_delivered, ..inputs(rows, as_of) }), "status_after", "0101 cash")
}

/// The spell ends on 31 January. Targets: 28 February, 30 April, 31 July, 31 January 2027.
/// Wages in February only: employed after 1 month. Sickness 20 April to 10 May covers 30 April: other benefit after
/// 3. Nothing on 31 July: neither after 6. January 2027 is not over at D = 30 December 2026: pending after 12.
/// (Lines sort by the text of the months: 1, 12, 3, 6; counts: employed, other benefit, neither, pending.)
#[test]
fn status_after_one_three_six_and_twelve_months() {
    let rows = [
        pay("a", "cash", "2026-01-01", "2026-01-31", 1),
        pay("b", "sickness", "2026-04-20", "2026-05-10", 1),
        wage("w1", "2026-02", 5),
        wage("w2", "2026-08", 5),
    ];
    let full = [
        "0101 cash 2026-01 1: 1 0 0 0",
        "0101 cash 2026-01 12: 0 0 0 1",
        "0101 cash 2026-01 3: 0 1 0 0",
        "0101 cash 2026-01 6: 0 0 1 0",
    ];
    assert_eq!(status(&rows, &[(0, "2026-11")], "2026-12-30"), full);
    // Delivered by the municipality itself: the same. By another one only: all pending.
    assert_eq!(status(&rows, &[(101, "2026-11"), (0, "2020-01")], "2026-12-30"), full);
    let pending = [
        "0101 cash 2026-01 1: 0 0 0 1",
        "0101 cash 2026-01 12: 0 0 0 1",
        "0101 cash 2026-01 3: 0 0 0 1",
        "0101 cash 2026-01 6: 0 0 0 1",
    ];
    assert_eq!(status(&rows, &[(147, "2026-11")], "2026-12-30"), pending);
    // D = 27 February: the spell has not even ended, so nothing is counted; 28 February: ended, and February over.
    assert_eq!(status(&rows, &[(0, "2026-11")], "2026-02-27"), [""; 0]);
    assert_eq!(status(&rows, &[(0, "2026-02")], "2026-02-28")[0], full[0]);
    // April is known on its last day and not on the day before.
    assert_eq!(status(&rows, &[(0, "2026-11")], "2026-04-29")[2], pending[2]);
    assert_eq!(status(&rows, &[(0, "2026-11")], "2026-04-30")[2], full[2]);
}

/// Income for February comes late: until a delivery reaches February, all is pending. Then the wage, retracted in
/// part (5 − 4 = 1, employed), wholly (neither).
#[test]
fn late_income_is_pending_until_delivered() {
    let paid = pay("a", "cash", "2026-01-01", "2026-01-31", 1);
    let rows = [paid.clone(), wage("w1", "2026-02", 5), wage("w2", "2026-02", -4)];
    assert_eq!(status(&rows, &[], "2026-03-31")[0], "0101 cash 2026-01 1: 0 0 0 1");
    assert_eq!(status(&rows, &[(101, "2026-01")], "2026-03-31")[0], "0101 cash 2026-01 1: 0 0 0 1");
    assert_eq!(status(&rows, &[(101, "2026-02")], "2026-03-31")[0], "0101 cash 2026-01 1: 1 0 0 0");
    let rows = [paid, wage("w1", "2026-02", 5), wage("w2", "2026-02", -5)];
    assert_eq!(status(&rows, &[(101, "2026-02")], "2026-03-31")[0], "0101 cash 2026-01 1: 0 0 1 0");
}

/// A spell ends on 31 January 2025. 26 × 7 = 182 days later is 1 August 2025; 52 × 7 = 364 days: 30 January 2026.
#[test]
fn relapse_within_the_weeks_and_a_day_more() {
    let relapse = |back: &str| {
        let rows = [
            pay("a", "cash", "2025-01-01", "2025-01-31", 1),
            pay("b", "cash", back, back, 1),
            // Another benefit is no relapse.
            pay("c", "sickness", "2025-03-01", "2025-03-01", 1),
        ];
        lines(&cells(&rows, back), "relapse", "cash")
    };
    assert_eq!(relapse("2025-08-01"), ["0101 cash 2025-01: 1 1"]);
    assert_eq!(relapse("2025-08-02"), ["0101 cash 2025-01: 0 1"]);
    assert_eq!(relapse("2026-01-30"), ["0101 cash 2025-01: 0 1"]);
    assert_eq!(relapse("2026-01-31"), [""; 0]);
}

/// First quarter: one spell of 1-20 January (20 days = 2 weeks, ended), one since 10 March, still open at
/// D = 30 March (21 days = 3 weeks, censored). Second quarter of 2025: a single day, ended after 0 weeks.
/// week 0: 2 at risk, 0 ended; 1: 2, 0; 2: 2, 1; 3: 1, 0; 4: none.
#[test]
fn survival_counts_open_spells_as_long_as_they_are_known() {
    let rows = [
        pay("a", "sickness", "2026-01-01", "2026-01-20", 1),
        pay("b", "sickness", "2026-03-10", "2026-04-10", 1),
        pay("c", "sickness", "2025-06-30", "2025-06-30", 1),
    ];
    assert_eq!(
        lines(&cells(&rows, "2026-03-30"), "survival", ""),
        [
            "sickness 2025-Q2 000: 1 1",
            "sickness 2026-Q1 000: 2 0",
            "sickness 2026-Q1 001: 2 0",
            "sickness 2026-Q1 002: 2 1",
            "sickness 2026-Q1 003: 1 0",
        ]
    );
    // A spell of more than 104 weeks is at risk to the end and ends in none of them: two years of 2022 and 2023 are
    // 730 days = 104 weeks and 2 days (ended in week 104); with 5 more days 105.
    let years = |extra| {
        let rows =
            [pay("a", "cash", "2022-01-01", "2022-12-31", 1), pay("b", "cash", "2023-01-01", extra, 1)];
        lines(&cells(&rows, "2026-06-30"), "survival", " 104")
    };
    assert_eq!(years("2023-12-31"), ["cash 2022-Q1 104: 1 1"]);
    assert_eq!(years("2024-01-05"), ["cash 2022-Q1 104: 1 0"]);
}

/// The repository's own table is read without complaint.
#[test]
fn the_reference_table_is_understood() {
    assert!(BENEFITS_CSV.contains("sickness"));
    assert!(cells(&[], "2026-06-30").values().all(|rows| rows.is_empty()));
}
