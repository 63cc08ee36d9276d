//! Disclosure control: nothing hidden can be computed.
//!
//! Goal: whatever the counts and however they are revised, no hidden cell follows from published ones. Method: a
//! small country with random counts in several vintages; for each instant an attacker who knows all relations
//! eliminates over rational numbers (not the modular arithmetic of the code under test) and must not isolate any
//! hidden cell; hidden cells never become visible again; small counts are never visible.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use rettidig_model::disclosure::{
    CellKey, Change, Content, HIDDEN_BELOW, Status, Structure, Vintage, advance, disclose,
};
use rettidig_model::header::AddsOver;
use rettidig_model::membership::{Member, Membership};

/// Municipality, jobcentre, cluster, region.
const AREAS: [(&str, &str, &str, &str); 6] = [
    ("0101", "0101", "1", "A"),
    ("0155", "0155", "1", "A"),
    ("0185", "0155", "1", "A"),
    ("0700", "0700", "1", "B"),
    ("0710", "0710", "2", "B"),
    ("0720", "0720", "2", "B"),
];
const BENEFITS: [&str; 2] = ["cash", "unemployment"];

fn membership() -> Membership {
    let from = "2007-01-01".parse().expect("date");
    let member = |kind: &str, area: &str, municipality: &str| Member {
        area_kind: kind.into(),
        area: area.into(),
        municipality: municipality.into(),
        valid_from: from,
        valid_to: None,
    };
    let kinds = AREAS.iter().flat_map(|(municipality, jobcentre, cluster, region)| {
        [("jobcentre", jobcentre), ("cluster", cluster), ("region", region)]
            .map(|(kind, area)| member(kind, area, municipality))
    });
    Membership::new(kinds.collect())
}

fn structures() -> BTreeMap<String, Structure> {
    let count = Structure { areas_add_up: true, adds_over: AddsOver::Benefit, counts: None };
    let rate =
        Structure { areas_add_up: false, adds_over: AddsOver::None, counts: Some("persons".to_owned()) };
    BTreeMap::from([("persons".to_owned(), count), ("rate".to_owned(), rate)])
}

fn key(indicator: &str, area_kind: &str, area: &str, benefit: &str) -> CellKey {
    CellKey {
        indicator: indicator.into(),
        area_kind: area_kind.into(),
        area: area.into(),
        benefit: benefit.into(),
        breakdown: "total".into(),
        breakdown_value: "total".into(),
    }
}

fn content(persons: i64, is_rate: bool) -> Content {
    Content {
        value_micro: Some(persons * 1_000_000),
        numerator: (!is_rate).then_some(persons),
        denominator: None,
        persons: (!is_rate).then_some(persons),
        status: Status::Final,
    }
}

/// All areas that a municipality counts in.
fn areas_of(
    municipality: &(&'static str, &'static str, &'static str, &'static str),
) -> [(&'static str, &'static str); 5] {
    let (code, jobcentre, cluster, region) = *municipality;
    [
        ("municipality", code),
        ("jobcentre", jobcentre),
        ("cluster", cluster),
        ("region", region),
        ("country", "0000"),
    ]
}

/// Counts of each municipality by benefit → every cell of the country.
fn cells(counts: &[[i64; 2]; 6]) -> BTreeMap<CellKey, i64> {
    let mut cells = BTreeMap::new();
    for (municipality, counts) in AREAS.iter().zip(counts) {
        for (kind, area) in areas_of(municipality) {
            for (benefit, count) in BENEFITS.iter().zip(counts) {
                *cells.entry(key("persons", kind, area, benefit)).or_default() += count;
                *cells.entry(key("persons", kind, area, "total")).or_default() += count;
            }
        }
    }
    cells
}

/// Sum and parts, written down independently of the code under test.
fn relations() -> Vec<(CellKey, Vec<CellKey>)> {
    let mut relations: BTreeMap<CellKey, BTreeSet<CellKey>> = BTreeMap::new();
    for municipality in &AREAS {
        for (kind, area) in areas_of(municipality) {
            for benefit in ["cash", "unemployment", "total"] {
                if kind != "municipality" {
                    relations.entry(key("persons", kind, area, benefit)).or_default().insert(key(
                        "persons",
                        "municipality",
                        municipality.0,
                        benefit,
                    ));
                }
            }
        }
    }
    let mut all: Vec<(CellKey, Vec<CellKey>)> =
        relations.into_iter().map(|(sum, parts)| (sum, parts.into_iter().collect())).collect();
    let areas: BTreeSet<(&str, &str)> = AREAS.iter().flat_map(areas_of).collect();
    for (kind, area) in areas {
        all.push((
            key("persons", kind, area, "total"),
            BENEFITS.map(|b| key("persons", kind, area, b)).to_vec(),
        ));
    }
    all
}

/// A rational number, always reduced.
#[derive(Clone, Copy, PartialEq)]
struct Ratio(i128, i128);

impl Ratio {
    fn new(n: i128, d: i128) -> Self {
        let (mut a, mut b) = (n.abs(), d.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let g = a.max(1) * d.signum();
        Self(n / g, d / g)
    }
}

/// The hidden cells that follow from the visible ones.
fn derivable(hidden: &BTreeSet<CellKey>) -> Vec<CellKey> {
    let columns: Vec<&CellKey> = hidden.iter().collect();
    let mut rows: Vec<Vec<Ratio>> = relations()
        .iter()
        .map(|(sum, parts)| {
            columns
                .iter()
                .map(|column| {
                    let sign = i128::from(parts.contains(column)) - i128::from(*column == sum);
                    Ratio::new(sign, 1)
                })
                .collect()
        })
        .collect();
    let mut rank = 0;
    for column in 0..columns.len() {
        let Some(pivot) = (rank..rows.len()).find(|row| rows[*row][column].0 != 0) else { continue };
        rows.swap(rank, pivot);
        let scale = rows[rank][column];
        for value in &mut rows[rank] {
            *value = Ratio::new(value.0 * scale.1, value.1 * scale.0);
        }
        for row in 0..rows.len() {
            let factor = rows[row][column];
            if row != rank && factor.0 != 0 {
                let pivot_row = rows[rank].clone();
                for (a, b) in rows[row].iter_mut().zip(pivot_row) {
                    let product = Ratio::new(factor.0 * b.0, factor.1 * b.1);
                    *a = Ratio::new(a.0 * product.1 - product.0 * a.1, a.1 * product.1);
                }
            }
        }
        rank += 1;
    }
    let lone = rows[..rank].iter().filter_map(|row| {
        let filled: Vec<usize> = (0..row.len()).filter(|column| row[*column].0 != 0).collect();
        if let [only] = filled[..] { Some(*columns[only]) } else { None }
    });
    lone.collect()
}

/// What is published at an instant.
fn published_at(vintages: &[Vintage], at: i64) -> BTreeMap<CellKey, Content> {
    vintages
        .iter()
        .filter(|v| v.known_at <= at && v.known_to.is_none_or(|to| at < to))
        .map(|v| (v.key, v.content))
        .collect()
}

/// Changes between vintages only, rates beside the municipalities' counts.
fn changes(vintages: &[[[i64; 2]; 6]]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut before = BTreeMap::new();
    for (counts, known_at) in vintages.iter().zip(1..) {
        let cells = cells(counts);
        for (cell, persons) in &cells {
            if before.get(cell) != Some(persons) {
                changes.push(Change { key: *cell, known_at, content: content(*persons, false) });
                if cell.area_kind == "municipality" {
                    let rate = CellKey { indicator: "rate".into(), ..*cell };
                    changes.push(Change { key: rate, known_at, content: content(*persons, true) });
                }
            }
        }
        before = cells;
    }
    changes
}

proptest! {
    #[test]
    fn nothing_hidden_can_be_computed(
        vintages in prop::collection::vec(
            prop::array::uniform6(prop::array::uniform2(prop_oneof![0_i64..8, 20_i64..60, 200_i64..900])),
            1..4,
        ),
        shuffle in any::<u64>(),
    ) {
        let end = "2026-07-31".parse().expect("date");
        let changes = changes(&vintages);
        let published = disclose(changes.clone(), end, &structures(), &membership(), HIDDEN_BELOW);
        let mut hidden_before: BTreeSet<CellKey> = BTreeSet::new();
        for (counts, at) in vintages.iter().zip(1..) {
            let shown = published_at(&published, at);
            let truth = cells(counts);
            let hidden: BTreeSet<CellKey> = truth.keys().filter(|k| shown[*k].value_micro.is_none()).cloned().collect();
            prop_assert_eq!(derivable(&hidden), vec![], "at {}", at);
            prop_assert!(hidden.is_superset(&hidden_before), "hidden cells stay hidden");
            for (cell, persons) in &truth {
                if let Some(micro) = shown[cell].value_micro {
                    prop_assert_eq!(micro, persons * 1_000_000);
                    prop_assert!(*persons == 0 || *persons >= HIDDEN_BELOW, "{:?} shows {}", cell, persons);
                }
                if cell.area_kind == "municipality" {
                    let rate = CellKey { indicator: "rate".into(), ..*cell };
                    prop_assert_eq!(
                        shown[&rate].value_micro.is_none(), hidden.contains(cell), "the rate follows its count: {:?}", cell
                    );
                }
            }
            hidden_before = hidden;
        }
        let mut shuffled = changes;
        let mut state = shuffle | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(place, (state >> 33) as usize % (place + 1));
        }
        prop_assert_eq!(disclose(shuffled, end, &structures(), &membership(), HIDDEN_BELOW), published);
    }
}

#[test]
fn the_attacker_of_this_test_finds_what_is_not_protected() {
    let lone = BTreeSet::from([key("persons", "municipality", "0101", "cash")]);
    assert_eq!(derivable(&lone), lone.iter().cloned().collect::<Vec<_>>());
}

/// Goal: an amount taken back of somebody who is not counted any more stays as hidden as the count of one person. Method: a
/// municipality with money and no count, whose cluster and region have counts of nobody, from elsewhere.
#[test]
fn money_of_persons_who_are_not_counted_is_hidden_with_all_its_sums() {
    let count = Structure { areas_add_up: true, adds_over: AddsOver::None, counts: None };
    let money = Structure { counts: Some("persons".to_owned()), ..count.clone() };
    let structures = BTreeMap::from([("persons".to_owned(), count), ("money".to_owned(), money)]);
    let (code, jobcentre, cluster, region) = AREAS[0];
    let other =
        AREAS.iter().find(|area| area.1 != jobcentre && area.3 == region).expect("another of the region");
    let amount = |oere: i64| Content { value_micro: Some(oere), persons: None, ..content(0, true) };
    let mut contents = BTreeMap::new();
    for (kind, area) in
        [("municipality", other.0), ("jobcentre", other.1), ("region", region), ("country", "0000")]
    {
        contents.insert(key("persons", kind, area, "cash"), content(0, false));
    }
    for (kind, area) in [
        ("municipality", code),
        ("jobcentre", jobcentre),
        ("cluster", cluster),
        ("region", region),
        ("country", "0000"),
    ] {
        contents.insert(key("money", kind, area, "cash"), amount(-9_409_830_000));
    }
    contents.insert(key("money", "municipality", other.0, "cash"), amount(0));
    let end = "2026-07-31".parse().expect("date");
    let shown = advance(contents, &HashSet::new(), end, &structures, &membership(), HIDDEN_BELOW);
    for (key, content) in shown {
        let is_nothing = key.indicator == "persons" || key.area == other.0;
        assert_eq!(content.status == Status::Hidden, !is_nothing, "{key:?}");
    }
}
