//! How cells of a period add up, and where the persons behind them are counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use ustr::Ustr;

use super::{CellKey, Structure, TOTAL};
use crate::header::AddsOver;

/// The structures of the indicators by name.
pub(super) type Structures<'a> = HashMap<Ustr, &'a Structure>;

/// What the persons behind a cell are known from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Link {
    /// The cell itself.
    Itself,
    /// The cell of another indicator.
    Count(usize),
    /// Nothing: always hidden.
    Unknown,
}

/// A sum and its parts, as places in the list of cells.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) sum: usize,
    pub(super) parts: Vec<usize>,
    /// The parts are areas, not benefits or values of a breakdown.
    pub(super) over_areas: bool,
    /// The sum was made here, from municipalities.
    pub(super) over_municipalities: bool,
}

/// A cell in a relation, with its sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub(super) cell: usize,
    pub(super) positive: bool,
}

/// Whether the cell is the sum of others of its indicator and area.
pub(super) fn is_total(key: &CellKey, structures: &Structures<'_>) -> bool {
    match structures.get(&key.indicator).map(|structure| structure.adds_over) {
        Some(AddsOver::Benefit) => key.benefit == TOTAL,
        Some(AddsOver::Breakdown) => key.breakdown == TOTAL,
        _ => false,
    }
}

/// Where the persons behind each cell are found.
pub(super) fn links(
    keys: &[CellKey],
    index: &HashMap<&CellKey, usize>,
    structures: &Structures<'_>,
) -> Vec<Link> {
    keys.iter()
        .map(|key| match structures.get(&key.indicator).and_then(|structure| structure.counts.as_ref()) {
            None => Link::Itself,
            Some(counts) => {
                let count = CellKey { indicator: counts.as_str().into(), ..*key };
                index.get(&count).map_or(Link::Unknown, |cell| Link::Count(*cell))
            }
        })
        .collect()
}

/// All sums among the cells with their parts.
pub(super) fn relations(
    keys: &[CellKey],
    index: &HashMap<&CellKey, usize>,
    structures: &Structures<'_>,
    areas: &BTreeMap<(&str, &str), Vec<&str>>,
) -> Vec<Relation> {
    let (total, municipality, region) = (Ustr::from(TOTAL), Ustr::from("municipality"), Ustr::from("region"));
    let mut parts: BTreeMap<usize, BTreeMap<Option<Ustr>, Vec<usize>>> = BTreeMap::new();
    let mut relations = Vec::new();
    for (cell, key) in keys.iter().enumerate() {
        let Some(structure) = structures.get(&key.indicator) else { continue };
        let (sum, group) = match structure.adds_over {
            AddsOver::Benefit if key.benefit != total => (CellKey { benefit: total, ..*key }, None),
            AddsOver::Breakdown if key.breakdown != total => {
                (CellKey { breakdown: total, breakdown_value: total, ..*key }, Some(key.breakdown))
            }
            _ => continue,
        };
        if let Some(sum) = index.get(&sum) {
            parts.entry(*sum).or_default().entry(group).or_default().push(cell);
        }
    }
    // Which parts there are in areas of a kind: a total without one of them is no sum of the others.
    let of_sum = |sum: usize, group: Option<Ustr>| {
        let key = &keys[sum];
        (key.indicator, key.area_kind, group, key.benefit, key.breakdown_value)
    };
    let mut known: HashMap<_, HashSet<(Ustr, Ustr)>> = HashMap::new();
    for (sum, groups) in &parts {
        for (group, parts) in groups {
            let parts = parts.iter().map(|cell| (keys[*cell].benefit, keys[*cell].breakdown_value));
            known.entry(of_sum(*sum, *group)).or_default().extend(parts);
        }
    }
    for (sum, groups) in &parts {
        for (group, parts) in groups {
            let wanted = known.get(&of_sum(*sum, *group)).map_or(0, HashSet::len);
            if parts.len() < wanted {
                continue;
            }
            let (sum, parts) = (*sum, parts.clone());
            relations.push(Relation { sum, parts, over_areas: false, over_municipalities: false });
        }
    }
    let own = |text: &&str| Ustr::from(text);
    let areas: HashMap<(Ustr, Ustr), Vec<Ustr>> = areas
        .iter()
        .map(|((kind, area), parts)| ((own(kind), own(area)), parts.iter().map(own).collect()))
        .collect();
    let regions: Vec<Ustr> =
        areas.keys().filter(|(kind, _)| *kind == region).map(|(_, area)| *area).collect();
    for (sum, key) in keys.iter().enumerate() {
        if !structures.get(&key.indicator).is_some_and(|structure| structure.areas_add_up) {
            continue;
        }
        let (area_kind, members) = match key.area_kind.as_str() {
            "country" => (region, Some(&regions)),
            _ => (municipality, areas.get(&(key.area_kind, key.area))),
        };
        let place = |area: &Ustr| index.get(&CellKey { area_kind, area: *area, ..*key }).copied();
        let mut parts: Vec<usize> = members.into_iter().flatten().filter_map(place).collect();
        if !parts.is_empty() {
            parts.sort_unstable();
            let over_municipalities = key.area_kind != "country";
            relations.push(Relation { sum, parts, over_areas: true, over_municipalities });
        }
    }
    relations
}
