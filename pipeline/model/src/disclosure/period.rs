//! The cells of one period, and which of them are hidden: primary suppression, and what it takes to protect it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use chrono::NaiveDate;
use ustr::Ustr;

use super::algebra::determined;
use super::relations::{Link, Relation, Term, is_total, links, relations};
use super::{CellKey, Content, HIDDEN, Structure};
use crate::membership::Membership;

/// What hiding a sum of many municipalities costs, in relations that would need a further hidden cell; each is
/// tried.
const SUM_COSTS: [usize; 2] = [3, 0];

/// What hiding the country costs, in the same unit.
const COUNTRY_COST: usize = 9;

/// The cells and relations of one indicator; no relation joins two indicators.
struct Family {
    cells: Range<usize>,
    relations: Range<usize>,
}

pub(super) struct PeriodState {
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
    pub(super) fn new(
        keys: &[CellKey],
        index: &HashMap<&CellKey, usize>,
        period_end: NaiveDate,
        structures: &BTreeMap<String, Structure>,
        membership: &Membership,
        hidden_below: i64,
    ) -> Self {
        let named = structures.iter().map(|(name, structure)| (Ustr::from(name), structure));
        let structures = &named.collect();
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

    /// What a cell holds from now on.
    pub(super) fn note(&mut self, cell: usize, content: Content) {
        self.content[cell] = Some(content);
    }

    /// Hides a cell for ever.
    pub(super) fn hide(&mut self, cell: usize) {
        self.hidden[cell] = true;
    }

    /// What may be shown of a cell; `None` if it is not there.
    pub(super) fn shown(&self, cell: usize) -> Option<Content> {
        self.content[cell].map(|content| if self.hidden[cell] { HIDDEN } else { content })
    }

    /// Extends the hidden pattern until no hidden cell can be computed.
    pub(super) fn suppress(&mut self) {
        for cell in 0..self.content.len() {
            if let (Some(content), Link::Itself) = (self.content[cell], self.links[cell]) {
                let small = content.persons.is_some_and(|persons| (1..self.hidden_below).contains(&persons));
                let unknown = content.value_micro.is_some() && content.persons.is_none();
                self.hidden[cell] |= small || unknown;
            }
        }
        let terms = self.terms();
        let families = 0..self.families.len();
        let (linked, counting): (Vec<usize>, Vec<usize>) =
            families.partition(|family| self.is_linked(*family));
        if self.checked.as_ref() != Some(&self.states()) {
            counting.into_iter().for_each(|family| self.protect_cheaply(&terms, family));
        }
        for cell in (0..self.content.len()).filter(|cell| self.content[*cell].is_some()) {
            let hide = match self.links[cell] {
                Link::Itself => false,
                Link::Count(count) => self.is_unknown(count) || !self.is_counted(cell, count),
                Link::Unknown => true,
            };
            self.hidden[cell] |= hide;
        }
        // What was hidden with its count is not hidden where the count has no cell: an amount that was taken back of somebody
        // who is not counted any more.
        if self.checked.as_ref() != Some(&self.states()) {
            linked.into_iter().for_each(|family| self.protect_cheaply(&terms, family));
            self.checked = Some(self.states());
        }
    }

    /// Whether an indicator's persons are counted by another one.
    fn is_linked(&self, family: usize) -> bool {
        self.families[family].cells.clone().any(|cell| !matches!(self.links[cell], Link::Itself))
    }

    /// Whether a count tells how many are behind a value: it does not if it says nobody, and there is one.
    fn is_counted(&self, cell: usize, count: usize) -> bool {
        let value = |cell: usize| self.content[cell].and_then(|content| content.value_micro);
        value(count).is_some_and(|persons| persons != 0 || value(cell).is_none_or(|value| value == 0))
    }

    /// Hides as little as it must until no combination of relations isolates a hidden cell of an indicator.
    fn protect_cheaply(&mut self, terms: &[Vec<Term>], family: usize) {
        let cells = self.families[family].cells.clone();
        let start = self.hidden[cells.clone()].to_vec();
        let mut best: Option<(usize, Vec<bool>)> = None;
        for sum_cost in SUM_COSTS {
            self.hidden[cells.clone()].copy_from_slice(&start);
            self.protect(terms, family, sum_cost);
            let hidden = &self.hidden[cells.clone()];
            if hidden == start.as_slice() {
                // Nothing was to be protected, whatever it costs.
                return;
            }
            let loss = self.loss(family);
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, hidden.to_vec()));
            }
        }
        if let Some((_, hidden)) = best {
            self.hidden[cells].copy_from_slice(&hidden);
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
        let cells = self.families[family].cells.clone();
        let unknown: Vec<bool> = cells.clone().map(|cell| self.is_unknown(cell)).collect();
        let rows: Vec<&Vec<Term>> = terms[self.families[family].relations.clone()]
            .iter()
            .filter(|terms| terms.iter().any(|term| unknown[term.cell - cells.start]))
            .collect();
        let mut changed = false;
        for cell in determined(&rows, cells.start, &unknown)
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
