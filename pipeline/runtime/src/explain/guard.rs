//! What of a split may be told.
//!
//! The two values at its ends are published, so their difference is no secret; which cause moved the records of one person
//! is. A part with 1 to 4 persons behind it is therefore never told by itself, and never in such a way that the others give it
//! away: it is told as one sum with further parts that move something, until at least five persons stand behind that sum. If
//! there are not enough, only the whole difference is told. A part behind which nobody stands may be told as zero only if a sum that
//! is told holds two others.
//!
//! Ids and number of events are told of a part that is told alone, for five persons or more. Of a sum they are not: eight persons who
//! move a count by four are six up and two down. For the same reason the number of persons is told in steps of five.

use std::collections::BTreeSet;

use rettidig_event::PersonId;
use rettidig_model::disclosure::HIDDEN_BELOW;
use serde::Serialize;

use super::EventBehind;

/// Why a value differs from another; the codes are those of the column `cause` in `revisions`, as far as it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The world changed: time passed, or it is another period.
    Real,
    /// Something was told later.
    Late,
    /// Something was told otherwise.
    Correction,
    /// It is defined otherwise.
    Definition,
    /// What it is divided by changed.
    Denominator,
}

/// Who stands behind a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Behind {
    /// Published figures: nobody's records.
    Figures,
    /// The persons whose share of the value changed.
    Persons(BTreeSet<PersonId>),
    /// Persons, but nobody knows how many.
    Unknown,
}

/// The events behind a part: how many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Events {
    total: u64,
    first: BTreeSet<EventBehind>,
}

impl Events {
    /// Counts one more, no two of which are the same; at most `kept` are kept.
    pub(super) fn add(&mut self, event: EventBehind, kept: usize) {
        self.total += 1;
        self.first.insert(event);
        if self.first.len() > kept {
            self.first.pop_last();
        }
    }
}

/// A part before it is told.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) cause: Cause,
    pub(super) micro: i64,
    pub(super) behind: Behind,
    pub(super) events: Events,
}

/// A part as it is told: of one cause, or of several together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The causes.
    pub causes: Vec<Cause>,
    /// Millionths; `None` if nobody knows.
    pub micro: Option<i64>,
    /// So many persons at least stand behind it, in steps of five; `None` if the value is not made of persons, or if it may not be
    /// told.
    pub persons_at_least: Option<u64>,
    /// One to four persons stand behind it.
    pub is_few: bool,
    /// How many events are behind it; `None` if that may not be told.
    pub events_total: Option<u64>,
    /// The first of them.
    pub events: Vec<EventBehind>,
}

/// Persons from which on something may be told.
fn enough() -> usize {
    usize::try_from(HIDDEN_BELOW).unwrap_or(5)
}

fn is_small(part: &Measured) -> bool {
    matches!(&part.behind, Behind::Persons(persons) if (1..enough()).contains(&persons.len()))
}

/// Whether the part moves anything, by itself or in sum.
fn moves(part: &Measured) -> bool {
    match &part.behind {
        Behind::Persons(persons) => !persons.is_empty(),
        Behind::Figures | Behind::Unknown => part.micro != 0,
    }
}

fn persons_of(parts: &[Measured], places: &BTreeSet<usize>) -> BTreeSet<PersonId> {
    let behind = places.iter().filter_map(|place| match &parts[*place].behind {
        Behind::Persons(persons) => Some(persons),
        Behind::Figures | Behind::Unknown => None,
    });
    behind.flatten().copied().collect()
}

/// Which parts are told as one sum; empty if each may be told alone.
fn joint(parts: &[Measured]) -> BTreeSet<usize> {
    let mut joint: BTreeSet<usize> = (0..parts.len()).filter(|place| is_small(&parts[*place])).collect();
    if joint.is_empty() {
        return joint;
    }
    // Those who stand behind most are missed most, so the smallest go first; a part of unknown persons is the last resort.
    let mut others: Vec<usize> =
        (0..parts.len()).filter(|place| !joint.contains(place) && moves(&parts[*place])).collect();
    others.sort_by_key(|place| match &parts[*place].behind {
        Behind::Persons(persons) => (0, persons.len(), *place),
        Behind::Figures | Behind::Unknown => (1, 0, *place),
    });
    let mut others = others.into_iter();
    while joint.len() < 2 || persons_of(parts, &joint).len() < enough() {
        match others.next() {
            Some(place) => joint.insert(place),
            None => return (0..parts.len()).collect(),
        };
    }
    joint
}

/// Which parts are told alone, and so with their events.
pub(super) fn alone(parts: &[Measured]) -> BTreeSet<usize> {
    let joint = joint(parts);
    (0..parts.len()).filter(|place| !joint.contains(place)).collect()
}

/// The parts as they may be told.
pub(super) fn told(parts: &[Measured]) -> Vec<Part> {
    let joint = joint(parts);
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    for place in 0..parts.len() {
        if !joint.contains(&place) {
            groups.push(BTreeSet::from([place]));
        } else if joint.first() == Some(&place) {
            groups.push(joint.clone());
        }
    }
    groups.iter().map(|places| part(parts, places)).collect()
}

fn part(parts: &[Measured], places: &BTreeSet<usize>) -> Part {
    let causes = places.iter().map(|place| parts[*place].cause).collect();
    let micro = Some(places.iter().map(|place| parts[*place].micro).sum());
    let alone = places.first().filter(|_| places.len() == 1).map(|place| &parts[*place]);
    let Some(alone) = alone else {
        let is_few = persons_of(parts, places).len() < enough();
        return Part {
            causes,
            micro,
            persons_at_least: None,
            is_few,
            events_total: None,
            events: Vec::new(),
        };
    };
    let persons_at_least = match &alone.behind {
        Behind::Persons(persons) => Some((persons.len() / enough() * enough()) as u64),
        Behind::Figures | Behind::Unknown => None,
    };
    let events_total = Some(alone.events.total);
    let events = alone.events.first.iter().cloned().collect();
    Part { causes, micro, persons_at_least, is_few: false, events_total, events }
}

/// All parts as one, of which nothing is told but the sum: for figures whose members are hidden.
pub(super) fn unsplit(parts: &[Measured]) -> Vec<Part> {
    vec![Part {
        causes: parts.iter().map(|part| part.cause).collect(),
        micro: Some(parts.iter().map(|part| part.micro).sum()),
        persons_at_least: None,
        is_few: false,
        events_total: None,
        events: Vec::new(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cause: Cause, micro: i64, persons: std::ops::Range<u8>) -> Measured {
        let event = |number: u8| EventBehind {
            source: "yr-101".to_owned(),
            id: format!("file:{number:03}"),
            revision: 0,
            topic: "rettidig.payments".to_owned(),
            partition: Some(0),
            offset: Some(i64::from(number)),
            loaded_file: None,
            loaded_line: None,
            file: None,
        };
        let mut events = Events::default();
        persons.clone().for_each(|number| events.add(event(number), 3));
        Measured { cause, micro, behind: Behind::Persons(persons.map(|n| [n; 16]).collect()), events }
    }

    /// Causes, sum, persons, whether they are few, events.
    type Shape = (Vec<Cause>, Option<i64>, Option<u64>, bool, Option<u64>);

    fn shape(parts: &[Part]) -> Vec<Shape> {
        parts
            .iter()
            .map(|part| {
                (part.causes.clone(), part.micro, part.persons_at_least, part.is_few, part.events_total)
            })
            .collect()
    }

    #[test]
    fn five_persons_behind_each_part_are_told_apart() {
        use Cause::{Correction, Late, Real};
        let parts = vec![measured(Real, 0, 0..0), measured(Late, 7, 0..7), measured(Correction, -5, 10..15)];
        let told = told(&parts);
        let expected = vec![
            (vec![Real], Some(0), Some(0), false, Some(0)),
            (vec![Late], Some(7), Some(5), false, Some(7)),
            (vec![Correction], Some(-5), Some(5), false, Some(5)),
        ];
        assert_eq!(shape(&told), expected);
        assert!(told.iter().all(|part| part.events.len() <= 3));
    }

    #[test]
    fn a_small_part_is_told_with_the_next_larger_one() {
        use Cause::{Correction, Late, Real};
        let parts =
            vec![measured(Real, 9, 0..9), measured(Late, 6, 20..26), measured(Correction, -1, 30..31)];
        let expected = vec![
            (vec![Real], Some(9), Some(5), false, Some(9)),
            (vec![Late, Correction], Some(5), None, false, None),
        ];
        assert_eq!(shape(&told(&parts)), expected);
    }

    /// The difference of two published values is known; which cause moved it is not told when few persons did.
    #[test]
    fn one_changed_person_leaves_nothing_but_the_published_difference() {
        use Cause::{Correction, Definition, Late, Real};
        for (late, correction) in [(1, 0), (0, 1), (1, 3), (2, 2)] {
            let parts = vec![
                measured(Real, 0, 0..0),
                measured(Late, i64::from(late), 0..late),
                measured(Correction, i64::from(correction), 10..10 + correction),
                Measured { cause: Definition, micro: 0, behind: Behind::Unknown, events: Events::default() },
            ];
            let told = told(&parts);
            let sum = i64::from(late + correction);
            let expected = vec![(vec![Real, Late, Correction, Definition], Some(sum), None, true, None)];
            assert_eq!(shape(&told), expected);
            assert!(told[0].events.is_empty());
        }
    }

    #[test]
    fn a_correction_that_cancels_itself_is_no_less_secret() {
        use Cause::{Correction, Late};
        let parts = vec![measured(Late, 8, 0..8), measured(Correction, 0, 20..22)];
        let expected = vec![(vec![Late, Correction], Some(8), None, false, None)];
        assert_eq!(shape(&told(&parts)), expected);
    }

    /// Goal: no told part has 1 to 4 persons behind it, and none follows from the others. Method: random parts; a part that is not
    /// told alone stands in a sum in which another one moves too, or nothing is told but the difference.
    #[test]
    fn random_parts_never_leave_a_small_one_alone() {
        use Cause::{Correction, Definition, Late, Real};
        let seed = 5;
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..5_000 {
            let mut parts: Vec<Measured> = [Real, Late, Correction]
                .into_iter()
                .map(|cause| {
                    let (first, count) = (random.u8(0..20), random.choice([0, 1, 4, 5, 9]).unwrap_or(0));
                    measured(cause, random.i64(-3..=3) * i64::from(count.min(1)), first..first + count)
                })
                .collect();
            let micro = random.i64(0..2);
            parts.push(Measured {
                cause: Definition,
                micro,
                behind: Behind::Unknown,
                events: Events::default(),
            });
            let total: i64 = parts.iter().map(|part| part.micro).sum();
            let told = told(&parts);
            assert_eq!(told.iter().filter_map(|part| part.micro).sum::<i64>(), total);
            for part in &told {
                let of: Vec<&Measured> = parts.iter().filter(|p| part.causes.contains(&p.cause)).collect();
                let all = part.causes.len() == parts.len();
                if of.iter().any(|part| is_small(part)) {
                    assert!(all || of.iter().filter(|part| moves(part)).count() > 1, "{part:?}");
                }
                assert!(!part.is_few || all, "{part:?}");
                assert!(part.causes.len() == 1 || (part.events_total, part.persons_at_least) == (None, None));
            }
        }
    }
}
