//! Which buckets of persons somebody looks after.

use rettidig_event::person::{BUCKETS, PersonId, bucket_of};

/// A set of buckets: those of the partitions that a worker was given, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned(Vec<bool>);

impl Owned {
    /// All buckets: one process looks after everybody.
    pub fn all() -> Self {
        Self(vec![true; BUCKETS])
    }

    /// The buckets of some partitions, of topics with `count` partitions: partition = bucket × partitions ÷ 1,024.
    pub fn of_partitions(partitions: impl IntoIterator<Item = i32>, count: i32) -> Self {
        let mut owned = vec![false; BUCKETS];
        let count = usize::try_from(count).unwrap_or(1).max(1);
        for partition in partitions {
            let partition = usize::try_from(partition).unwrap_or(usize::MAX);
            for (bucket, is_owned) in owned.iter_mut().enumerate() {
                *is_owned |= bucket * count / BUCKETS == partition;
            }
        }
        Self(owned)
    }

    /// Whether a bucket is among them.
    pub fn has(&self, bucket: usize) -> bool {
        self.0.get(bucket).copied().unwrap_or(false)
    }

    /// Whether the bucket of a person is among them.
    pub fn has_person(&self, person: &PersonId) -> bool {
        self.has(bucket_of(person))
    }

    /// The buckets, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().filter(|(_, owned)| **owned).map(|(bucket, _)| bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_the_buckets_out() {
        for count in [1, 2, 16, 1_024] {
            let mut seen = vec![0; BUCKETS];
            for partition in 0..count {
                let owned = Owned::of_partitions([partition], count);
                owned.buckets().for_each(|bucket| seen[bucket] += 1);
            }
            assert!(seen.iter().all(|times| *times == 1), "{count} partitions");
        }
        assert_eq!(Owned::of_partitions(0..16, 16), Owned::all());
        assert!(Owned::of_partitions([15], 16).has(1_023) && !Owned::of_partitions([14], 16).has(1_023));
    }
}
