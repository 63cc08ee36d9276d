//! How often drift is said of areas that are on their path, and how many months it takes to find those that leave it, on simulated
//! worlds (`tests/src/worlds.rs`).
//!
//! `scripts/bench.sh --bench drift [-- WORLDS [counts|shares]]`: so many worlds (20) of 93 areas each, of one kind or both. Prints the tables of the decision page on drift.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

use rettidig_tests::worlds::{Truth, Verdict, World};

/// Names of the sizes of official counts.
const PERSONS: [&str; 3] = ["small (60 persons)", "middle (700)", "large (9,000)"];
/// Names of the sizes of percentages of spells.
const SPELLS: [&str; 3] = ["small (20 spells a month)", "middle (200)", "large (2,000)"];

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let worlds: u64 = arguments.next().map_or(Ok(20), |count| count.parse())?;
    let kind = arguments.next();
    let runtime = tokio::runtime::Runtime::new()?;
    println!("{worlds} worlds of 93 areas, 18 months each");
    if kind.as_deref() != Some("shares") {
        runtime.block_on(counts(worlds));
    }
    if kind.as_deref() != Some("counts") {
        runtime.block_on(shares(worlds));
    }
    Ok(())
}

async fn verdict(worlds: u64, truth: Truth) -> Verdict {
    let mut verdict = Verdict::default();
    for seed in 1..=worlds {
        let world = World::new(seed, truth);
        verdict.add(&world, &world.states().await);
    }
    verdict
}

async fn counts(worlds: u64) {
    println!("\nOfficial counts (`targets`)\n");
    false_alarms(
        worlds,
        PERSONS,
        &[
            ("counts spread as Poisson", Truth { dispersion: 1.0, ..Truth::default() }),
            ("1.5 times as much", Truth::default()),
            ("4 times as much", Truth { dispersion: 4.0, ..Truth::default() }),
            ("1.5 times, and wander 1 % around the path", Truth { wandering: 0.01, ..Truth::default() }),
        ],
    )
    .await;
    detection(worlds, PERSONS, Truth::default()).await;
}

async fn shares(worlds: u64) {
    println!("\nPercentages of spells (`local_drift`), 45 % at first\n");
    false_alarms(
        worlds,
        SPELLS,
        &[
            ("counts spread as binomial", Truth { dispersion: 1.0, ..Truth::of_shares() }),
            ("1.5 times as much", Truth::of_shares()),
            ("4 times as much", Truth { dispersion: 4.0, ..Truth::of_shares() }),
            ("1.5 times, and wander 1 % around the path", Truth { wandering: 0.01, ..Truth::of_shares() }),
        ],
    )
    .await;
    detection(worlds, SPELLS, Truth::of_shares()).await;
}

/// Prints how often areas that are on their path are said to drift.
async fn false_alarms(worlds: u64, sizes: [&str; 3], truths: &[(&str, Truth)]) {
    println!("| nobody leaves the path | months of areas | said to drift | share |");
    println!("|---|---|---|---|");
    for (what, truth) in truths {
        let verdict = verdict(worlds, *truth).await;
        for (size, (months, said)) in sizes.iter().zip(verdict.on_path) {
            println!("| {what}, {size} | {months} | {said} | {:.2} % |", percent(said, months));
        }
    }
}

/// Prints how soon areas that leave their path are found.
async fn detection(worlds: u64, sizes: [&str; 3], truth: Truth) {
    println!(
        "\n| every tenth area leaves it by | size | areas | found within 2 months | 6 | 12 | median months |"
    );
    println!("|---|---|---|---|---|---|---|");
    for off_by in [0.05, 0.10, 0.20] {
        let verdict = verdict(worlds, Truth { off_by, off_every: 10, ..truth }).await;
        for (size, found) in sizes.iter().zip(&verdict.found) {
            let within = |months: u32| found.iter().flatten().filter(|found| **found < months).count();
            let mut sorted: Vec<u32> = found.iter().map(|found| found.unwrap_or(u32::MAX)).collect();
            sorted.sort_unstable();
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or(u32::MAX);
            let median = if median == u32::MAX { "not".to_owned() } else { (median + 1).to_string() };
            let of = found.len();
            println!(
                "| {:.0} % | {size} | {of} | {} | {} | {} | {median} |",
                off_by * 100.0,
                within(2),
                within(6),
                within(12)
            );
        }
        let (findings, wrong) = verdict.findings;
        println!(
            "| {:.0} % | findings in all | {findings} | of them wrong | {wrong} | {:.1} % | |",
            off_by * 100.0,
            percent(wrong, findings)
        );
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    100.0 * f64::from(part) / f64::from(whole.max(1))
}
