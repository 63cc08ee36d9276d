//! The theory of change: what its file promises, and what the loader refuses, with file, line, node and key.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use rettidig_model::Model;

use crate::catalogue::with;

const FILE: &str = "reference/theory_of_change.yaml";

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> &'b StringArray {
    batch.column_by_name(name).expect("column").as_string()
}

/// What the source of the goals says: 6 goals, 17 sub-goals, 1 to 3 indicators each, 39 in all, about a fifth new.
#[test]
fn the_tree_has_as_many_goals_and_indicators_as_the_source_says() {
    let model = Model::embedded().expect("the embedded model loads");
    let nodes = &model.reference["theory_nodes"];
    let (kinds, parents) = (texts(nodes, "kind"), texts(nodes, "parent"));
    let count = |kind: &str| kinds.iter().filter(|of| *of == Some(kind)).count();
    assert_eq!((count("goal"), count("sub_goal"), count("indicator")), (6, 17, 39));
    let rows = || 0..nodes.num_rows();
    let names = texts(nodes, "node");
    for goal in rows().filter(|row| matches!(kinds.value(*row), "goal" | "sub_goal")) {
        let own =
            rows().filter(|row| kinds.value(*row) == "indicator" && parents.value(*row) == names.value(goal));
        assert!((1..=3).contains(&own.count()), "{}", names.value(goal));
    }
    let new = nodes.column_by_name("new_collection").expect("column").as_boolean();
    let is_new: Vec<&str> = rows().filter(|row| new.value(*row)).map(|row| names.value(row)).collect();
    assert_eq!(is_new, ["i04", "i21", "i24", "i26", "i31", "i32", "i38"], "18 %, about a fifth");
    let chosen = texts(nodes, "chosen_by");
    let by_ministry = rows().filter(|row| chosen.is_valid(*row) && chosen.value(*row) == "ministry");
    assert_eq!(by_ministry.map(|row| names.value(row)).collect::<Vec<_>>(), ["i05", "i22", "i33"]);
    let feeding = texts(nodes, "indicator");
    let fed: Vec<&str> = rows()
        .filter(|row| feeding.is_valid(*row) && kinds.value(*row) == "indicator")
        .map(|row| names.value(row))
        .collect();
    assert_eq!(fed, ["i08", "i09", "i12", "i16", "i22", "i39"], "33 are not fed");
    let links = &model.reference["theory_links"];
    let served: BTreeSet<&str> = texts(links, "goal").iter().flatten().collect();
    assert_eq!(served.into_iter().collect::<Vec<_>>(), ["2", "2.1", "2.3", "4", "4.1"]);
    assert!(
        texts(links, "source").iter().all(|source| source == Some("ours")),
        "no authority says what serves what"
    );
}

#[test]
fn what_is_misspelt_or_points_nowhere_is_refused_with_its_line_and_the_nearest_name() {
    for (from, to, line, part) in [
        (
            "        chosen_by: ours\n        source: jobindsats.dk, table y24b",
            "        chosen_by: ours\n        sauce: jobindsats.dk, table y24b",
            22,
            "unknown field `sauce`",
        ),
        (
            "        chosen_by: ours\n        source: jobindsats.dk, table y24b",
            "        chosen_by: ours\n        sauce: jobindsats.dk, table y24b",
            22,
            "did you mean source?",
        ),
        (
            "        cadence: M\n        owner: Styrelsen for Arbejds",
            "        cadence: W\n        owner: Styrelsen for Arbejds",
            23,
            "expected one of `M`, `Q`, `Y`",
        ),
        ("moved: 1.0 ", "moved: soon ", 10, "expected"),
        ("moved: 1.0 ", "moved: -1.0 ", 10, "thresholds.moved: expected a number that is not negative"),
        (
            "indicator: activated_persons",
            "indicator: activated_person",
            119,
            "i09: fed.indicator: activated_person is no indicator; did you mean activated_persons?",
        ),
        (
            "fed: { indicator: activation_degree, benefit: cash",
            "fed: { indicator: activation_degree, benefit: cahs",
            0,
            "a1: fed.benefit: cahs is no benefit of benefits.csv, nor total; did you mean cash?",
        ),
        (
            "{ goal: \"2.3\", shows",
            "{ goal: \"2.9\", shows",
            0,
            "a1: serves: \"2.9\" is no goal or sub-goal: expected one of 1, 1.1, 2, 2.1",
        ),
        ("- node: i02", "- node: i01", 0, "i01: node: the name is taken"),
        ("node: \"1.1\"", "node: \"7.1\"", 0, "a sub-goal of 1 is named 1.1"),
        (
            "        not_fed: the table is not read; wage",
            "        fed: { indicator: wage_earners, benefit: total, known_after_months: 3, differs: nothing }\n        not_fed: the table is not read; wage",
            0,
            "i01: fed: expected either fed (by what) or not_fed (why not)",
        ),
        (
            "              differs: the share among women",
            "              breakdown: sex\n              differs: the share among women",
            0,
            "i12: fed.breakdown: expected breakdown and breakdown_value together",
        ),
        (
            "            lag: 22 to 50 days\n            better: up",
            "            lag: 22 to 50 days\n            better: down",
            0,
            "i12: better: ordinary_hours_share says up in its header",
        ),
        (
            "shows_after_months: 6, source: ours",
            "shows_after_months: 60, source: ours",
            0,
            "expected 0 to 36",
        ),
    ] {
        let error = with(FILE, from, to);
        let place = if line == 0 { format!("{FILE}:") } else { format!("{FILE}:{line}: ") };
        assert!(error.contains(&place) && error.contains(part), "{to}\n{error}");
    }
    // Everything that can be seen at once is told at once.
    let error = with(FILE, "lag: not found\n", "lag: ''\n");
    assert!(error.matches("expected a text; write \"not found\"").count() > 5, "{error}");
}
