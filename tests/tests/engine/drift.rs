//! Drift that can be trusted, on worlds whose truth is known (`scripts/bench.sh --bench drift` has many more of them).
//!
//! Goal: nobody who is on the path is called drifting more often than is stated, and who leaves it is found. Method:
//! simulated areas of three sizes with season and over-dispersion; each month is evaluated as it was known then.

use chrono::{Months, NaiveDate};
use rettidig_event::Topic;
use rettidig_model::Model;
use rettidig_tests::worlds::{Truth, Verdict, World};
use rettidig_tests::{Bench, seeds};
use serde_json::json;

use super::golden::shown;

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

/// Goal: the same of percentages made from records of persons, which are judged by the same statement over what is shown of them.
#[tokio::test]
async fn percentages_of_spells_that_leave_their_path_are_found_and_no_others() {
    let mut quiet = Verdict::default();
    let world = World::new(1, Truth { areas: AREAS, ..Truth::of_shares() });
    quiet.add(&world, &world.states().await);
    let (months, said) = quiet.on_path.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    assert_eq!(months, 18 * 30);
    assert!(said * 100 <= months, "{said} of {months} months of areas on their path are said to drift");

    let mut off = Verdict::default();
    let truth = Truth { areas: AREAS, off_by: 0.2, off_every: 4, ..Truth::of_shares() };
    let world = World::new(2, truth);
    off.add(&world, &world.states().await);
    // What is shown of persons is 48 months, so a season has two years behind it and is told from chance later than an official one.
    let in_half_a_year = |found: &Option<u32>| found.is_some_and(|months| months < 6);
    assert!(!off.found[2].is_empty());
    assert!(off.found[2].iter().all(in_half_a_year), "20 % off, 2,000 spells a month: {:?}", off.found[2]);
}

/// Tårnby and Dragør have one jobcentre, København has its own.
const MUNICIPALITIES: [i32; 3] = [185, 155, 101];
/// Months of the history, from January 2023, and those that come in random order after it.
const HISTORY: u32 = 38;
const NEWEST: u32 = 4;

fn figure(municipality: i32, month: u32, value: u32) -> Vec<u8> {
    let published = NaiveDate::from_ymd_opt(2023, 1, 20).expect("date") + Months::new(month + 1);
    let event = json!({
        "publisher": "jobindsats", "table": "y25i01", "measure": "full_time_unemployed", "area": municipality,
        "period": format!("{}M{:02}", 2023 + month / 12, month % 12 + 1), "breakdown": {}, "value": value.to_string(),
        "status": "final", "published_at": format!("{published}T06:00:00Z"),
        "retrieved_at": format!("{published}T07:00:00Z"),
    });
    event.to_string().into_bytes()
}

fn value(municipality: i32, month: u32) -> u32 {
    let level = if municipality == 101 { 9_000 } else { 600 };
    // A fifth too many from the first of the newest months on, and a little chance everywhere.
    let off = if month >= HISTORY { level / 5 } else { 0 };
    level + off + (month * 7 + municipality.unsigned_abs()) % 11
}

/// Goal: late data never turns `incomplete` into `drifting` before it is complete. Method: figures of the newest months come one by one
/// in random order; after each, no jobcentre drifts in a month of which a municipality of it is missing, and in the end both do.
#[tokio::test]
async fn late_figures_never_make_anybody_drift_before_all_of_them_are_there() {
    let mut files = Model::embedded_files();
    let targets = files.iter_mut().find(|file| file.path == "reference/targets.csv").expect("targets");
    targets.text = "area_kind,area,indicator,benefit,zero_date,zero_value,target_date,target_value,direction,owner,note\n\
                    jobcentre,0155,full_time_unemployed,total,2026-02-28,1205,2026-12-31,1150,down,test,\n\
                    jobcentre,0101,full_time_unemployed,total,2026-02-28,9005,2026-12-31,8500,down,test,\n"
        .to_owned();
    let model = rettidig_tests::model_of(files);
    for seed in seeds(2) {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().expect("folder");
        let now = "2026-07-22T10:00:00Z".parse().expect("instant");
        let mut bench = Bench::open(folder.path(), &model, now).await;
        let of = |months: std::ops::Range<u32>| {
            let pairs = months.flat_map(|month| MUNICIPALITIES.map(|municipality| (municipality, month)));
            pairs.collect::<Vec<_>>()
        };
        let event =
            |(municipality, month): (i32, u32)| figure(municipality, month, value(municipality, month));
        let history: Vec<Vec<u8>> = of(0..HISTORY).into_iter().map(event).collect();
        bench.commit(Topic::Official, &history).await;
        let mut late = of(HISTORY..HISTORY + NEWEST);
        random.shuffle(&mut late);
        while let Some(next) = late.pop() {
            bench.commit(Topic::Official, &[event(next)]).await;
            let tables = bench.tables();
            let query = "SELECT area, period FROM targets WHERE state IN ('drifting', 'on_track') AND period > '2026-02'";
            let judged = shown(&tables, query).await;
            for line in judged.lines().skip(1) {
                let (area, period) = line.split_once(',').expect("area,period");
                // The history ends in February 2026.
                let after: u32 = period[5..].parse::<u32>().expect("month") - 3;
                let missing = late.iter().find(|(municipality, of)| {
                    let at = if *municipality == 101 { "0101" } else { "0155" };
                    at == area && of - HISTORY == after
                });
                assert_eq!(missing, None, "seed {seed}: {area} is judged in {period}");
            }
        }
        let tables = bench.tables();
        let query = "SELECT area FROM targets WHERE newest AND state = 'drifting' ORDER BY area";
        assert_eq!(shown(&tables, query).await, "area\n0101\n0155", "seed {seed}");
    }
}
