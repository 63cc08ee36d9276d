//! What was known of persons at an epoch, and what the rows since then are: late, or corrections.
//!
//! A row that stands on a topic was known when the epoch's position had passed it; manifests stay for ever, so that is exact
//! at any time. Rows from the bulk door stand on no topic: the number of rows in the manifest tells whether all of them were there
//! or none. If it was a part of them, the epoch's own files say which; those are kept for the newest few epochs. Without them nobody
//! knows any more, and the question is refused.
//!
//! What a new row is depends on what was known and on all that is new, never on the order in which it came.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use rettidig_event::person;

use crate::RuntimeError;
use crate::groups::column;
use crate::manifest::{Manifest, Positions};

/// Which rows an epoch knew.
#[derive(Debug, Clone)]
pub(crate) enum Arrived {
    /// All of the log that is read.
    All,
    /// Those before its positions, and these of the bulk door.
    Before { positions: Positions, loaded: Loaded },
}

/// Which rows of the bulk door an epoch knew.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    /// None.
    None,
    /// All of them.
    All,
    /// Those with these digests of what they are.
    These(Arc<HashSet<u128>>),
}

/// Digests of what the rows of the bulk door are: topic, source, id, style and revision.
pub(super) fn loaded_identities(rows: &RecordBatch) -> Result<Vec<Option<u128>>, RuntimeError> {
    let integer = |name: &str| column(rows, name).map(|column| column.as_primitive::<Int32Type>());
    let text = |name: &str| column(rows, name).map(|column| column.as_string::<i32>());
    let (topic, op, partition) = (integer("topic")?, integer("op")?, integer("topic_partition")?);
    let (source, id) = (text("source")?, text("id")?);
    let revision = column(rows, "revision")?.as_primitive::<Int64Type>();
    let identity = |row: usize| {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, topic.value(row), op.value(row) != 0, revision.value(row)).hash(&mut hasher);
            (source.value(row), id.value(row)).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        is_loaded(partition.value(row)).then(|| (half(0) << 64) | half(1))
    };
    Ok((0..rows.num_rows()).map(identity).collect())
}

/// What a row is to a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Known at its beginning.
    Before,
    /// Told since then, of something that had not been told.
    Late,
    /// Tells otherwise what had been told.
    Otherwise,
    /// Told after its end.
    After,
}

/// Whether a row stands on no topic.
fn is_loaded(partition: i32) -> bool {
    partition < 0
}

/// Rows of the log that an epoch may have known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    on_topics: u64,
    loaded: u64,
}

/// The columns that say where a row stands.
struct Places<'a> {
    topic: &'a arrow::array::Int32Array,
    partition: &'a arrow::array::Int32Array,
    offset: &'a arrow::array::Int64Array,
}

impl<'a> Places<'a> {
    fn of(rows: &'a RecordBatch) -> Result<Self, RuntimeError> {
        Ok(Self {
            topic: column(rows, "topic")?.as_primitive::<Int32Type>(),
            partition: column(rows, "topic_partition")?.as_primitive::<Int32Type>(),
            offset: column(rows, "topic_offset")?.as_primitive::<Int64Type>(),
        })
    }

    /// Whether a row of a topic stands before the positions.
    fn is_before(&self, row: usize, positions: &Positions) -> bool {
        let topic = usize::try_from(self.topic.value(row)).ok().and_then(|topic| person::TOPICS.get(topic));
        let position = topic
            .and_then(|topic| positions.get(topic.name()))
            .and_then(|partitions| partitions.get(&self.partition.value(row)));
        position.is_some_and(|position| self.offset.value(row) < position.next)
    }
}

impl Counted {
    /// Counts rows of the log.
    pub(super) fn add(&mut self, rows: &RecordBatch, positions: &Positions) -> Result<(), RuntimeError> {
        let places = Places::of(rows)?;
        for row in 0..rows.num_rows() {
            if is_loaded(places.partition.value(row)) {
                self.loaded += 1;
            } else if places.is_before(row, positions) {
                self.on_topics += 1;
            }
        }
        Ok(())
    }

    /// What the epoch knew, if its number of rows tells.
    pub(super) fn arrived(&self, manifest: &Manifest) -> Option<Arrived> {
        let rows = manifest.persons.rows;
        let loaded = match (self.on_topics + self.loaded == rows, self.on_topics == rows) {
            (true, _) => Loaded::All,
            (false, true) => Loaded::None,
            (false, false) => return None,
        };
        Some(Arrived::Before { positions: manifest.positions.clone(), loaded })
    }
}

impl Arrived {
    /// Which rows it knew.
    pub(crate) fn mask(&self, rows: &RecordBatch) -> Result<Vec<bool>, RuntimeError> {
        let Self::Before { positions, loaded } = self else { return Ok(vec![true; rows.num_rows()]) };
        let places = Places::of(rows)?;
        let identities = match loaded {
            Loaded::These(_) => loaded_identities(rows)?,
            Loaded::None | Loaded::All => Vec::new(),
        };
        let is_known = |row: usize| match (is_loaded(places.partition.value(row)), loaded) {
            (false, _) => places.is_before(row, positions),
            (true, Loaded::None) => false,
            (true, Loaded::All) => true,
            (true, Loaded::These(these)) => identities[row].is_some_and(|identity| these.contains(&identity)),
        };
        Ok((0..rows.num_rows()).map(is_known).collect())
    }
}

/// What a row of a ledger is about: the rows that are netted with it.
type Entry<'a> = (i32, i32, Option<i32>, Option<i32>, Option<i32>, Option<&'a str>);

/// What each row is, of rows sorted by person.
pub(super) fn told(rows: &RecordBatch, from: &Arrived, to: &Arrived) -> Result<Vec<Told>, RuntimeError> {
    let (before, until) = (from.mask(rows)?, to.mask(rows)?);
    let integer = |name: &str| column(rows, name).map(|column| column.as_primitive::<Int32Type>());
    let text = |name: &str| column(rows, name).map(|column| column.as_string::<i32>());
    let day = |name: &str| column(rows, name).map(|column| column.as_primitive::<Date32Type>());
    let person = rows.column(0).as_fixed_size_binary();
    let (topic, op, kind, benefit) =
        (integer("topic")?, integer("op")?, integer("kind")?, integer("benefit")?);
    let (source, id, detail) = (text("source")?, text("id")?, text("detail")?);
    let (from_day, to_day) = (day("from_day")?, day("to_day")?);
    let amount = column(rows, "amount_oere")?.as_primitive::<Int64Type>();
    let revision = column(rows, "revision")?.as_primitive::<Int64Type>();
    let entry = |row: usize| -> Entry<'_> {
        (
            topic.value(row),
            kind.value(row),
            benefit.is_valid(row).then(|| benefit.value(row)),
            from_day.is_valid(row).then(|| from_day.value(row)),
            to_day.is_valid(row).then(|| to_day.value(row)),
            detail.is_valid(row).then(|| detail.value(row)),
        )
    };
    let record = |row: usize| (topic.value(row), source.value(row), id.value(row));
    let is_negative = |row: usize| amount.is_valid(row) && amount.value(row) < 0;
    let mut told = Vec::with_capacity(rows.num_rows());
    let mut first = 0;
    while first < rows.num_rows() {
        let bytes = person.value(first);
        let end = (first..rows.num_rows()).find(|row| person.value(*row) != bytes).unwrap_or(rows.num_rows());
        let known = || (first..end).filter(|row| before[*row]);
        let new = || (first..end).filter(|row| until[*row] && !before[*row]);
        let entries: HashSet<Entry<'_>> = known().filter(|row| op.value(*row) == 0).map(&entry).collect();
        let records: HashSet<_> = known().filter(|row| op.value(*row) != 0).map(record).collect();
        // What first tells a record: the lowest revision that has content.
        let mut beginnings: HashMap<_, i64> = HashMap::new();
        for row in new().filter(|row| op.value(*row) == 1) {
            let lowest = beginnings.entry(record(row)).or_insert(i64::MAX);
            *lowest = (*lowest).min(revision.value(row));
        }
        for row in first..end {
            let is_late = match op.value(row) {
                0 => !is_negative(row) && !entries.contains(&entry(row)),
                1 => {
                    !records.contains(&record(row))
                        && beginnings.get(&record(row)) == Some(&revision.value(row))
                }
                _ => false,
            };
            told.push(match (before[row], until[row], is_late) {
                (true, ..) => Told::Before,
                (_, false, _) => Told::After,
                (_, _, true) => Told::Late,
                (_, _, false) => Told::Otherwise,
            });
        }
        first = end;
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rettidig_event::{Message, Topic};

    use super::*;
    use crate::manifest::Position;

    const PERSON: &str = "00112233445566778899aabbccddeeff";

    /// `op,id,revision,from,amount` at the offset of its line.
    fn payments(lines: &[&str]) -> RecordBatch {
        let payloads: Vec<String> = lines
            .iter()
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                let [op, id, revision, from, amount] = fields[..] else { panic!("{line}") };
                format!(
                    r#"{{"source":"yr-101","id":"{id}","op":"{op}","revision":{revision},"recorded_at":"2026-08-01T06:00:00Z","person":"{PERSON}","birth":null,"municipality":101,"benefit":"cash","from":"{from}","to":"{from}","minutes":null,"amount_oere":{amount},"refund_oere":0}}"#
                )
            })
            .collect();
        let messages = payloads.iter().zip(0..).map(|(payload, offset)| Message {
            partition: 0,
            offset,
            payload: payload.as_bytes(),
        });
        let decoded = person::decode(Topic::Payments, messages);
        assert!(decoded.rejected.is_empty(), "{:?}", decoded.rejected);
        decoded.batch
    }

    fn until(next: i64) -> Arrived {
        let position = Position { next, last_sha256: None };
        let partitions = BTreeMap::from([(0, position)]);
        let positions = Positions::from([(Topic::Payments.name().to_owned(), partitions)]);
        Arrived::Before { positions, loaded: Loaded::None }
    }

    #[test]
    fn a_row_is_late_or_a_correction_by_what_was_known() {
        let rows = payments(&[
            "add,a,0,2026-07-06,100",   // known
            "upsert,r,1,2026-07-06,50", // known
            "add,b,0,2026-07-06,100",   // the same week again: told otherwise
            "add,c,0,2026-07-13,100",   // a week that was not told: late
            "add,d,0,2026-07-13,-40",   // taken back in part
            "upsert,r,2,2026-07-06,60", // a record told otherwise
            "upsert,s,2,2026-07-20,70", // a new record's second revision …
            "upsert,s,1,2026-07-20,70", // … and its first
            "delete,s,3,2026-07-20,70", // … and its end
            "add,e,0,2026-07-27,100",   // not yet there at the end
        ]);
        use Told::{After, Before, Late, Otherwise};
        let found = told(&rows, &until(2), &until(9)).expect("told");
        let expected =
            vec![Before, Before, Otherwise, Late, Otherwise, Otherwise, Otherwise, Late, Otherwise, After];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_row_is_does_not_depend_on_the_order() {
        let lines = [
            "add,a,0,2026-07-06,100",
            "upsert,s,1,2026-07-20,70",
            "upsert,s,2,2026-07-20,60",
            "add,c,0,2026-07-13,100",
            "add,d,0,2026-07-13,-40",
        ];
        let rows = payments(&lines);
        let expected = told(&rows, &until(1), &Arrived::All).expect("told");
        let order = arrow::array::UInt32Array::from(vec![4_u32, 2, 3, 0, 1]);
        let shuffled = arrow::compute::take_record_batch(&rows, &order).expect("taken");
        let found = told(&shuffled, &until(1), &Arrived::All).expect("told");
        let expected: Vec<Told> = order.values().iter().map(|row| expected[*row as usize]).collect();
        assert_eq!(found, expected);
    }
}
