//! Drift that can be trusted, on worlds whose truth is known (`scripts/bench.sh --bench drift` has many more of them).
//!
//! Goal: nobody who is on the path is called drifting more often than is stated, and who leaves it is found. Method:
//! simulated areas of three sizes with season and over-dispersion; each month is evaluated as it was known then.

use rettidig_tests::worlds::{Truth, Verdict, World};

/// A world in dev takes seconds: fewer areas than there are.
const AREAS: usize = 30;

#[tokio::test]
async fn who_is_on_the_path_is_left_alone_and_who_leaves_it_is_found() {
    let mut quiet = Verdict::default();
    let world = World::new(1, Truth { areas: AREAS, ..Truth::default() });
    quiet.add(&world, &world.states().await);
    let (months, said) = quiet.on_path.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    assert_eq!(months, 18 * 30);
    assert!(said * 100 <= months, "{said} of {months} months of areas on their path are said to drift");

    let mut off = Verdict::default();
    let truth = Truth { areas: AREAS, off_by: 0.2, off_every: 4, ..Truth::default() };
    let world = World::new(2, truth);
    off.add(&world, &world.states().await);
    for (size, found) in off.found.iter().enumerate().skip(1) {
        assert!(!found.is_empty());
        let soon = |found: &Option<u32>| found.is_some_and(|months| months <= 2);
        assert!(found.iter().all(soon), "20 % off, size {size}: {found:?}");
    }
}
