//! Covered days, money, age and refund by hand. Every expected number is reckoned in the comment above it.

use super::support::{cells, day, lines, month, pay, row, step};
use rettidig_event::person::kind;
use rettidig_oracle::row::{Row, op, topic};

fn total(cells: &rettidig_oracle::Cells, measure: &str) -> Vec<String> {
    lines(cells, measure, " total total")
}

/// Record of 0147 over record of 0101, 20 January to 5 February. 0147 is recorded later, so the days it covers are
/// its: 0101 has 1-19 January = 19 days; 0147 has 20-31 January = 12 days and 1-5 February = 5 days. In January the
/// person is a recipient of both. Money goes by the interval: 31,000 ÷ 31 days all in January; 17,000 over 17 days:
/// 12,000 and 5,000.
#[test]
fn days_of_two_municipalities_are_the_later_ones() {
    let first = Row { op: op::UPSERT, ..pay("a", "cash", "2026-01-01", "2026-01-31", 31_000) };
    let second =
        Row { op: op::UPSERT, municipality: 147, ..pay("b", "cash", "2026-01-20", "2026-02-05", 17_000) };
    let result = cells(&[second, first], "2026-06-30");
    assert_eq!(
        total(&result, "covered"),
        [
            "0101 cash 2026-01 total total: 19 1",
            "0147 cash 2026-01 total total: 12 1",
            "0147 cash 2026-02 total total: 5 1",
        ]
    );
    assert_eq!(
        lines(&result, "amounts", ""),
        ["0101 cash 2026-01: 31000 0", "0147 cash 2026-01: 12000 0", "0147 cash 2026-02: 5000 0"]
    );
    // The spell starts in 0101 on 1 January and ends in 0147 on 5 February: March is empty.
    assert_eq!(
        total(&result, "spell_flows"),
        ["0101 cash 2026-01 total total: 1 0", "0147 cash 2026-02 total total: 0 1"]
    );
}

/// Both recorded at one instant from one source: `b` comes after `a`, so all shared days are those of `b`.
/// With a later source for `a`, they are those of `a`.
#[test]
fn equal_instants_are_told_apart_by_source_then_id() {
    let recorded_at = i64::from(day("2026-03-01")) * 86_400_000_000;
    let a = Row { op: op::UPSERT, recorded_at, ..pay("a", "cash", "2026-01-01", "2026-01-10", 1) };
    let b = Row {
        op: op::UPSERT,
        recorded_at,
        municipality: 147,
        ..pay("b", "cash", "2026-01-06", "2026-01-10", 1)
    };
    let result = cells(&[b.clone(), a.clone()], "2026-06-30");
    assert_eq!(
        total(&result, "covered"),
        ["0101 cash 2026-01 total total: 5 1", "0147 cash 2026-01 total total: 5 1"]
    );
    let a = Row { source: "unit".to_owned(), ..a };
    let result = cells(&[b.clone(), a.clone()], "2026-06-30");
    assert_eq!(total(&result, "covered"), ["0101 cash 2026-01 total total: 10 1"]);
    // An interval of the ledger has its place in the same order: `a` of the ledger comes before the record `b`.
    let ledger = Row { op: op::ADD, source: "test".to_owned(), ..a };
    let result = cells(&[ledger, b], "2026-06-30");
    assert_eq!(
        total(&result, "covered"),
        ["0101 cash 2026-01 total total: 5 1", "0147 cash 2026-01 total total: 5 1"]
    );
}

/// Two rows of the ledger with the same days are one interval in the municipality of the later row, whichever paid.
#[test]
fn a_ledger_interval_lies_where_its_latest_row_does() {
    let paid = pay("a", "cash", "2026-01-01", "2026-01-10", 1_000);
    let moved = Row {
        municipality: 147,
        recorded_at: paid.recorded_at + 1,
        ..pay("b", "cash", "2026-01-01", "2026-01-10", -100)
    };
    let result = cells(&[paid, moved], "2026-06-30");
    assert_eq!(total(&result, "covered"), ["0147 cash 2026-01 total total: 10 1"]);
    assert_eq!(lines(&result, "amounts", ""), ["0147 cash 2026-01: 900 0"]);
}

/// 29 December 2025 to 4 January 2026: 7 days, 3 and 4. 1,000 øre: 1,000 × 3 ÷ 7 = 428.57 → 428, rest 572.
/// Refund −100: −100 × 3 ÷ 7 = −42.86 → −42 (toward zero), rest −58.
#[test]
fn a_week_over_new_year_leaves_its_remainder_to_january() {
    let payment = Row { refund_oere: Some(-100), ..pay("a", "cash", "2025-12-29", "2026-01-04", 1_000) };
    let result = cells(&[payment], "2026-06-30");
    assert_eq!(lines(&result, "amounts", ""), ["0101 cash 2025-12: 428 -42", "0101 cash 2026-01: 572 -58"]);
    assert_eq!(
        total(&result, "covered"),
        ["0101 cash 2025-12 total total: 3 1", "0101 cash 2026-01 total total: 4 1"]
    );
}

/// 30 January to 1 March 2024: 2 + 29 + 1 = 32 days. 100 øre: 2 ÷ 32 → 6.25 → 6; 29 ÷ 32 → 90.6 → 90; rest 4.
/// The same days of 2025 are 31: 6.45 → 6; 28 ÷ 31 → 90.3 → 90; rest 4.
#[test]
fn february_has_a_leap_day_in_2024_only() {
    let result = cells(&[pay("a", "cash", "2024-01-30", "2024-03-01", 100)], "2026-06-30");
    assert_eq!(
        total(&result, "covered"),
        [
            "0101 cash 2024-01 total total: 2 1",
            "0101 cash 2024-02 total total: 29 1",
            "0101 cash 2024-03 total total: 1 1",
        ]
    );
    assert_eq!(
        lines(&result, "amounts", ""),
        ["0101 cash 2024-01: 6 0", "0101 cash 2024-02: 90 0", "0101 cash 2024-03: 4 0"]
    );
    let result = cells(&[pay("a", "cash", "2025-01-30", "2025-03-01", 100)], "2026-06-30");
    assert_eq!(lines(&result, "covered", "2025-02 total"), ["0101 cash 2025-02 total total: 28 1"]);
}

/// Days are cut at D, money is not. 1-31 March at D = 10 March: 10 days, 310 øre. April: money only.
#[test]
fn the_future_has_money_but_no_days() {
    let rows = [
        pay("a", "cash", "2026-03-01", "2026-03-31", 310),
        pay("b", "cash", "2026-04-01", "2026-04-30", 300),
    ];
    let result = cells(&rows, "2026-03-10");
    assert_eq!(total(&result, "covered"), ["0101 cash 2026-03 total total: 10 1"]);
    assert_eq!(lines(&result, "amounts", ""), ["0101 cash 2026-03: 310 0", "0101 cash 2026-04: 300 0"]);
    // Money of all March × 80 % × 10 days ÷ (100 × 10 days) = 248; none for April, which has no covered day.
    assert_eq!(lines(&result, "refund_expected", ""), ["0101 cash 2026-03: 248"]);
}

/// January's net is 500 − 500 = 0: no covered day and no money. February's is 500 − 700 = −200: no covered day, but
/// the sum sinks below zero. The retraction of January comes before its payment. Another record of February, 10th to
/// 12th with amount 0, does not count either; March's row comes again with another amount: the first stays, 300; a
/// ledger's rows have no revisions.
#[test]
fn a_net_of_zero_or_less_covers_nothing() {
    let rows = [
        pay("r1", "cash", "2026-01-01", "2026-01-31", -500),
        pay("p1", "cash", "2026-01-01", "2026-01-31", 500),
        pay("p2", "cash", "2026-02-01", "2026-02-28", 500),
        pay("r2", "cash", "2026-02-01", "2026-02-28", -700),
        Row { op: op::UPSERT, ..pay("u", "cash", "2026-02-10", "2026-02-12", 0) },
        pay("p3", "cash", "2026-03-01", "2026-03-31", 300),
        Row { revision: 5, ..pay("p3", "cash", "2026-03-01", "2026-03-31", 999) },
    ];
    let result = cells(&rows, "2026-06-30");
    assert_eq!(total(&result, "covered"), ["0101 cash 2026-03 total total: 31 1"]);
    assert_eq!(lines(&result, "amounts", ""), ["0101 cash 2026-02: -200 0", "0101 cash 2026-03: 300 0"]);
}

/// The highest revision counts whatever arrives when: revision 3 (May, 5 days) arrives before 2 (a deletion) and 1.
/// A record deleted at its highest revision, before its upsert arrives, leaves nothing. The first of two rows of one
/// revision stays. The same source and id on another topic, or of another person, is something else.
#[test]
fn the_highest_revision_wins() {
    let version = |revision, from, to| Row { op: op::UPSERT, revision, ..pay("a", "cash", from, to, 100) };
    let delete = |id, revision| Row {
        op: op::DELETE,
        revision,
        kind: kind::PAYMENT,
        ..row(topic::PAYMENTS, op::DELETE, id, "2026-01-01", 101)
    };
    let rows = [
        version(3, "2026-05-01", "2026-05-05"),
        version(3, "2026-05-01", "2026-05-20"),
        delete("a", 2),
        version(1, "2026-01-01", "2026-01-31"),
        delete("b", 9),
        Row { id: "b".to_owned(), ..version(8, "2026-01-01", "2026-01-31") },
        step("a", kind::ORIGIN, "2026-01-01", None, "danish"),
        Row { person: [2; 16], ..version(0, "2026-04-01", "2026-04-02") },
    ];
    let result = cells(&rows, "2026-06-30");
    assert_eq!(
        total(&result, "covered"),
        ["0101 cash 2026-04 total total: 2 1", "0101 cash 2026-05 total total: 5 1"]
    );
    assert_eq!(
        lines(&result, "covered", "origin"),
        ["0101 cash 2026-04 origin unknown: 2 1", "0101 cash 2026-05 origin danish: 5 1"]
    );
}

/// Born in July 1996: (July 2026 − July 1996) ÷ 12 = 30 from July on, 29 at the end of June.
#[test]
fn thirty_is_turned_at_the_beginning_of_the_month() {
    let payment =
        Row { birth_month: Some(month("1996-07")), ..pay("a", "cash", "2026-06-01", "2026-07-31", 61) };
    let result = cells(&[payment], "2026-08-31");
    assert_eq!(lines(&result, "under_30", ""), ["0101 cash 2026-06: 30 0 1"]);
    assert_eq!(
        lines(&result, "covered", " age "),
        ["0101 cash 2026-06 age 25-29: 30 1", "0101 cash 2026-07 age 30-49: 31 1"]
    );
    // The spell stays in the group it began in.
    assert_eq!(
        lines(&result, "spell_stocks", " age "),
        [
            // 30 June − 1 June + 1 = 30 days. D = 31 August: August has been empty to its end, so the spell has
            // ended on 31 July and is open at no later month's end.
            "0101 cash 2026-06 age 25-29: 0 1 30 1",
            "0101 cash 2026-07 age 25-29: 1 0 0 0",
        ]
    );
}

/// The latest row with a value tells birth and sex: a deleted one here, as the newest of all says nothing.
/// Without any: unknown, and the days are counted as of unknown birth.
#[test]
fn birth_and_sex_are_the_latest_known() {
    let old = Row {
        birth_month: Some(month("1950-01")),
        sex: Some(2),
        ..pay("a", "cash", "2026-01-01", "2026-01-31", 31)
    };
    let deleted = Row {
        birth_month: Some(month("2002-01")),
        sex: Some(1),
        revision: 1,
        kind: kind::REGISTRATION,
        ..row(topic::CASES, op::DELETE, "d", "2026-02-01", 101)
    };
    let silent = row(topic::CASES, op::DELETE, "e", "2026-03-01", 101);
    let unknown = Row { person: [2; 16], ..pay("a", "cash", "2026-01-05", "2026-01-06", 2) };
    let result = cells(&[deleted, old, silent, unknown], "2026-06-30");
    assert_eq!(
        lines(&result, "covered", " age "),
        ["0101 cash 2026-01 age 16-24: 31 1", "0101 cash 2026-01 age unknown: 2 1"]
    );
    assert_eq!(
        lines(&result, "covered", " sex "),
        ["0101 cash 2026-01 sex female: 31 1", "0101 cash 2026-01 sex unknown: 2 1"]
    );
    assert_eq!(lines(&result, "under_30", ""), ["0101 cash 2026-01: 31 2 1"]);
}

/// Origin at the month's end: danish since 1 January, western since 28 February, non_western since 1 March but
/// recorded for the same `from` as another: the later row counts.
#[test]
fn origin_is_that_of_the_months_end() {
    let rows = [
        pay("a", "cash", "2026-01-01", "2026-03-31", 90),
        step("o1", kind::ORIGIN, "2026-01-01", None, "danish"),
        step("o2", kind::ORIGIN, "2026-02-28", None, "western"),
        step("o4", kind::ORIGIN, "2026-03-01", None, "non_western"),
        step("o3", kind::ORIGIN, "2026-03-01", None, "danish"),
        // Recorded last of all, but of an earlier day than the others.
        Row { recorded_at: i64::MAX, ..step("o5", kind::ORIGIN, "2025-12-31", None, "western") },
    ];
    let result = cells(&rows, "2026-06-30");
    assert_eq!(
        lines(&result, "covered", "origin"),
        [
            "0101 cash 2026-01 origin danish: 31 1",
            "0101 cash 2026-02 origin western: 28 1",
            "0101 cash 2026-03 origin non_western: 31 1",
        ]
    );
}

/// An offer from 20 January on without an end: 12 of January's 31 covered days and all 28 of February. An offer that
/// is deleted does not run. A second offer on the same days changes nothing.
#[test]
fn an_open_offer_still_runs() {
    let rows = [
        pay("a", "cash", "2026-01-01", "2026-02-28", 59),
        step("x", kind::ACTIVATION, "2026-01-20", None, "job_training"),
        step("y", kind::ACTIVATION, "2026-02-01", Some("2026-02-10"), "course"),
        step("z", kind::ACTIVATION, "2026-01-01", None, "course"),
        Row { revision: 1, ..row(topic::CASES, op::DELETE, "z", "2026-01-02", 101) },
    ];
    let result = cells(&rows, "2026-06-30");
    assert_eq!(
        total(&result, "activated"),
        ["0101 cash 2026-01 total total: 12 1", "0101 cash 2026-02 total total: 28 1"]
    );
    // The second offer alone: 1-10 February, both days included.
    let result = cells(&[rows[0].clone(), rows[2].clone()], "2026-06-30");
    assert_eq!(total(&result, "activated"), ["0101 cash 2026-02 total total: 10 1"]);
}

/// D = 15 March. Held on the due day: on time; a day late: not; never: not; due on 16 March: not yet due.
/// Tests: one passed, one not, one on 16 March not yet.
#[test]
fn contacts_and_tests_count_once_their_day_has_come() {
    let test =
        |id, on, passed| Row { passed: Some(passed), ..step(id, kind::LANGUAGE_TEST, on, None, "pd2") };
    let rows = [
        step("a", kind::CONTACT, "2026-03-10", Some("2026-03-10"), "meeting"),
        step("b", kind::CONTACT, "2026-03-10", Some("2026-03-11"), "meeting"),
        step("c", kind::CONTACT, "2026-03-15", None, "phone"),
        step("d", kind::CONTACT, "2026-03-16", Some("2026-03-01"), "phone"),
        test("e", "2026-03-15", true),
        test("f", "2026-03-15", false),
        test("g", "2026-03-16", true),
    ];
    let result = cells(&rows, "2026-03-15");
    assert_eq!(lines(&result, "contacts", ""), ["0101 2026-03: 3 1 1 1 1"]);
    assert_eq!(lines(&result, "language_tests", ""), ["0101 2026-03: 2 1 1 1 1"]);
}

/// D = 31 August. At `a` one passed and one failed in the round from January, another one passed in the round from July; at
/// no school that is told one failed in the first. All together: three and one, of one person.
#[test]
fn tests_count_at_their_school_and_in_their_round() {
    let test = |id, on, passed, school: Option<&str>| Row {
        passed: Some(passed),
        school: school.map(str::to_owned),
        ..step(id, kind::LANGUAGE_TEST, on, None, "pd2")
    };
    let rows = [
        test("a", "2026-01-01", true, Some("a")),
        test("b", "2026-06-30", false, Some("a")),
        test("c", "2026-07-01", true, Some("a")),
        test("d", "2026-05-15", false, None),
        test("e", "2026-09-01", true, Some("a")),
    ];
    assert_eq!(
        lines(&cells(&rows, "2026-08-31"), "school_tests", ""),
        [
            "a 2026-01: 2 1 1 1 1",
            "a 2026-07: 1 1 1 1 0",
            "total 2026-01: 3 1 1 1 1",
            "total 2026-07: 1 1 1 1 0",
            "unknown 2026-01: 1 0 1 0 1",
        ]
    );
}

/// 2023 from 1 January, day by day of the ladder: January 1-28 at 80 %, 29-31 at 40 %.
/// - January: 28 × 80 + 3 × 40 = 2,360 over 31 days: 3,100 × 2,360 ÷ 3,100 = 2,360.
/// - February to June = day 32 to 181: 40 %. July 1 is day 182, still 40 %; 2 July, day 183, is 30 %:
///   July: 40 + 30 × 30 = 940 over 31: 3,100 × 940 ÷ 3,100 = 940.
/// - December: 31 December is day 365, so 30 days at 30 % and one at 20 %: 920.
/// - January 2024: 20 %: 620.
#[test]
fn the_refund_ladder_goes_down_at_its_thresholds() {
    let mut rows = Vec::new();
    for at in month("2023-01")..=month("2024-01") {
        let first = rettidig_oracle::calendar::first_day_of(at);
        let last = rettidig_oracle::calendar::last_day_of(at);
        rows.push(Row {
            from_day: Some(first),
            to_day: Some(last),
            ..pay(&format!("{at}"), "cash", "2023-01-01", "2023-01-01", 100 * i64::from(last - first + 1))
        });
    }
    let result = cells(&rows, "2024-06-30");
    let lines = lines(&result, "refund_expected", "");
    assert_eq!(lines[0], "0101 cash 2023-01: 2360");
    // 28 days at 40 %.
    assert_eq!(lines[1], "0101 cash 2023-02: 1120");
    assert_eq!(lines[5], "0101 cash 2023-06: 1200");
    assert_eq!(lines[6], "0101 cash 2023-07: 940");
    assert_eq!(lines[11], "0101 cash 2023-12: 920");
    assert_eq!(lines[12], "0101 cash 2024-01: 620");
}

/// Sickness 1-20 January and cash 11-31 January: the days 11-20 count once, so 31 January is day 31.
/// Cash: day 11-28 at 80 % (18 × 80 = 1,440) and 29-31 at 40 % (120): 1,560 over 21 days; 2,101 øre:
/// 2,101 × 1,560 ÷ 2,100 = 1,560.74 → 1,560. Sickness: all at 80 %: 2,000 × 1,600 ÷ 2,000 = 1,600.
/// Early retirement stands on no ladder: nothing. Days before 2016 count neither as days nor for money: a payment of
/// December 2015 leaves the ladder where it was.
#[test]
fn the_ladder_is_the_union_of_its_benefits() {
    let rows = [
        pay("a", "sickness", "2026-01-01", "2026-01-20", 2_000),
        pay("b", "cash", "2026-01-11", "2026-01-31", 2_101),
        pay("c", "early_retirement", "2026-01-01", "2026-01-31", 1_000),
        pay("d", "cash", "2015-12-01", "2015-12-31", 1_000),
    ];
    let result = cells(&rows, "2026-06-30");
    assert_eq!(
        lines(&result, "refund_expected", ""),
        ["0101 cash 2026-01: 1560", "0101 sickness 2026-01: 1600"]
    );
}

/// A month shared by two municipalities: money by the interval (0101: all 31,000 of January), days by the day
/// (0101 has 1-19 January at 80 %), so 31,000 × 19 × 80 ÷ (100 × 19) = 24,800; 0147 has 12 days, 20-28 at 80 % and
/// 29-31 at 40 %: 9 × 80 + 3 × 40 = 840: 12,000 × 840 ÷ 1,200 = 8,400.
#[test]
fn a_cell_of_the_ladder_is_one_municipality() {
    let later = Row { municipality: 147, ..pay("b", "cash", "2026-01-20", "2026-02-05", 17_000) };
    let rows = [pay("a", "cash", "2026-01-01", "2026-01-31", 31_000), later];
    let result = cells(&rows, "2026-06-30");
    assert_eq!(
        lines(&result, "refund_expected", "2026-01"),
        ["0101 cash 2026-01: 24800", "0147 cash 2026-01: 8400"]
    );
    // Days 32-36: 40 % of 5,000.
    assert_eq!(lines(&result, "refund_expected", "2026-02"), ["0147 cash 2026-02: 2000"]);
}

/// Thursday 1 January to Wednesday 28 January 2026 is the ladder's first step, 29 January its second. 3,100 øre of January:
/// 4 days of the week of 29 December, 400; three weeks of 700; 26-31 January the rest, 600: three days at 80 % and three at
/// 40 %: 600 × 360 ÷ 600 = 360. The refund, 1,000 øre, is 129, 3 × 225 and the rest, 196. A payment of the day after is of
/// another municipality, whose week it shares: 100 × 40 %.
#[test]
fn refund_by_week_is_that_of_the_weeks_days() {
    let january = Row { refund_oere: Some(1_000), ..pay("a", "cash", "2026-01-01", "2026-01-31", 3_100) };
    let moved = Row { municipality: 147, ..pay("b", "cash", "2026-02-01", "2026-02-01", 100) };
    // A record of a benefit period tells no refund: nothing is looked for.
    let record =
        Row { op: op::UPSERT, municipality: 155, ..pay("c", "cash", "2026-01-05", "2026-01-11", 700) };
    let result = cells(&[january, moved, record], "2026-06-30");
    assert_eq!(
        lines(&result, "refund_weeks", ""),
        [
            "0101 2025-12 2025-12-29: 320 129 1 1",
            "0101 2026-01 2026-01-05: 560 225 1 1",
            "0101 2026-01 2026-01-12: 560 225 1 1",
            "0101 2026-01 2026-01-19: 560 225 1 1",
            "0101 2026-01 2026-01-26: 360 196 1 1",
            "0147 2026-01 2026-01-26: 40 0 1 0",
        ]
    );
}
