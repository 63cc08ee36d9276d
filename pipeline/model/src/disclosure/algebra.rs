//! What follows from the relations about hidden cells, by Gaussian elimination.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use petgraph::unionfind::UnionFind;

use super::relations::Term;

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
/// benefits for example, say nothing of each other. `unknown` is of the cells from `first` on, which are all that the relations
/// have.
pub(super) fn determined(rows: &[&Vec<Term>], first: usize, unknown: &[bool]) -> Vec<usize> {
    let mut joined: UnionFind<usize> = UnionFind::new(unknown.len());
    let unknowns = |terms: &Vec<Term>| {
        let cells: Vec<usize> =
            terms.iter().map(|term| term.cell - first).filter(|cell| unknown[*cell]).collect();
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
        components.values().flat_map(|rows| determined_together(rows, first, unknown)).collect();
    found.sort_unstable();
    found
}

/// As [`determined`]: those whose unit vector is a row of the reduced system.
fn determined_together(rows: &[&Vec<Term>], first: usize, unknown: &[bool]) -> Vec<usize> {
    let cells = rows.iter().flat_map(|terms| terms.iter().map(|term| term.cell));
    let columns: BTreeSet<usize> = cells.filter(|cell| unknown[*cell - first]).collect();
    let columns: Vec<usize> = columns.into_iter().collect();
    let place: HashMap<usize, usize> = columns.iter().enumerate().map(|(i, cell)| (*cell, i)).collect();
    let mut matrix: Vec<Vec<u64>> = rows
        .iter()
        .map(|terms| {
            let mut row = vec![0; columns.len()];
            for term in terms.iter().filter(|term| unknown[term.cell - first]) {
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
