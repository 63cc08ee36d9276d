//! The files of the four source formats, read back by a reader that shares no code with the writer, hold the
//! same facts as the canonical events; and both are what the contract says.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::support::{bytes, days, digits, event_lines, options, pseudonym, read_back, told};
use rettidig_event::municipality::is_municipality;
use rettidig_simulator::{System, write_files, write_ndjson};
use serde_json::Value;

#[test]
fn a_file_and_its_events_say_the_same() {
    let mut seen: BTreeMap<System, usize> = BTreeMap::new();
    for day in days(&options(3_000, 14, 7)) {
        for file in day.files {
            let events: Vec<Value> =
                event_lines(&file).lines().map(|line| serde_json::from_str(line).expect(line)).collect();
            assert_eq!(events.len(), file.record_count());
            assert_eq!(read_back(&file), events, "{}", file.name());
            let mut shown = Vec::new();
            file.for_each_event(&pseudonym, &mut |key, payload| {
                let event: Value = serde_json::from_slice(payload).expect("event");
                assert_eq!(event["person"], key);
                shown.push(event);
            });
            assert_eq!((shown, file.delivered_at().date_naive()), (events.clone(), day.date));
            *seen.entry(file.system()).or_default() += events.len();
        }
    }
    assert_eq!(seen.len(), System::ALL.len());
    assert!(seen.values().all(|events| *events > 30), "{seen:?}");
}

/// Fields of every event, and the further ones by topic or kind, exactly.
#[test]
fn events_have_the_fields_of_the_contract_and_no_others() {
    let common = "source id op revision recorded_at person birth sex municipality ";
    let own = BTreeMap::from([
        ("payments", "benefit from to minutes amount_oere refund_oere"),
        ("registration", "kind from to"),
        ("contact", "kind due held form"),
        ("activation", "kind from to offer minutes_per_week"),
        ("language_test", "kind on level passed school"),
        ("origin", "kind origin from"),
        ("income", "month wage_oere minutes"),
    ]);
    let mut seen = BTreeSet::new();
    for day in days(&options(1_500, 8, 3)) {
        for file in day.files {
            for line in event_lines(&file).lines() {
                let Ok(Value::Object(event)) = serde_json::from_str(line) else { panic!("{line}") };
                let kind = match (event.get("kind"), file.system()) {
                    (Some(kind), _) => kind.as_str().expect("text"),
                    (None, System::Income) => "income",
                    _ => "payments",
                };
                let (kind, fields) = own.get_key_value(kind).expect(line);
                let expected: BTreeSet<&str> = format!("{common}{fields}").leak().split(' ').collect();
                assert_eq!(event.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{line}");
                assert!(event["id"].as_str().expect("text").len() <= 128);
                assert_eq!(event["person"].as_str().expect("text").len(), 32);
                assert!(
                    chrono::DateTime::parse_from_rfc3339(event["recorded_at"].as_str().expect("text"))
                        .is_ok()
                );
                seen.insert(*kind);
            }
            let mut delivery = Vec::new();
            file.write_delivery(&mut delivery);
            let event: rettidig_event::DeliveryEvent<'_> =
                serde_json::from_slice(&delivery).expect("a delivery of the event crate");
            assert_eq!(
                (event.records as usize, event.source.as_ref()),
                (file.record_count(), &file.source()[..])
            );
            let message = rettidig_event::Message { partition: 0, offset: 0, payload: &delivery };
            let decoded = rettidig_event::delivery::decode([message]);
            assert_eq!((decoded.rejected.len(), decoded.unknown_fields), (0, 0));
            let arrived = chrono::DateTime::parse_from_rfc3339(&event.delivered_at).expect("instant");
            assert_eq!(arrived.date_naive(), day.date);
        }
    }
    assert_eq!(seen.len(), own.len(), "{seen:?}");
}

#[test]
fn encodings_quotes_dates_and_line_ends_vary_and_names_are_as_agreed() {
    let mut variants: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut names = HashSet::new();
    for day in days(&options(1_500, 4, 5)) {
        for file in day.files.iter().filter(|file| file.record_count() > 0) {
            let (name, bytes) = (file.name(), bytes(file));
            assert!(names.insert(name.clone()) != file.is_sent_again(), "{name}");
            let head = format!("{:03}-", file.municipality());
            let (start, end) = match file.system() {
                System::Yr => {
                    (format!("yr-ydelsesrefusion-beregning-{head}"), format!("{}.csv", file.made_on()))
                }
                System::Ky => (format!("ky-{head}"), format!("{}.ndjson", file.made_on())),
                System::Amanda => (format!("amanda-{head}{}-", file.made_on()), ".txt".to_owned()),
                System::Income => (format!("income-{head}"), format!("{}.csv", file.made_on())),
                System::Language => (format!("sprog-{head}"), format!("{}.ndjson", file.made_on())),
                System::Origin => (format!("cpr-{head}"), format!("{}.ndjson", file.made_on())),
            };
            assert!(name.starts_with(&start) && name.ends_with(&end), "{name}");
            if file.system() == System::Yr {
                let has = |part: &[u8]| usize::from(bytes.windows(part.len()).any(|window| window == part));
                variants.entry("mark").or_default()[has(b"\xef\xbb\xbf")] += 1;
                variants.entry("quotes").or_default()[has(b"\"")] += 1;
                variants.entry("crlf").or_default()[has(b"\r\n")] += 1;
                variants.entry("reordered").or_default()[has(b"CPR nummer;Uge")] += 1;
            }
            if file.system() == System::Amanda && bytes.contains(&0xe5) {
                assert!(std::str::from_utf8(&bytes).is_err(), "Windows-1252: {name}");
                variants.entry("å").or_default()[0] += 1;
            }
        }
    }
    for (what, counts) in variants {
        assert!(counts[0] > 20 && (counts[1] > 20 || what == "å"), "{what}: {counts:?}");
    }
}

#[test]
fn every_number_has_an_impossible_date_and_tells_birth_and_sex() {
    let mut persons = HashSet::new();
    let options = options(2_000, 6, 9);
    for day in days(&options) {
        for file in day.files {
            for event in super::support::events(&file) {
                let cpr = digits(&event.person);
                let day: u32 = cpr[..2].parse().expect("digits");
                assert!((61..=91).contains(&day), "{cpr}");
                assert_eq!((event.birth.clone(), &event.sex[..]), {
                    let (birth, sex) = told(&cpr);
                    (birth, sex)
                });
                assert!(is_municipality(event.municipality));
                persons.insert(cpr);
            }
        }
    }
    assert!(persons.len() > 900 && persons.len() as u64 <= options.persons, "{}", persons.len());
}

/// Both folders of one simulation, summed by source: events counted with the ones sent again.
#[test]
fn the_two_folders_hold_the_same_facts() {
    let options = options(1_000, 6, 2);
    let dir = tempfile::tempdir().expect("folder");
    let (files, events) = (dir.path().join("files"), dir.path().join("events"));
    std::fs::create_dir(&files).expect("folder");
    let new = || rettidig_simulator::Simulation::new(&options);
    let a = write_files(new(), &files, &pseudonym).expect("files");
    let b = write_ndjson(new(), &events, &pseudonym).expect("events");
    assert_eq!((a.deliveries, a.records), (b.deliveries, b.records));

    let mut from_files: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for file in days(&options).iter().flat_map(|day| &day.files) {
        let folder = if file.is_sent_again() { "again-" } else { "" };
        let path = std::fs::read_dir(files.join(file.system().prefix()))
            .expect("folder")
            .map(|entry| entry.expect("entry").path())
            .filter(|path| !folder.is_empty() && path.is_dir())
            .map(|path| path.join(file.name()))
            .find(|path| path.exists())
            .unwrap_or_else(|| files.join(file.system().prefix()).join(file.name()));
        assert_eq!(std::fs::read(&path).expect("written"), bytes(file), "{}", path.display());
        for event in read_back(file) {
            add(&mut from_files, &event);
        }
    }
    let mut from_events = BTreeMap::new();
    for part in ["payments", "cases", "income"] {
        let text = std::fs::read_to_string(events.join(format!("{part}-0001.ndjson"))).expect(part);
        for line in text.lines() {
            add(&mut from_events, &serde_json::from_str(line).expect(line));
        }
    }
    assert_eq!(from_files, from_events);
    let deliveries = std::fs::read_to_string(events.join("deliveries-0001.ndjson")).expect("deliveries");
    assert_eq!(deliveries.lines().count() as u64, b.deliveries);
    let arrivals = std::fs::read_to_string(files.join("arrivals.csv")).expect("arrivals");
    assert_eq!(arrivals.lines().count() as u64, a.deliveries + 1);
}

fn add(sums: &mut BTreeMap<String, (usize, i64)>, event: &Value) {
    let sum = sums.entry(event["source"].as_str().expect("text").to_owned()).or_default();
    sum.0 += 1;
    sum.1 += event.get("amount_oere").or(event.get("wage_oere")).and_then(Value::as_i64).unwrap_or(0);
}
