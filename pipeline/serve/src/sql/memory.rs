//! The memory of statements: each connection has its share, and all together have no more than the process can give.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation};

/// The pool of one connection, within that of all.
#[derive(Debug)]
pub(super) struct Share {
    own: GreedyMemoryPool,
    all: Arc<GreedyMemoryPool>,
}

impl Share {
    /// A share of so many bytes.
    pub(super) fn new(bytes: usize, all: Arc<GreedyMemoryPool>) -> Self {
        Self { own: GreedyMemoryPool::new(bytes), all }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.own, self.all)
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.all.grow(reservation, additional);
        self.own.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        self.all.try_grow(reservation, additional).inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn what_one_has_no_other_can_have_and_gives_back() {
        let all = Arc::new(GreedyMemoryPool::new(100));
        let share = || -> Arc<dyn MemoryPool> { Arc::new(Share::new(70, Arc::clone(&all))) };
        let (one, other) = (share(), share());
        let first = MemoryConsumer::new("first").register(&one);
        let second = MemoryConsumer::new("second").register(&other);
        assert!(first.try_grow(71).is_err(), "more than a share");
        first.try_grow(70).expect("a share");
        assert!(second.try_grow(31).is_err(), "more than is left of all");
        assert_eq!((other.reserved(), all.reserved()), (0, 70), "what was refused is not counted");
        second.try_grow(30).expect("what is left");
        drop(first);
        assert_eq!((one.reserved(), all.reserved()), (0, 30));
        second.try_grow(40).expect("a share");
        drop(second);
        assert_eq!(all.reserved(), 0);
    }
}
