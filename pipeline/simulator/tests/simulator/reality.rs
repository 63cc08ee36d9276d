//! What reality does to data is in the simulation, in the right measure; and the levels are the real ones.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::support::{Event, bytes, days, event_lines, events, options};
use chrono::{Datelike, NaiveDate};
use rettidig_event::municipality::MUNICIPALITIES;
use rettidig_simulator::{Series, Simulation, SourceFile, System, full_time_persons};

/// Everything a run delivers, as one hash.
fn fingerprint(persons: u64, months: u32, seed: u64) -> (u64, usize) {
    let (mut hash, mut size) = (0_u64, 0);
    let mut add = |bytes: &[u8]| {
        size += bytes.len();
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for day in Simulation::new(&options(persons, months, seed)) {
        add(day.date.to_string().as_bytes());
        for file in &day.files {
            add(file.name().as_bytes());
            add(&bytes(file));
            add(event_lines(file).as_bytes());
            let mut delivery = Vec::new();
            file.write_delivery(&mut delivery);
            add(&delivery);
        }
    }
    (hash, size)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = fingerprint(800, 5, 1);
    assert!(first.1 > 1_000_000);
    assert_eq!(first, fingerprint(800, 5, 1));
    assert_ne!(first.0, fingerprint(800, 5, 2).0);
}

#[test]
fn a_handful_of_persons_and_a_single_month_are_a_simulation_too() {
    for (persons, months) in [(0, 3), (1, 3), (40, 1), (300, 0)] {
        let all = days(&options(persons, months, 1));
        let last = all.last().map(|day| day.date.to_string());
        assert_eq!(last.as_deref(), Some("2026-07-31"), "{persons} persons");
        let records: usize = all.iter().flat_map(|day| &day.files).map(SourceFile::record_count).sum();
        assert!(
            if persons == 0 { records == 0 } else { persons == 1 || records > 10 },
            "{persons} persons: {records} records"
        );
    }
}

/// The net of each ledger week, as the contract counts it.
#[derive(Default)]
struct Facts {
    ledger: HashMap<(String, String, NaiveDate, i32), i64>,
    seen: HashSet<(i32, String)>,
}

impl Facts {
    fn add(&mut self, event: Event) {
        if self.seen.insert((event.municipality, event.id)) {
            let (benefit, week) = (event.benefit.expect("benefit"), event.from.expect("from"));
            let net = self.ledger.entry((event.person, benefit, week, event.municipality)).or_default();
            *net += event.amount_oere.expect("amount");
        }
    }

    /// Covered days by benefit, municipality and month.
    fn covered(&self) -> HashMap<(String, i32, i32, u32), f64> {
        let mut covered = HashMap::new();
        for ((_, benefit, week, municipality), net) in &self.ledger {
            assert!(*net >= 0, "a week is taken back more than it was paid");
            for day in week.iter_days().take(if *net > 0 { 7 } else { 0 }) {
                let key = (benefit.clone(), *municipality, day.year(), day.month());
                *covered.entry(key).or_default() += 1.0;
            }
        }
        covered
    }
}

/// Goal: simulated full-time persons of unemployment and of the cash family follow the published ones by
/// municipality and month. Method: count covered days as the contract does, over 98 municipalities; the figure
/// published is multiplied by the simulation's scale. Two years over the reform of July 2025; two weeks of run-off
/// so that the newest month is delivered.
#[test]
fn levels_follow_the_published_figures_by_municipality_and_month() {
    let options = rettidig_simulator::SimulationOptions { runoff_days: 14, ..options(40_000, 24, 11) };
    let simulation = Simulation::new(&options);
    let scale = simulation.scale();
    let mut facts = Facts::default();
    for file in simulation.flat_map(|day| day.files).filter(|file| file.system() == System::Yr) {
        events(&file).into_iter().for_each(|event| facts.add(event));
    }
    let covered = facts.covered();
    let family = ["cash", "education_help", "start_help"];
    for (series, benefits) in [(Series::Unemployment, &["unemployment"][..]), (Series::Cash, &family[..])] {
        let (mut pairs, mut deviations) = (Vec::new(), Vec::new());
        for month in 0..24 {
            let (year, month) = (2024 + (7 + month) / 12, (7 + month) as u32 % 12 + 1);
            let first = NaiveDate::from_ymd_opt(year, month, 1).expect("date");
            let length = first.iter_days().take_while(|day| day.month() == month).count() as f64;
            for (code, name) in MUNICIPALITIES {
                let days =
                    |benefit: &&str| covered.get(&((*benefit).to_owned(), code, year, month)).unwrap_or(&0.0);
                let simulated = benefits.iter().map(days).sum::<f64>() / length;
                let real = full_time_persons(series, code, year, month).expect(name) * scale;
                pairs.push((simulated, real));
                if real >= 40.0 {
                    deviations.push((simulated / real - 1.0).abs());
                }
            }
        }
        deviations.sort_by(f64::total_cmp);
        let correlation = correlation(&pairs);
        let (median, most) = (deviations[deviations.len() / 2], deviations[deviations.len() * 95 / 100]);
        let (sum, real): (f64, f64) =
            pairs.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        let report =
            format!("{series:?}: r {correlation:.5}, median {median:.4}, 95 % {most:.4}, sum {}", sum / real);
        assert!(correlation > 0.995 && median < 0.03 && most < 0.08, "{report}");
        assert!((sum / real - 1.0).abs() < 0.02 && deviations.len() > 500, "{report}");
    }
    // The reform: nothing of the two old benefits after 2025-06-30.
    let old = covered.keys().filter(|(benefit, ..)| benefit == "education_help" || benefit == "start_help");
    assert!(old.clone().count() > 500);
    assert!(old.clone().all(|(_, _, year, month)| (*year, *month) < (2025, 7)));
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    sum(&|p| (p.0 - x) * (p.1 - y)) / (sum(&|p| (p.0 - x).powi(2)) * sum(&|p| (p.1 - y).powi(2))).sqrt()
}

fn yr_events(files: &[SourceFile]) -> impl Iterator<Item = Event> + '_ {
    files.iter().filter(|file| file.system() == System::Yr && !file.is_sent_again()).flat_map(events)
}

#[test]
fn corrections_are_three_percent_of_the_rows_in_a_short_simulation_too() {
    for (months, seed) in [(6, 1), (12, 2), (24, 3)] {
        let files: Vec<SourceFile> =
            days(&options(6_000, months, seed)).into_iter().flat_map(|d| d.files).collect();
        let (mut rows, mut weeks) = (0, HashSet::new());
        for event in yr_events(&files) {
            rows += 1;
            weeks.insert((event.person, event.from));
        }
        let share = (rows - weeks.len()) as f64 / rows as f64;
        assert!((0.025..0.035).contains(&share), "{months} months: {share} of {rows}");
    }
}

#[test]
fn corrections_are_three_percent_of_the_rows_and_reach_eight_years_back() {
    let options = options(2_500, 120, 4);
    let files: Vec<SourceFile> = Simulation::new(&options).flat_map(|day| day.files).collect();
    let first = Simulation::new(&options).first_day();
    let mut lines: BTreeMap<(String, String, NaiveDate), Vec<(String, i64)>> = BTreeMap::new();
    let (mut rows, mut furthest) = (0_u64, 0);
    for event in yr_events(&files) {
        rows += 1;
        let week = event.from.expect("from");
        assert!(week >= first);
        let recorded: NaiveDate = event.recorded_at[..10].parse().expect("date");
        let amount = event.amount_oere.expect("amount");
        if amount < 0 {
            furthest = furthest.max((recorded - week).num_days());
        }
        let key = (event.person, event.benefit.expect("benefit"), week);
        lines.entry(key).or_default().push((event.recorded_at, amount));
    }
    let share = (rows - lines.len() as u64) as f64 / rows as f64;
    assert!((0.025..0.035).contains(&share), "{share} of {rows}");
    assert!((7 * 365..=8 * 365 + 20).contains(&furthest), "{furthest} days");
    let mut retracted = 0;
    for (key, rows) in &lines {
        let net: i64 = rows.iter().map(|(_, amount)| amount).sum();
        assert!(net >= 0, "{key:?}: {rows:?}");
        retracted += usize::from(net == 0);
    }
    assert!(retracted * 1000 > lines.len() && retracted * 100 < lines.len(), "{retracted}");
    // Nobody is paid two weekly benefits for one week.
    let weeks: HashSet<(&str, NaiveDate)> =
        lines.keys().map(|(person, _, week)| (&person[..], *week)).collect();
    assert_eq!(weeks.len(), lines.len());
}

#[test]
fn revisions_and_deletes_overtake_and_nothing_contradicts_itself() {
    let (mut arrived, mut content) = (HashMap::<(String, String), Vec<(u32, String)>>::new(), HashMap::new());
    let (mut late, mut again, mut repeated, mut rows_late) = (0, 0, 0, 0);
    for day in days(&options(6_000, 18, 8)) {
        for file in &day.files {
            again += usize::from(file.is_sent_again());
            late += usize::from(!file.is_sent_again() && day.date > file.made_on());
            for (event, line) in events(file).into_iter().zip(event_lines(file).lines()) {
                if let (Some(from), Some(to)) = (event.from, event.to) {
                    let days = (to - from).num_days();
                    assert!(days >= 0 && (days < 366 || event.kind.is_some()), "{line}");
                }
                if event.op == "add" && event.amount_oere > Some(0) {
                    rows_late += usize::from((file.made_on() - event.from.expect("from")).num_days() > 14);
                }
                if event.op == "upsert" {
                    assert!(event.amount_oere.is_none_or(|amount| amount > 0), "{line}");
                }
                let key = (event.source, event.id);
                // The same revision is always the same record, word by word.
                let known = content.entry((key.clone(), event.revision)).or_insert_with(|| line.to_owned());
                repeated += usize::from(
                    arrived.get(&key).is_some_and(|all| all.contains(&(event.revision, event.op.clone()))),
                );
                assert_eq!(known, line);
                arrived.entry(key).or_default().push((event.revision, event.op));
            }
        }
    }
    let (mut overtaken, mut delete_first) = (BTreeMap::<String, usize>::new(), 0);
    for ((source, _), all) in &arrived {
        if all.windows(2).any(|pair| pair[0].0 > pair[1].0) {
            *overtaken.entry(source.split('-').next().expect("prefix").to_owned()).or_default() += 1;
        }
        delete_first += usize::from(all.len() > 1 && all[0].1 == "delete" && all[1].1 == "upsert");
    }
    let report = format!(
        "late {late}, again {again}, repeated {repeated}, rows late {rows_late}, overtaken {overtaken:?}, \
         deletes first {delete_first}"
    );
    assert!(late > 100 && again > 100 && repeated > 500 && rows_late > 500, "{report}");
    assert!(delete_first > 10 && overtaken["ky"] > 20 && overtaken["amanda"] > 20, "{report}");
}

#[test]
fn persons_do_what_persons_do() {
    let mut kinds: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
    let mut spells: HashMap<String, Vec<(NaiveDate, String, i32)>> = HashMap::new();
    let (mut on_time, mut contacts) = (0, 0);
    let mut benefits: BTreeMap<String, usize> = BTreeMap::new();
    for file in days(&options(5_000, 36, 6)).iter().flat_map(|day| &day.files) {
        for event in events(file) {
            if let (Some(benefit), Some(from)) = (&event.benefit, event.from) {
                *benefits.entry(benefit.clone()).or_default() += 1;
                let all = spells.entry(event.person.clone()).or_default();
                all.push((from, benefit.clone(), event.municipality));
            }
            if let (Some("contact"), Some(held)) = (event.kind.as_deref(), event.held) {
                contacts += 1;
                on_time += usize::from(held <= event.due.expect("due"));
            }
        }
    }
    let was_paid = |person: &str, day: &str| {
        spells.get(person).is_some_and(|all| all.iter().any(|(from, ..)| from.to_string().starts_with(day)))
    };
    let mut file_events = days(&options(5_000, 36, 6)).into_iter().flat_map(|day| day.files);
    for event in
        file_events.by_ref().filter(|file| file.system() == System::Income).flat_map(|file| events(&file))
    {
        let month = event.month.expect("month");
        let paid = was_paid(&event.person, &month);
        kinds
            .entry(if paid { "wage beside a benefit" } else { "wage after a benefit" })
            .or_default()
            .insert(event.person);
    }
    for (person, all) in &mut spells {
        all.sort();
        all.dedup();
        for pair in all.windows(2) {
            let kind = match (&pair[0].1[..], &pair[1].1[..]) {
                _ if pair[0].2 != pair[1].2 && pair[0].1 == pair[1].1 => "moved",
                (a, "sickness") if a != "sickness" => "fell ill",
                ("sickness", b) if b != "sickness" => "came back from sickness",
                ("education_help", "cash") => "grew out of education help",
                (a, b) if a == b && (pair[1].0 - pair[0].0).num_days() > 62 => "relapsed",
                _ => continue,
            };
            kinds.entry(kind).or_default().insert(person.clone());
        }
    }
    let counts: BTreeMap<&str, usize> = kinds.iter().map(|(kind, all)| (*kind, all.len())).collect();
    assert!(counts.len() == 7 && counts.values().all(|count| *count > 20), "{counts:?}");
    assert_eq!(benefits.len(), 13, "{benefits:?}");
    let share = on_time as f64 / contacts as f64;
    assert!((0.8..0.95).contains(&share), "{share}");
}
