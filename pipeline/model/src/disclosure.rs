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
use std::ops::Range;

use chrono::NaiveDate;
use petgraph::unionfind::UnionFind;

use crate::header::AddsOver;
use crate::membership::Membership;

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
    /// What was shown before: its value, millionths, and since when; `None` if this is the first.
    pub before: Option<(Option<i64>, i64)>,
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
    let mut period = PeriodState::new(&keys, &index, period_end, structures, membership, hidden_below);
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
            let mut before = None;
            if let Some(place) = newest[cell] {
                let last: &mut Vintage = &mut vintages[place];
                if last.content == shown {
                    continue;
                }
                last.known_to = Some(known_at);
                before = Some((last.content.value_micro, last.known_at));
            }
            newest[cell] = Some(vintages.len());
            let key = keys[cell].clone();
            vintages.push(Vintage { key, known_at, known_to: None, content: shown, before });
        }
    }
    vintages.sort_by(|a, b| (&a.key, a.known_at).cmp(&(&b.key, b.known_at)));
    vintages
}

/// Applies disclosure control to new contents of one period, of which the cells in `was_hidden` stay hidden: what may be
/// shown of each.
pub fn advance(
    contents: BTreeMap<CellKey, Content>,
    was_hidden: &BTreeSet<&CellKey>,
    period_end: NaiveDate,
    structures: &BTreeMap<String, Structure>,
    membership: &Membership,
    hidden_below: i64,
) -> Vec<(CellKey, Content)> {
    let keys: Vec<CellKey> = contents.keys().cloned().collect();
    let index: HashMap<&CellKey, usize> = keys.iter().enumerate().map(|(i, key)| (key, i)).collect();
    let mut period = PeriodState::new(&keys, &index, period_end, structures, membership, hidden_below);
    for (cell, (key, content)) in contents.into_iter().enumerate() {
        period.hidden[cell] = was_hidden.contains(&key);
        period.content[cell] = Some(content);
    }
    period.suppress();
    let shown = period
        .content
        .iter()
        .zip(&period.hidden)
        .map(|(content, hidden)| if *hidden { HIDDEN } else { content.unwrap_or(HIDDEN) });
    let shown: Vec<Content> = shown.collect();
    drop(index);
    keys.into_iter().zip(shown).collect()
}

/// What hiding a sum of many municipalities costs, in relations that would need a further hidden cell; each is
/// tried.
const SUM_COSTS: [usize; 2] = [3, 0];

/// What hiding the country costs, in the same unit.
const COUNTRY_COST: usize = 9;

fn is_total(key: &CellKey, structures: &BTreeMap<String, Structure>) -> bool {
    match structures.get(&key.indicator).map(|structure| structure.adds_over) {
        Some(AddsOver::Benefit) => key.benefit == TOTAL,
        Some(AddsOver::Breakdown) => key.breakdown == TOTAL,
        _ => false,
    }
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

/// A sum and its parts, as places in the list of cells.
#[derive(Debug)]
struct Relation {
    sum: usize,
    parts: Vec<usize>,
    /// The parts are areas, not benefits or values of a breakdown.
    over_areas: bool,
    /// The sum was made here, from municipalities.
    over_municipalities: bool,
}

/// A cell in a relation, with its sign.
#[derive(Debug, Clone, Copy)]
struct Term {
    cell: usize,
    positive: bool,
}

/// The cells and relations of one indicator; no relation joins two indicators.
struct Family {
    cells: Range<usize>,
    relations: Range<usize>,
}

struct PeriodState {
    relations: Vec<Relation>,
    families: Vec<Family>,
    /// The relation by which each sum over municipalities was made.
    sum_of: Vec<Option<usize>>,
    /// The relations each cell stands in.
    of_cell: Vec<Vec<usize>>,
    /// Sums over municipalities, jobcentres of several ones among them.
    is_sum_of_many: Vec<bool>,
    /// Clusters, regions and the country.
    is_sum: Vec<bool>,
    /// The country.
    is_country: Vec<bool>,
    /// Totals over benefits or a breakdown.
    is_total: Vec<bool>,
    links: Vec<Link>,
    content: Vec<Option<Content>>,
    hidden: Vec<bool>,
    /// What of each cell matters to the relations, when the pattern was last found safe.
    checked: Option<Vec<(bool, bool, bool)>>,
    hidden_below: i64,
}

impl PeriodState {
    fn new(
        keys: &[CellKey],
        index: &HashMap<&CellKey, usize>,
        period_end: NaiveDate,
        structures: &BTreeMap<String, Structure>,
        membership: &Membership,
        hidden_below: i64,
    ) -> Self {
        let mut relations = relations(keys, index, structures, &membership.at(period_end));
        relations.sort_by_key(|relation| relation.sum);
        let families = keys
            .chunk_by(|a, b| a.indicator == b.indicator)
            .scan(0, |first, family| {
                let cells = *first..*first + family.len();
                *first = cells.end;
                let from = relations.partition_point(|relation| relation.sum < cells.start);
                let to = relations.partition_point(|relation| relation.sum < cells.end);
                Some(Family { cells, relations: from..to })
            })
            .collect();
        let mut of_cell: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
        let mut sum_of = vec![None; keys.len()];
        for (number, relation) in relations.iter().enumerate() {
            if relation.over_municipalities {
                sum_of[relation.sum] = Some(number);
            }
            for cell in relation.parts.iter().chain([&relation.sum]) {
                of_cell[*cell].push(number);
            }
        }
        let mut is_sum_of_many = vec![false; keys.len()];
        for relation in relations.iter().filter(|relation| relation.over_municipalities) {
            is_sum_of_many[relation.sum] = relation.parts.len() > 1;
        }
        Self {
            relations,
            families,
            sum_of,
            of_cell,
            is_sum_of_many,
            is_sum: keys
                .iter()
                .map(|key| !matches!(key.area_kind.as_str(), "municipality" | "jobcentre"))
                .collect(),
            is_country: keys.iter().map(|key| key.area_kind == "country").collect(),
            is_total: keys.iter().map(|key| is_total(key, structures)).collect(),
            links: links(keys, index, structures),
            content: vec![None; keys.len()],
            hidden: vec![false; keys.len()],
            checked: None,
            hidden_below,
        }
    }

    /// Extends the hidden pattern until no hidden cell can be computed.
    fn suppress(&mut self) {
        for cell in 0..self.content.len() {
            if let (Some(content), Link::Itself) = (self.content[cell], self.links[cell]) {
                let small = content.persons.is_some_and(|persons| (1..self.hidden_below).contains(&persons));
                let unknown = content.value_micro.is_some() && content.persons.is_none();
                let uncounted = matches!(self.links[cell], Link::Unknown);
                self.hidden[cell] |= small || unknown || uncounted;
            }
        }
        let terms = self.terms();
        let states = self.states();
        if self.checked.as_ref() != Some(&states) {
            for family in 0..self.families.len() {
                let start = self.hidden.clone();
                // Sparing sums usually hides least; where it runs away, hiding a sum early stops it.
                let patterns = SUM_COSTS.map(|sum_cost| {
                    self.hidden.clone_from(&start);
                    self.protect(&terms, family, sum_cost);
                    (self.loss(family), self.hidden.clone())
                });
                let best = patterns.into_iter().min_by_key(|(loss, _)| *loss);
                self.hidden = best.map_or(start, |(_, hidden)| hidden);
            }
            self.checked = Some(self.states());
        }
        for cell in (0..self.content.len()).filter(|cell| self.content[*cell].is_some()) {
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

    /// Hides cells until no combination of relations isolates a hidden one.
    fn protect(&mut self, terms: &[Vec<Term>], family: usize, sum_cost: usize) {
        loop {
            while self.hide_lone_unknowns(terms, family, sum_cost) {}
            if !self.hide_near_determined(terms, family, sum_cost) {
                return;
            }
        }
    }

    /// What of each cell matters to the relations.
    fn states(&self) -> Vec<(bool, bool, bool)> {
        let cells = 0..self.content.len();
        cells
            .map(|cell| (self.content[cell].is_some(), self.is_unknown(cell), self.withheld_by_source(cell)))
            .collect()
    }

    /// How much readers miss of what is hidden of an indicator.
    fn loss(&self, family: usize) -> usize {
        let cells = self.families[family].cells.clone();
        let hidden = cells.filter(|cell| self.hidden[*cell] && self.content[*cell].is_some());
        hidden.map(|cell| if self.is_sum[cell] { 10 } else { 1 }).sum()
    }

    /// Whether the value is unknown to a reader: hidden here or withheld by the source.
    fn is_unknown(&self, cell: usize) -> bool {
        self.hidden[cell] || self.content[cell].is_some_and(|content| content.value_micro.is_none())
    }

    fn withheld_by_source(&self, cell: usize) -> bool {
        self.content[cell].is_none_or(|content| content.value_micro.is_none())
    }

    /// The terms of each relation as it holds now, with their signs; none if it does not hold.
    fn terms(&self) -> Vec<Vec<Term>> {
        self.relations.iter().map(|relation| self.terms_of(relation).unwrap_or_default()).collect()
    }

    fn terms_of(&self, relation: &Relation) -> Option<Vec<Term>> {
        self.content[relation.sum]?;
        // A sum over areas was made of what had arrived; a total of benefits is one only of all of them, and
        // only if all were made of the same municipalities.
        let arrived = |cell: &usize| self.content[*cell].is_some();
        let parts: Vec<usize> = relation.parts.iter().copied().filter(arrived).collect();
        if parts.is_empty() || (!relation.over_areas && parts.len() < relation.parts.len()) {
            return None;
        }
        let missing = |cell: usize| {
            let sum = self.sum_of[cell].map(|sum| &self.relations[sum].parts);
            sum.map(|members| members.iter().filter(|member| !arrived(member)).count())
        };
        // Parts that are not made of municipalities were told as they are, so they lack none.
        let others = |part: &usize| missing(*part).is_some_and(|some| Some(some) != missing(relation.sum));
        if !relation.over_areas && parts.iter().any(others) {
            return None;
        }
        let parts = parts.into_iter().map(|cell| Term { cell, positive: true });
        Some(parts.chain([Term { cell: relation.sum, positive: false }]).collect())
    }

    /// Whether nobody may work the cell out. A sum that the source made impossible by withholding a member need
    /// not be protected; the member is.
    fn is_protected(&self, cell: usize) -> bool {
        self.hidden[cell] || (self.is_unknown(cell) && !self.is_sum_of_many[cell])
    }

    /// Hides a second cell in each relation that has exactly one unknown.
    fn hide_lone_unknowns(&mut self, terms: &[Vec<Term>], family: usize, sum_cost: usize) -> bool {
        let mut changed = false;
        for relation in self.families[family].relations.clone().map(|relation| &terms[relation]) {
            let mut unknown = relation.iter().filter(|term| self.is_unknown(term.cell));
            if let (Some(lone), None) = (unknown.next(), unknown.next())
                && self.is_protected(lone.cell)
            {
                changed |= self.hide_cheapest(terms, sum_cost, relation.iter().map(|term| term.cell));
            }
        }
        changed
    }

    /// Hides the visible cell that readers miss least: one that leaves few relations with a lone unknown, rather
    /// a part than a total, rather a municipality than a sum of many, rather a small one.
    fn hide_cheapest(
        &mut self,
        terms: &[Vec<Term>],
        sum_cost: usize,
        cells: impl Iterator<Item = usize>,
    ) -> bool {
        let visible = cells.filter(|cell| !self.is_unknown(*cell));
        let cheapest = visible.min_by_key(|cell| {
            let lone = self.of_cell[*cell].iter().filter(|relation| {
                let terms = &terms[**relation];
                terms.len() > 1 && !terms.iter().any(|term| self.is_unknown(term.cell))
            });
            let value = self.content[*cell].and_then(|content| content.value_micro);
            let cost = usize::from(self.is_sum[*cell]) * sum_cost
                + usize::from(self.is_country[*cell]) * COUNTRY_COST;
            (cost + lone.count(), cost, self.is_total[*cell], value, *cell)
        });
        if let Some(cell) = cheapest {
            self.hidden[cell] = true;
        }
        cheapest.is_some()
    }

    /// Hides one more cell near each unknown that a combination of relations isolates.
    fn hide_near_determined(&mut self, terms: &[Vec<Term>], family: usize, sum_cost: usize) -> bool {
        let unknown: Vec<bool> = (0..self.content.len()).map(|cell| self.is_unknown(cell)).collect();
        let rows: Vec<&Vec<Term>> = terms[self.families[family].relations.clone()]
            .iter()
            .filter(|terms| terms.iter().any(|term| unknown[term.cell]))
            .collect();
        let mut changed = false;
        for cell in determined(&rows, &unknown)
            .into_iter()
            .filter(|cell| self.is_protected(*cell))
            .collect::<Vec<_>>()
        {
            // The relations it stands in; if all their cells are hidden, those beside them, and so on.
            let mut near = BTreeSet::from([cell]);
            loop {
                let touching = rows.iter().filter(|terms| terms.iter().any(|term| near.contains(&term.cell)));
                let wider: BTreeSet<usize> =
                    touching.flat_map(|terms| terms.iter().map(|term| term.cell)).collect();
                if self.hide_cheapest(terms, sum_cost, wider.iter().copied()) {
                    changed = true;
                    break;
                }
                if wider.len() == near.len() {
                    break;
                }
                near = wider;
            }
        }
        changed
    }
}

/// Arithmetic modulo the Mersenne prime 2^31 − 1 stands in for rational numbers: the coefficients are ±1, and a
/// false answer would need a determinant divisible by that prime.
const PRIME: u64 = (1 << 31) - 1;

fn multiply(a: u64, b: u64) -> u64 {
    (a * b) % PRIME
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

/// The unknowns whose value follows from the relations, in the order of the cells. Relations that share no unknown, of different
/// benefits for example, say nothing of each other.
fn determined(rows: &[&Vec<Term>], unknown: &[bool]) -> Vec<usize> {
    let mut joined: UnionFind<usize> = UnionFind::new(unknown.len());
    let unknowns = |terms: &Vec<Term>| {
        let cells: Vec<usize> = terms.iter().map(|term| term.cell).filter(|cell| unknown[*cell]).collect();
        cells
    };
    for terms in rows {
        for pair in unknowns(terms).windows(2) {
            joined.union(pair[0], pair[1]);
        }
    }
    let mut components: BTreeMap<usize, Vec<&Vec<Term>>> = BTreeMap::new();
    for terms in rows {
        if let Some(cell) = unknowns(terms).first() {
            components.entry(joined.find(*cell)).or_default().push(terms);
        }
    }
    let mut found: Vec<usize> =
        components.values().flat_map(|rows| determined_together(rows, unknown)).collect();
    found.sort_unstable();
    found
}

/// As [`determined`]: those whose unit vector is a row of the reduced system.
fn determined_together(rows: &[&Vec<Term>], unknown: &[bool]) -> Vec<usize> {
    let cells = rows.iter().flat_map(|terms| terms.iter().map(|term| term.cell));
    let columns: BTreeSet<usize> = cells.filter(|cell| unknown[*cell]).collect();
    let columns: Vec<usize> = columns.into_iter().collect();
    let place: HashMap<usize, usize> = columns.iter().enumerate().map(|(i, cell)| (*cell, i)).collect();
    let mut matrix: Vec<Vec<u64>> = rows
        .iter()
        .map(|terms| {
            let mut row = vec![0; columns.len()];
            for term in terms.iter().filter(|term| unknown[term.cell]) {
                row[place[&term.cell]] = if term.positive { 1 } else { PRIME - 1 };
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
    // Which parts there are in areas of a kind: a total without one of them is no sum of the others.
    let of_sum = |sum: usize, group: &str| {
        let key: &CellKey = &keys[sum];
        (
            key.indicator.clone(),
            key.area_kind.clone(),
            group.to_owned(),
            key.benefit.clone(),
            key.breakdown_value.clone(),
        )
    };
    let mut known: BTreeMap<_, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (sum, groups) in &parts {
        for (group, parts) in groups {
            let parts =
                parts.iter().map(|cell| (keys[*cell].benefit.as_str(), keys[*cell].breakdown_value.as_str()));
            known.entry(of_sum(*sum, group)).or_default().extend(parts);
        }
    }
    for (sum, groups) in &parts {
        for (group, parts) in groups {
            let wanted = known.get(&of_sum(*sum, group)).map_or(0, BTreeSet::len);
            if parts.len() < wanted {
                continue;
            }
            let (sum, parts) = (*sum, parts.clone());
            relations.push(Relation { sum, parts, over_areas: false, over_municipalities: false });
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
            let over_municipalities = key.area_kind != "country";
            relations.push(Relation { sum, parts, over_areas: true, over_municipalities });
        }
    }
    relations
}
