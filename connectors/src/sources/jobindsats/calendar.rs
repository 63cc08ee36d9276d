//! The release calendar: what `/tables` says of each table, and when to ask again.
//!
//! The nesting of `/tables` (subject, table groups, tables) is documented, not recorded; so the answer is
//! walked, and every object with a `table_id` is a table. Dates are Danish civil dates without an hour.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Copenhagen;
use rettidig_event::Reason;
use rettidig_event::clock::danish_date;
use serde_json::Value;

use super::profile::Schedule;
use crate::emit::Refusal;

/// What the calendar says of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub latest: Option<NaiveDate>,
    pub next: Option<NaiveDate>,
}

/// Deeper than any answer; a walk must end.
const DEPTH_MAX: usize = 24;

pub(super) fn read(answer: &Value) -> Result<BTreeMap<String, Listed>, Refusal> {
    let mut tables = BTreeMap::new();
    walk(answer, 0, &mut tables);
    if tables.is_empty() {
        return Err(Refusal::new(Reason::UnknownShape, "no object with table_id in the list of tables"));
    }
    Ok(tables)
}

fn walk(value: &Value, depth: usize, tables: &mut BTreeMap<String, Listed>) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, depth + 1, tables)),
        Value::Object(object) => {
            if let Some(id) = object.get("table_id").and_then(Value::as_str) {
                let date = |key: &str| {
                    let text = object.get(key)?.as_str()?;
                    NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()
                };
                tables.insert(
                    id.to_owned(),
                    Listed { latest: date("update_latest"), next: date("update_next") },
                );
            }
            object.values().for_each(|item| walk(item, depth + 1, tables));
        }
        _ => {}
    }
}

/// The instant that stands for a publication date: 06:00 UTC of that day. The calendar names no hour; this
/// one is 08:00 Danish summer time, before the first observed releases and after the working day began.
pub(super) fn published_at(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::from_hms_opt(6, 0, 0).unwrap_or_default()).and_utc()
}

/// When the next poll is worth its while, by what the calendar says of the polled tables.
pub(super) fn next_poll(
    schedule: &Schedule,
    now: DateTime<Utc>,
    listed: &[Listed],
    failed: bool,
) -> DateTime<Utc> {
    let minutes = |minutes: u64| TimeDelta::minutes(i64::try_from(minutes).unwrap_or(i64::MAX / 1_000_000));
    let today = danish_date(now);
    let mut next = now + minutes(schedule.quiet_minutes);
    if failed {
        next = next.min(now + minutes(schedule.retry_minutes));
    }
    for table in listed {
        let Some(due) = table.next else { continue };
        let arrived = table.latest.is_some_and(|latest| latest >= due);
        let given_up = due.checked_add_days(Days::new(schedule.overdue_days)).is_none_or(|last| today > last);
        if arrived || given_up {
            continue;
        }
        // A day that has begun, or one that is late, is watched from its morning on.
        let morning = morning(due.max(today), schedule.release_from);
        let watch = if now >= morning { now + minutes(schedule.release_minutes) } else { morning };
        next = next.min(watch);
    }
    next
}

fn morning(date: NaiveDate, at: NaiveTime) -> DateTime<Utc> {
    let local = date.and_time(at);
    // A time that does not exist (the night summer time begins) is read as UTC: an hour or two early.
    Copenhagen.from_local_datetime(&local).earliest().map_or(local.and_utc(), |local| local.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            quiet_minutes: 360,
            release_from: NaiveTime::from_hms_opt(7, 30, 0).expect("time"),
            release_minutes: 5,
            overdue_days: 3,
            retry_minutes: 15,
        }
    }

    #[test]
    fn polls_rarely_before_the_day_and_often_on_it() {
        let date = |text: &str| text.parse::<NaiveDate>().ok();
        let listed = [Listed { latest: date("2026-07-20"), next: date("2026-08-19") }];
        for (now, failed, expected) in [
            ("2026-08-10T12:00:00Z", false, "2026-08-10T18:00:00Z"),
            ("2026-08-10T12:00:00Z", true, "2026-08-10T12:15:00Z"),
            // The evening before: not six hours, but the next morning if that is sooner.
            ("2026-08-19T01:00:00Z", false, "2026-08-19T05:30:00Z"),
            ("2026-08-19T05:29:59Z", false, "2026-08-19T05:30:00Z"),
            ("2026-08-19T05:30:00Z", false, "2026-08-19T05:35:00Z"),
            ("2026-08-19T21:00:00Z", false, "2026-08-19T21:05:00Z"),
            // Late: watched every morning, until it is given up.
            ("2026-08-20T03:00:00Z", false, "2026-08-20T05:30:00Z"),
            ("2026-08-22T08:00:00Z", false, "2026-08-22T08:05:00Z"),
            ("2026-08-23T08:00:00Z", false, "2026-08-23T14:00:00Z"),
        ] {
            let at: DateTime<Utc> = now.parse().expect("instant");
            let next = next_poll(&schedule(), at, &listed, failed);
            assert_eq!(crate::emit::instant(next), expected, "at {now}, failed: {failed}");
        }
        let arrived = [Listed { latest: date("2026-08-19"), next: date("2026-08-19") }];
        let at = "2026-08-19T08:00:00Z".parse().expect("instant");
        assert_eq!(crate::emit::instant(next_poll(&schedule(), at, &arrived, false)), "2026-08-19T14:00:00Z");
        // Winter time: 07:30 is 06:30 UTC.
        let winter = [Listed { latest: None, next: date("2026-12-18") }];
        let at = "2026-12-18T05:00:00Z".parse().expect("instant");
        assert_eq!(crate::emit::instant(next_poll(&schedule(), at, &winter, false)), "2026-12-18T06:30:00Z");
    }

    #[test]
    fn finds_tables_at_any_depth() {
        let answer = serde_json::json!({"subjects": [{"table_groups": [{"tables": [
            {"table_id": "y25i01", "update_latest": "2026-07-20", "update_next": "2026-08-19T00:00:00"},
            {"table_id": "smt02", "update_latest": null}
        ]}]}]});
        let tables = read(&answer).expect("tables");
        assert_eq!(tables["y25i01"].next, "2026-08-19".parse().ok());
        assert_eq!(tables["smt02"], Listed { latest: None, next: None });
        assert_eq!(read(&serde_json::json!({"error": 1})).expect_err("refused").reason, Reason::UnknownShape);
    }
}
