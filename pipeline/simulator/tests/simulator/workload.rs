//! The bulk workload: exact numbers of rows, pieces in any order, and a ledger that adds up.

use std::collections::{HashMap, HashSet};

use super::support::{Event, digits, options, pseudonym, told};
use rettidig_simulator::{PaymentsWorkload, payments_workload};

const ROWS: u64 = 60_000;

#[test]
fn pieces_in_any_order_give_the_same_rows() {
    let options = options(0, 120, 3);
    let mut whole = Vec::new();
    let summary = payments_workload(&options, ROWS, &pseudonym, &mut whole).expect("written");
    assert_eq!(summary.rows, whole.iter().filter(|byte| **byte == b'\n').count() as u64);
    assert_eq!((summary.rows, summary.bytes), (ROWS, whole.len() as u64));
    let workload = PaymentsWorkload::new(&options, ROWS, &pseudonym);
    let mut pieces: Vec<(u64, Vec<u8>)> = Vec::new();
    for start in (0..ROWS.div_ceil(777)).rev().map(|piece| piece * 777) {
        let mut piece = Vec::new();
        workload.write_rows(start..start + 777, &mut piece);
        pieces.push((start, piece));
    }
    pieces.sort();
    assert_eq!(pieces.into_iter().flat_map(|(_, piece)| piece).collect::<Vec<_>>(), whole);
}

#[test]
fn shares_are_exact_corrections_cancel_and_the_order_is_shuffled() {
    let mut whole = Vec::new();
    let summary = payments_workload(&options(0, 120, 5), ROWS, &pseudonym, &mut whole).expect("written");
    let (mut by_id, mut weeks) = (HashMap::new(), HashMap::<_, Vec<Event>>::new());
    let (mut duplicates, mut backwards, mut last) = (0, 0, None);
    let mut persons = HashSet::new();
    for line in std::str::from_utf8(&whole).expect("utf-8").lines() {
        let event: Event = serde_json::from_str(line).expect(line);
        assert_eq!((&event.op[..], event.revision), ("add", 0));
        assert!(
            event.id.starts_with(&format!("yr-ydelsesrefusion-beregning-{}-", event.municipality)),
            "{line}"
        );
        let cpr = digits(&event.person);
        assert_eq!((event.birth.clone(), &event.sex[..]), told(&cpr));
        assert!(
            event.recorded_at[..10] > event.to.expect("to").to_string()[..]
                && &event.recorded_at[..4] < "2027"
        );
        backwards += u64::from(last.is_some_and(|last| last > event.from));
        last = Some(event.from);
        match by_id.insert((event.source.clone(), event.id.clone()), line) {
            Some(known) => {
                assert_eq!(known, line);
                duplicates += 1;
            }
            None => {
                persons.insert(event.person.clone());
                let key = (event.person.clone(), event.from, event.benefit.clone(), event.municipality);
                weeks.entry(key).or_default().push(event);
            }
        }
    }
    assert_eq!((duplicates, duplicates), (summary.duplicates, ROWS / 200));
    assert_eq!(persons.len() as u64, summary.persons);
    // A random order goes back in time at about every second row.
    assert!((ROWS * 45 / 100..ROWS * 55 / 100).contains(&backwards), "{backwards}");
    let (mut corrections, mut furthest) = (0, 0);
    for rows in weeks.values() {
        corrections += rows.len() as u64 - 1;
        let net: i64 = rows.iter().map(|row| row.amount_oere.expect("amount")).sum();
        let refund: i64 = rows.iter().map(|row| row.refund_oere.expect("refund")).sum();
        assert!(net >= 0 && refund >= 0 && refund <= net && (net > 0 || rows.len() == 2), "{rows:?}");
        for row in rows.iter().filter(|row| row.amount_oere < Some(0)) {
            let recorded: chrono::NaiveDate = row.recorded_at[..10].parse().expect("date");
            furthest = furthest.max((recorded - row.from.expect("from")).num_days());
        }
    }
    assert_eq!(corrections, summary.corrections);
    assert_eq!(summary.corrections, ROWS * 3 / 100);
    assert!((7 * 365..8 * 366 + 20).contains(&furthest), "{furthest}");
    let weekly: HashSet<_> = weeks.keys().map(|(person, from, ..)| (person, from)).collect();
    assert_eq!(weekly.len(), weeks.len(), "two benefits in one week");
}

#[test]
fn small_and_short_workloads_work() {
    for (rows, months) in [(0, 120), (1, 120), (7, 1), (999, 3), (5_000, 12)] {
        let mut out = Vec::new();
        let summary = payments_workload(&options(0, months, 1), rows, &pseudonym, &mut out).expect("written");
        let lines = out.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!((lines, summary.rows), (rows, rows), "{months} months");
    }
}
