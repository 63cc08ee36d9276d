//! Disclosure control: no published number lets anybody work out a hidden one.
//!
//! Values with 1 to 4 persons behind them are hidden (primary suppression; the threshold is a parameter). Then,
//! as long as a hidden cell could be computed from published ones, a further cell is hidden (complementary
//! suppression). What can be computed is decided over the additive relations of an indicator within one period:
//! a total and its parts, and an area and its municipalities. A hidden cell is safe if no linear combination of
//! these relations isolates it, which Gaussian elimination over the hidden cells tells.
//!
//! Patterns are *sticky*: a cell hidden at one instant stays hidden at every later one of the same period. So
//! no value becomes visible later together with the news that it had not changed, and two vintages tell no more
//! than each of them. Rates follow the count they are made of; a rate whose count is unknown is hidden.
//!
//! What is ours here: the threshold (jobindsats.dk publishes 3 and 4), stickiness, and the choice of the
//! complementary cell (the smallest visible one of the relation, ties by area). Official figures of the
//! country and sums of rounded parts agree only approximately; they are treated as if they were exact, which
//! hides more, never less.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;

use crate::header::AddsOver;

/// Name of an undivided benefit or breakdown.
const TOTAL: &str = "total";

/// The additive structure of an indicator, from its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// Whether areas add up.
    pub areas_add_up: bool,
    /// Which parts add up to a total.
    pub adds_over: AddsOver,
    /// The indicator that counts the persons behind this one.
    pub counts: Option<String>,
}

/// Which municipalities an area consists of.
#[derive(Debug, Clone, Default)]
pub struct Membership(Vec<Member>);

/// One dated membership.
#[derive(Debug, Clone)]
pub struct Member {
    /// `jobcentre`, `cluster` or `region`.
    pub area_kind: String,
    /// Code of the area.
    pub area: String,
    /// Code of the municipality.
    pub municipality: String,
    /// First day, inclusive.
    pub valid_from: NaiveDate,
    /// Last day, inclusive; `None` if open.
    pub valid_to: Option<NaiveDate>,
}

impl Membership {
    /// A membership list.
    pub fn new(members: Vec<Member>) -> Self {
        Self(members)
    }

    fn at(&self, date: NaiveDate) -> BTreeMap<(&str, &str), Vec<&str>> {
        let mut areas: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for member in &self.0 {
            if member.valid_from <= date && member.valid_to.is_none_or(|to| date <= to) {
                areas.entry((&member.area_kind, &member.area)).or_default().push(&member.municipality);
            }
        }
        areas
    }
}

/// What identifies a cell within a period.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// Indicator.
    pub indicator: String,
    /// Kind of area.
    pub area_kind: String,
    /// Code of the area.
    pub area: String,
    /// Benefit.
    pub benefit: String,
    /// Breakdown.
    pub breakdown: String,
    /// Value of the breakdown.
    pub breakdown_value: String,
}

/// A cell's content from one instant on, before disclosure control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Value, millionths; `None` if the source hides it or it is missing.
    pub value_micro: Option<i64>,
    /// Numerator.
    pub numerator: Option<i64>,
    /// Denominator.
    pub denominator: Option<i64>,
    /// Persons behind it; `None` if the indicator has a count to look at, or if they are unknown.
    pub persons: Option<i64>,
    /// What the layer below says: final, incomplete, hidden or missing.
    pub status: Status,
}

/// Status of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All of it is known.
    Final,
    /// Some of its municipalities are not known.
    Incomplete,
    /// Withheld, by the source or here.
    Hidden,
    /// Not there.
    Missing,
}

impl Status {
    /// The code in tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Incomplete => "incomplete",
            Self::Hidden => "hidden",
            Self::Missing => "missing",
        }
    }

    /// The status of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Final, Self::Incomplete, Self::Hidden, Self::Missing].into_iter().find(|s| s.code() == code)
    }
}

/// A change of a cell: from `known_at` on it has this content.
#[derive(Debug, Clone)]
pub struct Change {
    /// The cell.
    pub key: CellKey,
    /// Microseconds since 1970, UTC.
    pub known_at: i64,
    /// Its content.
    pub content: Content,
}

/// A published vintage of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vintage {
    /// The cell.
    pub key: CellKey,
    /// Since when, microseconds since 1970.
    pub known_at: i64,
    /// Until when; `None` if it is the newest.
    pub known_to: Option<i64>,
    /// What may be shown.
    pub content: Content,
}

const HIDDEN: Content =
    Content { value_micro: None, numerator: None, denominator: None, persons: None, status: Status::Hidden };

/// Values with 1 to `hidden_below - 1` persons behind them are hidden.
pub const HIDDEN_BELOW: i64 = 5;

/// Applies disclosure control to all changes of one period.
///
/// The result does not depend on the order of `changes`.
pub fn disclose(
    mut changes: Vec<Change>,
    period_end: NaiveDate,
    structures: &BTreeMap<String, Structure>,
    membership: &Membership,
    hidden_below: i64,
) -> Vec<Vintage> {
    changes.sort_by(|a, b| (a.known_at, &a.key).cmp(&(b.known_at, &b.key)));
    let keys: BTreeSet<&CellKey> = changes.iter().map(|change| &change.key).collect();
    let keys: Vec<CellKey> = keys.into_iter().cloned().collect();
    let index: HashMap<&CellKey, usize> = keys.iter().enumerate().map(|(i, key)| (key, i)).collect();
    let relations = relations(&keys, &index, structures, &membership.at(period_end));
    let mut of_cell: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
    for (number, relation) in relations.iter().enumerate() {
        for cell in relation.parts.iter().chain([&relation.sum]) {
            of_cell[*cell].push(number);
        }
    }
    let mut period = PeriodState {
        relations,
        of_cell,
        rank: keys.iter().map(|key| rank(key, structures)).collect(),
        links: links(&keys, &index, structures),
        content: vec![None; keys.len()],
        hidden: vec![false; keys.len()],
        checked: None,
        hidden_below,
    };
    let mut vintages: Vec<Vintage> = Vec::new();
    let mut newest: Vec<Option<usize>> = vec![None; keys.len()];
    let mut next = 0;
    while next < changes.len() {
        let known_at = changes[next].known_at;
        while next < changes.len() && changes[next].known_at == known_at {
            period.content[index[&changes[next].key]] = Some(changes[next].content);
            next += 1;
        }
        period.suppress();
        for cell in 0..keys.len() {
            let Some(content) = period.content[cell] else { continue };
            let shown = if period.hidden[cell] { HIDDEN } else { content };
            if let Some(before) = newest[cell] {
                if vintages[before].content == shown {
                    continue;
                }
                vintages[before].known_to = Some(known_at);
            }
            newest[cell] = Some(vintages.len());
            vintages.push(Vintage { key: keys[cell].clone(), known_at, known_to: None, content: shown });
        }
    }
    vintages.sort_by(|a, b| (&a.key, a.known_at).cmp(&(&b.key, b.known_at)));
    vintages
}

/// A part before a total, a municipality before a jobcentre before what they add up to.
fn rank(key: &CellKey, structures: &BTreeMap<String, Structure>) -> u8 {
    let is_total = match structures.get(&key.indicator).map(|structure| structure.adds_over) {
        Some(AddsOver::Benefit) => key.benefit == TOTAL,
        Some(AddsOver::Breakdown) => key.breakdown == TOTAL,
        _ => false,
    };
    let area = match key.area_kind.as_str() {
        "municipality" => 0,
        "jobcentre" => 1,
        _ => 2,
    };
    area + if is_total { 3 } else { 0 }
}

/// What the persons behind a cell are known from.
#[derive(Debug, Clone, Copy)]
enum Link {
    /// The cell itself.
    Itself,
    /// The cell of another indicator.
    Count(usize),
    /// Nothing: always hidden.
    Unknown,
}

/// A sum and its parts, as places in the list of cells. `skips_unknown`: the sum was made without the parts
/// that the source withholds (sums over areas are, totals over benefits are not).
#[derive(Debug)]
struct Relation {
    sum: usize,
    parts: Vec<usize>,
    skips_unknown: bool,
}

struct PeriodState {
    relations: Vec<Relation>,
    /// The relations each cell stands in.
    of_cell: Vec<Vec<usize>>,
    /// How much readers would miss each cell; lower ones are hidden first.
    rank: Vec<u8>,
    links: Vec<Link>,
    content: Vec<Option<Content>>,
    hidden: Vec<bool>,
    /// What of each cell matters to the relations, when the pattern was last found safe.
    checked: Option<Vec<(bool, bool, bool)>>,
    hidden_below: i64,
}

impl PeriodState {
    /// Extends the hidden pattern until no hidden cell can be computed.
    fn suppress(&mut self) {
        for cell in 0..self.content.len() {
            if let (Some(content), Link::Itself) = (self.content[cell], self.links[cell]) {
                let small = content.persons.is_some_and(|persons| (1..self.hidden_below).contains(&persons));
                let unknown = content.value_micro.is_some() && content.persons.is_none();
                self.hidden[cell] |= small || unknown;
            }
        }
        loop {
            while self.hide_lone_unknowns() {}
            let cells = 0..self.content.len();
            let states: Vec<_> = cells
                .map(|cell| {
                    (self.content[cell].is_some(), self.is_unknown(cell), self.withheld_by_source(cell))
                })
                .collect();
            if self.checked.as_ref() == Some(&states) {
                break;
            }
            if !self.hide_beside_determined() {
                self.checked = Some(states);
                break;
            }
        }
        for cell in 0..self.content.len() {
            let hide = match self.links[cell] {
                Link::Itself => false,
                Link::Count(count) => {
                    self.is_unknown(count) || self.content[count].is_none_or(|c| c.value_micro.is_none())
                }
                Link::Unknown => true,
            };
            self.hidden[cell] |= hide;
        }
    }

    /// Whether the value is unknown to a reader: hidden here or withheld by the source.
    fn is_unknown(&self, cell: usize) -> bool {
        self.hidden[cell] || self.content[cell].is_some_and(|content| content.value_micro.is_none())
    }

    fn withheld_by_source(&self, cell: usize) -> bool {
        self.content[cell].is_none_or(|content| content.value_micro.is_none())
    }

    /// The cells of a relation that matter now; empty if the relation does not hold now.
    fn cells(&self, relation: &Relation) -> Vec<usize> {
        if self.content[relation.sum].is_none()
            || (relation.skips_unknown && self.withheld_by_source(relation.sum))
        {
            return Vec::new();
        }
        let parts = relation.parts.iter().copied().filter(|part| {
            self.content[*part].is_some() && !(relation.skips_unknown && self.withheld_by_source(*part))
        });
        let mut cells: Vec<usize> = parts.collect();
        if !cells.is_empty() {
            cells.push(relation.sum);
        }
        cells
    }

    /// Hides a second cell in each relation that has exactly one unknown.
    fn hide_lone_unknowns(&mut self) -> bool {
        let mut changed = false;
        for relation in 0..self.relations.len() {
            let cells = self.cells(&self.relations[relation]);
            if cells.iter().filter(|cell| self.is_unknown(**cell)).count() == 1 {
                changed |= self.hide_cheapest(&cells);
            }
        }
        changed
    }

    /// Hides the visible cell that readers miss least: one that leaves no relation with a lone unknown, rather
    /// a part than a total, rather a municipality than a sum of them, rather a small one.
    fn hide_cheapest(&mut self, cells: &[usize]) -> bool {
        let visible = cells.iter().copied().filter(|cell| !self.is_unknown(*cell));
        let cheapest = visible.min_by_key(|cell| {
            let lone = self.of_cell[*cell].iter().filter(|relation| {
                let cells = self.cells(&self.relations[**relation]);
                cells.len() > 1 && !cells.iter().any(|other| self.is_unknown(*other))
            });
            let value = self.content[*cell].and_then(|content| content.value_micro);
            (self.rank[*cell], lone.count(), value, *cell)
        });
        if let Some(cell) = cheapest {
            self.hidden[cell] = true;
        }
        cheapest.is_some()
    }

    /// Hides one more cell beside each unknown that a combination of relations isolates.
    fn hide_beside_determined(&mut self) -> bool {
        let unknown: Vec<bool> = (0..self.content.len()).map(|cell| self.is_unknown(cell)).collect();
        let rows: Vec<(Vec<usize>, usize)> = self
            .relations
            .iter()
            .map(|relation| (self.cells(relation), relation.sum))
            .filter(|(cells, _)| cells.iter().any(|cell| unknown[*cell]))
            .collect();
        let mut changed = false;
        for cell in determined(&rows, &unknown) {
            let beside: BTreeSet<usize> =
                rows.iter().filter(|(cells, _)| cells.contains(&cell)).flat_map(|(cells, _)| cells.clone()).collect();
            changed |= self.hide_cheapest(&beside.into_iter().collect::<Vec<_>>());
        }
        changed
    }
}

/// Arithmetic modulo the Mersenne prime 2^61 − 1 stands in for rational numbers: the coefficients are ±1, and a
/// false answer would need a determinant divisible by that prime.
const PRIME: u64 = (1 << 61) - 1;

fn multiply(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) % u128::from(PRIME)) as u64
}

fn inverse(a: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (1, a, PRIME - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        exponent >>= 1;
    }
    result
}

/// The unknowns whose value follows from the relations: those whose unit vector is a row of the reduced system.
fn determined(rows: &[(Vec<usize>, usize)], unknown: &[bool]) -> Vec<usize> {
    let columns: BTreeSet<usize> =
        rows.iter().flat_map(|(cells, _)| cells.iter().copied()).filter(|cell| unknown[*cell]).collect();
    let columns: Vec<usize> = columns.into_iter().collect();
    let place: HashMap<usize, usize> = columns.iter().enumerate().map(|(i, cell)| (*cell, i)).collect();
    let mut matrix: Vec<Vec<u64>> = rows
        .iter()
        .map(|(cells, sum)| {
            let mut row = vec![0; columns.len()];
            for cell in cells.iter().filter(|cell| unknown[**cell]) {
                row[place[cell]] = if cell == sum { PRIME - 1 } else { 1 };
            }
            row
        })
        .collect();
    let mut rank = 0;
    for column in 0..columns.len() {
        let Some(pivot) = (rank..matrix.len()).find(|row| matrix[*row][column] != 0) else { continue };
        matrix.swap(rank, pivot);
        let scale = inverse(matrix[rank][column]);
        matrix[rank].iter_mut().for_each(|value| *value = multiply(*value, scale));
        let pivot_row = matrix[rank].clone();
        for (number, row) in matrix.iter_mut().enumerate() {
            let factor = row[column];
            if number != rank && factor != 0 {
                for (value, pivot_value) in row.iter_mut().zip(&pivot_row) {
                    *value = (*value + PRIME - multiply(factor, *pivot_value)) % PRIME;
                }
            }
        }
        rank += 1;
    }
    matrix[..rank]
        .iter()
        .filter_map(|row| {
            let mut filled = row.iter().enumerate().filter(|(_, value)| **value != 0);
            match (filled.next(), filled.next()) {
                (Some((only, _)), None) => Some(columns[only]),
                _ => None,
            }
        })
        .collect()
}

fn links(
    keys: &[CellKey],
    index: &HashMap<&CellKey, usize>,
    structures: &BTreeMap<String, Structure>,
) -> Vec<Link> {
    keys.iter()
        .map(|key| match structures.get(&key.indicator).and_then(|structure| structure.counts.as_ref()) {
            None => Link::Itself,
            Some(counts) => {
                let count = CellKey { indicator: counts.clone(), ..key.clone() };
                index.get(&count).map_or(Link::Unknown, |cell| Link::Count(*cell))
            }
        })
        .collect()
}

fn relations(
    keys: &[CellKey],
    index: &HashMap<&CellKey, usize>,
    structures: &BTreeMap<String, Structure>,
    areas: &BTreeMap<(&str, &str), Vec<&str>>,
) -> Vec<Relation> {
    let mut parts: BTreeMap<usize, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    let mut relations = Vec::new();
    for (cell, key) in keys.iter().enumerate() {
        let Some(structure) = structures.get(&key.indicator) else { continue };
        let (total, group) = match structure.adds_over {
            AddsOver::Benefit if key.benefit != TOTAL => {
                (CellKey { benefit: TOTAL.into(), ..key.clone() }, String::new())
            }
            AddsOver::Breakdown if key.breakdown != TOTAL => (
                CellKey { breakdown: TOTAL.into(), breakdown_value: TOTAL.into(), ..key.clone() },
                key.breakdown.clone(),
            ),
            _ => continue,
        };
        if let Some(total) = index.get(&total) {
            parts.entry(*total).or_default().entry(group).or_default().push(cell);
        }
    }
    for (sum, groups) in parts {
        for parts in groups.into_values() {
            relations.push(Relation { sum, parts, skips_unknown: false });
        }
    }
    for (sum, key) in keys.iter().enumerate() {
        if !structures.get(&key.indicator).is_some_and(|structure| structure.areas_add_up) {
            continue;
        }
        let place = |area_kind: &str, area: &str| {
            let part = CellKey { area_kind: area_kind.into(), area: area.into(), ..key.clone() };
            index.get(&part).copied()
        };
        let parts: Vec<usize> = match key.area_kind.as_str() {
            "country" => areas
                .keys()
                .filter(|(kind, _)| *kind == "region")
                .filter_map(|(kind, area)| place(kind, area))
                .collect(),
            kind => areas
                .get(&(kind, key.area.as_str()))
                .into_iter()
                .flatten()
                .filter_map(|municipality| place("municipality", municipality))
                .collect(),
        };
        if !parts.is_empty() {
            relations.push(Relation { sum, parts, skips_unknown: true });
        }
    }
    relations
}
