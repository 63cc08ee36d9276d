//! What idempotent producers have written to one partition: the last five batches of each, as Kafka keeps
//! them, so that a batch sent again is answered with its first offset instead of being written again, and a
//! gap is refused. Bounded to a thousand producers a partition; the one that wrote longest ago is forgotten
//! first, after which its next batch is accepted whatever its sequence (as Kafka does).

use crate::log::batch::BatchHeader;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Batches remembered for each producer: librdkafka and the Java client keep at most five in flight.
const BATCHES_MAX: usize = 5;
/// Producers remembered for each partition.
const PRODUCERS_MAX: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
}

/// The producers of one partition. Also the content of `<base>.producers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Producers(BTreeMap<i64, Producer>);

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new.
    Append,
    /// It was written before, at this offset.
    Duplicate(i64),
    /// It was written before, but its offset is forgotten.
    OldDuplicate,
    /// Batches before it are missing.
    OutOfOrder,
    /// A newer incarnation of the producer has written.
    StaleEpoch,
}

impl Producers {
    /// Judges a batch by its sequence numbers.
    pub(crate) fn judge(&self, batch: &BatchHeader) -> Verdict {
        if !batch.is_idempotent() {
            return Verdict::Append;
        }
        let Some(producer) = self.0.get(&batch.producer_id) else { return Verdict::Append };
        if batch.producer_epoch < producer.epoch {
            return Verdict::StaleEpoch;
        }
        if batch.producer_epoch > producer.epoch {
            return if batch.base_sequence == 0 { Verdict::Append } else { Verdict::OutOfOrder };
        }
        let (first, last) = (batch.base_sequence, batch.last_sequence());
        let same = |written: &&Written| written.first_sequence == first && written.last_sequence == last;
        if let Some(written) = producer.batches.iter().find(same) {
            return Verdict::Duplicate(written.base_offset);
        }
        match producer.batches.back() {
            None => Verdict::Append,
            Some(written) if written.last_sequence == i32::MAX && first == 0 => Verdict::Append,
            Some(written) if written.last_sequence.checked_add(1) == Some(first) => Verdict::Append,
            Some(written) if last <= written.last_sequence => Verdict::OldDuplicate,
            Some(_) => Verdict::OutOfOrder,
        }
    }

    /// Notes a batch that has been written; its header carries the offset it got.
    pub(crate) fn note(&mut self, batch: &BatchHeader) {
        if !batch.is_idempotent() {
            return;
        }
        let producer = self
            .0
            .entry(batch.producer_id)
            .or_insert_with(|| Producer { epoch: batch.producer_epoch, batches: VecDeque::new() });
        if producer.epoch != batch.producer_epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_MAX {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
        });
        if self.0.len() > PRODUCERS_MAX {
            let written_last = |producer: &Producer| producer.batches.back().map(|batch| batch.base_offset);
            let oldest = self.0.iter().min_by_key(|(_, producer)| written_last(producer)).map(|(id, _)| *id);
            oldest.map(|id| self.0.remove(&id));
        }
    }
}
