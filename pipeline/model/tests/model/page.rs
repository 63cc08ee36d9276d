//! The catalogue page `pipeline/docs/generated/indicators.md`.
//!
//! Goal: whoever reads a figure finds what it is, where it comes from and how late it is, today and here. Method: the page is
//! made from the headers of the SQL files, the reference files, the contracts and the connectors' profiles, and compared with
//! the one in the repository. `UPDATE_GOLDENS=1 cargo test --workspace --test model page` rewrites it; the diff is reviewed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use rettidig_model::catalogue::Domain;
use rettidig_model::contract::Table;
use rettidig_model::header::Better;
use rettidig_model::{Layer, Model, SqlModel};
use serde_yaml_ng::Value;

/// What a day of the country's events took from event to committed tables, as it stands in `tests/bench/RESULTS.md`.
const MEASURED: &str = "freshness p50 0.55 s, p90 0.74 s, p99 0.91 s";

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rows of a reference table, texts by column; null is empty.
fn rows(batch: &RecordBatch) -> Vec<BTreeMap<String, String>> {
    let schema = batch.schema();
    let row = |row: usize| {
        let cells = schema.fields().iter().zip(batch.columns());
        cells
            .map(|(field, column)| (field.name().clone(), array_value_to_string(column, row).expect("text")))
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// A row of a table in Markdown.
fn line(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn head(cells: &[&str]) -> String {
    format!("{}{}\n", line(cells), "|---".repeat(cells.len()) + "|")
}

fn better(model: &SqlModel) -> &'static str {
    match model.header.better {
        Better::Up => "up",
        Better::Down => "down",
        Better::None => "-",
    }
}

/// How often a publisher is asked while a release is due, from its profile.
fn polling(publisher: &str) -> String {
    let (profile, name) = match publisher {
        "dst" => ("connectors/profiles/statbank.yaml", "StatBank"),
        _ => ("connectors/profiles/jobindsats.yaml", "jobindsats.dk"),
    };
    let profile: Value = serde_yaml_ng::from_str(&read(profile)).expect("a profile");
    let minutes = profile["poll"]["release_minutes"].as_u64().expect("release_minutes");
    format!("as late as {name}, and {minutes} minutes of polling at most while a release is due")
}

fn page(model: &Model) -> String {
    let sources: BTreeMap<String, BTreeMap<String, String>> =
        rows(&model.reference["sources"]).into_iter().map(|row| (row["source"].clone(), row)).collect();
    let mut page = String::from(
        "# Indicators\n\n\
         Made from the headers in `sql/indicators/`, the files in `sql/reference/`, the contracts and the connectors' profiles. Do not \
         edit it: `UPDATE_GOLDENS=1 cargo test --workspace --test model page` writes it anew, and a test compares.\n\n\
         *Lag today* is the time from the end of the period to the day on which the figure first appears where it is published now. *Lag \
         here* is the same with this pipeline. What no source tells says so.\n",
    );
    let columns = [
        "indicator",
        "Danish term",
        "what it says",
        "source",
        "grain",
        "unit",
        "better",
        "lag today",
        "lag here",
    ];
    let grain = |table: &str| Table::named(table).expect("a table").grain.join(", ");
    let indicators = |domain: Domain| {
        let mut of: Vec<&SqlModel> =
            model.layer(Layer::Published).filter(|model| model.domain == domain).collect();
        of.sort_by_key(|model| &model.name);
        of
    };
    let _ = write!(
        page,
        "\n## Official figures\n\nTable `indicators`, grain {}. Their older values and changes are in `vintages` and `revisions`.\n\n{}",
        grain("indicators"),
        head(&columns)
    );
    for model in indicators(Domain::Official) {
        let header = &model.header;
        let source = header.feeds.as_ref().and_then(|feeds| sources.get(feeds));
        let source =
            source.unwrap_or_else(|| panic!("{}: feeds: expected a source of sources.csv", model.path));
        page += &line(&[
            &format!("`{}`", model.name),
            &header.danish,
            &header.why,
            &header.source,
            &header.grain.join(", "),
            &header.unit,
            better(model),
            &source["replaced_lag"],
            &polling(&source["publisher"]),
        ]);
    }
    let _ = write!(
        page,
        "\n## Figures made of payments, cases and wages\n\nTable `local_indicators`, grain {}. From a record's arrival to the committed \
         tables it takes seconds: on a day of 300,000 simulated persons {MEASURED} (`tests/bench/RESULTS.md`, which also has larger and \
         slower runs; measured before there were tables made after the months, which have not been measured with it). How long a municipality takes to deliver the record comes before that, and nothing here makes it shorter. A month \
         is `provisional` until 31 days after its end.\n\n{}",
        grain("local_indicators"),
        head(&columns)
    );
    for model in indicators(Domain::Person) {
        let header = &model.header;
        let lag = |of: &Option<String>, key: &str| {
            of.clone().unwrap_or_else(|| panic!("{}: add a header line `-- {key}: …`", model.path))
        };
        page += &line(&[
            &format!("`{}`", model.name),
            &header.danish,
            &header.why,
            &header.source,
            &header.grain.join(", "),
            &header.unit,
            better(model),
            &lag(&header.lag_today, "lag_today"),
            &lag(&header.lag_here, "lag_here"),
        ]);
    }
    page + &theory(model)
}

/// The part about the theory of change.
fn theory(model: &Model) -> String {
    let nodes = rows(&model.reference["theory_nodes"]);
    let links = rows(&model.reference["theory_links"]);
    let of_kind = |kind: &'static str| nodes.iter().filter(move |node| node["kind"] == kind);
    let not_fed = of_kind("indicator").filter(|node| node["indicator"].is_empty()).count();
    let mut page = format!(
        "\n## Theory of change\n\nTables `theory_of_change` ({}), `theory_figures` ({}) and `goals` ({}), for the country. Of the {} \
         indicators, {} are fed by something that stands near them, as the last column says; {not_fed} are not fed yet, and {} of \
         these nobody collects today (new).\n\n",
        Table::named("theory_of_change").expect("a table").grain.join(", "),
        Table::named("theory_figures").expect("a table").grain.join(", "),
        Table::named("goals").expect("a table").grain.join(", "),
        of_kind("indicator").count(),
        of_kind("indicator").count() - not_fed,
        of_kind("indicator").filter(|node| node["new_collection"] == "true").count(),
    );
    let fed_by = |node: &BTreeMap<String, String>| {
        if node["indicator"].is_empty() {
            return format!("not fed: {}", node["not_fed"]);
        }
        let part = if node["breakdown"] == "total" {
            String::new()
        } else {
            format!(", {} = {}", node["breakdown"], node["breakdown_value"])
        };
        let differs =
            if node["differs"].is_empty() { String::new() } else { format!("; {}", node["differs"]) };
        format!("`{}`, benefit {}{part}{differs}", node["indicator"], node["benefit"])
    };
    page += &head(&[
        "goal",
        "indicator",
        "Danish term",
        "what it says",
        "source",
        "owner",
        "cadence",
        "better",
        "lag today",
        "fed by",
    ]);
    for goal in nodes.iter().filter(|node| matches!(node["kind"].as_str(), "goal" | "sub_goal")) {
        page += &line(&[
            &format!("**{}**", goal["node"]),
            "",
            &format!("**{}**", goal["danish"]),
            &format!("**{}**", goal["english"]),
            "",
            "",
            "",
            "",
            "",
            "",
        ]);
        for node in of_kind("indicator").filter(|node| node["parent"] == goal["node"]) {
            let new = if node["new_collection"] == "true" { " (new)" } else { "" };
            page += &line(&[
                &goal["node"],
                &format!("{}{new}", node["node"]),
                &node["danish"],
                &node["english"],
                &node["source"],
                &node["owner"],
                &node["cadence"],
                &node["better"],
                &node["lag"],
                &fed_by(node),
            ]);
        }
    }
    page += "\nActivities and resources. That they serve these goals is ours; no authority says so.\n\n";
    page +=
        &head(&["kind", "code", "Danish term", "what it says", "serves", "source", "lag today", "fed by"]);
    for node in nodes.iter().filter(|node| matches!(node["kind"].as_str(), "activity" | "resource")) {
        let serves = links.iter().filter(|link| link["node"] == node["node"]);
        let serves: Vec<String> = serves
            .map(|link| format!("{} after {} months", link["goal"], link["shows_after_months"]))
            .collect();
        page += &line(&[
            &node["kind"],
            &node["node"],
            &node["danish"],
            &node["english"],
            &serves.join(", "),
            &node["source"],
            &node["lag"],
            &fed_by(node),
        ]);
    }
    page
}

#[test]
fn the_catalogue_page_is_what_the_model_says() {
    assert!(read("tests/bench/RESULTS.md").contains(MEASURED), "the measured lag is a measured one");
    let page = page(&Model::embedded().expect("the embedded model loads"));
    let path = "pipeline/docs/generated/indicators.md";
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::create_dir_all(file.parent().expect("folder")).expect("folder made");
        std::fs::write(file, &page).expect("page written");
    }
    // Line by line, so that a difference is told by itself.
    for (number, (expected, found)) in page.lines().zip(read(path).lines()).enumerate() {
        assert_eq!(found, expected, "{path}:{}", number + 1);
    }
    assert_eq!(read(path), page, "{path}");
}
