//! Dependencies point one way: the edges between our crates are those of ARCHITECTURE.md and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crate → crates of ours it may depend on. Tests see everything.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("rettidig-event", &[]),
    ("rettidig-broker", &[]),
    ("rettidig-connectors", &["rettidig-event"]),
    ("rettidig-simulator", &["rettidig-event"]),
    ("rettidig-model", &["rettidig-event"]),
    ("rettidig-runtime", &["rettidig-event", "rettidig-model"]),
    ("rettidig-serve", &["rettidig-event", "rettidig-model", "rettidig-runtime"]),
    ("rettidig-cluster", &["rettidig-event", "rettidig-model", "rettidig-runtime"]),
    ("rettidig-oracle", &["rettidig-event"]),
    (
        "rettidig",
        &[
            "rettidig-event",
            "rettidig-broker",
            "rettidig-cluster",
            "rettidig-connectors",
            "rettidig-model",
            "rettidig-runtime",
            "rettidig-serve",
            "rettidig-simulator",
        ],
    ),
];

#[test]
fn edges_between_our_crates_are_the_declared_ones() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let ours = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|dependency| dependency.starts_with("rettidig"));
        edges.entry(name).or_default().extend(ours);
    }
    edges.remove("rettidig-tests");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    assert_eq!(edges.keys().collect::<Vec<_>>(), allowed.keys().collect::<Vec<_>>(), "every crate is listed");
    for (name, edges) in &edges {
        let extra: Vec<_> = edges.difference(&allowed[name]).collect();
        assert!(extra.is_empty(), "{name} must not depend on {extra:?}");
    }
}

#[test]
fn the_reference_areas_are_the_municipalities_of_the_events() {
    let model = rettidig_model::Model::embedded().expect("model");
    let areas = &model.reference["areas"];
    let column = areas.column_by_name("municipality").expect("column");
    let text = column.as_any().downcast_ref::<arrow::array::StringArray>().expect("text");
    let codes: BTreeSet<String> = text.iter().flatten().map(str::to_owned).collect();
    let known: BTreeSet<String> = rettidig_event::municipality::MUNICIPALITIES
        .iter()
        .map(|(code, _)| rettidig_event::municipality::area_text(*code))
        .collect();
    assert_eq!(codes, known);
}

#[test]
fn the_benefits_of_the_events_are_those_of_the_reference_file() {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;
    let model = rettidig_model::Model::embedded().expect("model");
    let benefits = &model.reference["benefits"];
    let code = benefits.column_by_name("code").expect("code").as_string::<i32>();
    let number = benefits.column_by_name("number").expect("number").as_primitive::<Int32Type>();
    let listed: BTreeSet<(&str, i32)> =
        code.iter().flatten().zip(number.values()).map(|(code, number)| (code, *number)).collect();
    assert_eq!(listed, rettidig_event::benefit::BENEFITS.into_iter().collect());
}
