//! The header of a SQL file: the comment lines `-- key: value` before the first statement.
//!
//! It declares layer, grain, unit, a one-sentence why, the official Danish term and the source. Unknown keys
//! are refused, so that a misspelt one does not silently mean nothing.

use std::collections::BTreeMap;

use crate::Layer;
use crate::error::{Problem, nearest};

/// How the cells of an indicator add up; disclosure control hides sums and parts by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddsOver {
    /// There are no parts that add up to the total.
    None,
    /// The benefits add up to the benefit `total`.
    Benefit,
    /// The values of a breakdown add up to the breakdown `total`.
    Breakdown,
}

/// Which direction is an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher is better.
    Up,
    /// Lower is better.
    Down,
    /// Neither.
    None,
}

/// A parsed header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The layer.
    pub layer: Layer,
    /// Columns that identify a row.
    pub grain: Vec<String>,
    /// Unit of the values.
    pub unit: String,
    /// One sentence: why the model exists.
    pub why: String,
    /// The official Danish term.
    pub danish: String,
    /// Source of the definition or the figures.
    pub source: String,
    /// L: the columns within which the result is local, i.e. can be computed alone.
    pub local: Vec<String>,
    /// A: made anew from the cells of other measures instead of being added up.
    pub derived: bool,
    /// A: derived measures add its months up, so a change shows in all later ones.
    pub accumulates: bool,
    /// A, derived: it reads cells by breakdown, not totals alone.
    pub breakdowns: bool,
    /// S and L: carries no number of persons, so published tables may read it before disclosure control.
    pub public: bool,
    /// P: areas add up (`sum`) or do not (`none`).
    pub areas_add_up: bool,
    /// P: how parts add up.
    pub adds_over: AddsOver,
    /// P: the indicator that counts the persons behind this one.
    pub counts: Option<String>,
    /// P: the source whose deliveries feed it, `<publisher>-<table>`.
    pub feeds: Option<String>,
    /// P: which direction is an improvement.
    pub better: Better,
    /// P: how late the figure is where it is published today, if no source in `reference/sources.csv` says so.
    pub lag_today: Option<String>,
    /// P: how late it is here, likewise.
    pub lag_here: Option<String>,
    /// T: the same statement as that of another table, over other inputs.
    pub like: Option<Like>,
}

/// A table that is made like another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    /// The other table.
    pub table: String,
    /// What the other one reads, and what is read in its place.
    pub with: BTreeMap<String, String>,
}

const KEYS: [&str; 20] = [
    "layer",
    "grain",
    "unit",
    "why",
    "danish",
    "source",
    "local",
    "derived",
    "accumulates",
    "breakdowns",
    "public",
    "areas",
    "adds_over",
    "counts",
    "feeds",
    "better",
    "lag_today",
    "lag_here",
    "like",
    "with",
];

/// Keys that only an indicator (layer P) may and must have. `counts`, `lag_today` and `lag_here` it may have.
const INDICATOR_KEYS: [&str; 4] = ["areas", "adds_over", "feeds", "better"];

/// Parses the header of `text`; returns every problem found.
pub fn parse(file: &str, text: &str) -> Result<Header, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut problem = |line: usize, message: String| {
        problems.push(Problem { file: file.to_owned(), line, message });
    };
    let mut values: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let Some(comment) = line.strip_prefix("--") else { break };
        let Some((key, value)) = comment.split_once(':').map(|(key, value)| (key.trim(), value.trim()))
        else {
            problem(number, "expected a header line of the form `-- key: value`".to_owned());
            continue;
        };
        if !KEYS.contains(&key) {
            let hint = nearest(key, KEYS).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
            problem(number, format!("unknown header key {key:?}{hint}"));
        } else if value.is_empty() {
            problem(number, format!("header key {key} has no value"));
        } else if values.insert(key, (number, value)).is_some() {
            problem(number, format!("header key {key} stands twice"));
        }
    }
    for key in &KEYS[..6] {
        if !values.contains_key(key) {
            problem(1, format!("header key {key} is missing: add a line `-- {key}: …`"));
        }
    }
    let get = |key: &str| values.get(key).map_or("", |(_, value)| *value).to_owned();
    let list = |key: &str| -> Vec<String> {
        let names = get(key);
        names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    };
    let mut choose = |key: &str, allowed: &[&str]| -> usize {
        let Some((line, value)) = values.get(key) else { return 0 };
        allowed.iter().position(|word| word == value).unwrap_or_else(|| {
            problem(*line, format!("{key}: expected one of {}, got {value:?}", allowed.join(", ")));
            0
        })
    };
    let layer = Layer::ALL[choose("layer", &Layer::ALL.map(Layer::letter))];
    let public = choose("public", &["no", "yes"]) == 1;
    let derived = choose("derived", &["no", "yes"]) == 1;
    let accumulates = choose("accumulates", &["no", "yes"]) == 1;
    let breakdowns = choose("breakdowns", &["no", "yes"]) == 1;
    let areas_add_up = choose("areas", &["none", "sum"]) == 1;
    let adds_over = [AddsOver::None, AddsOver::Benefit, AddsOver::Breakdown]
        [choose("adds_over", &["none", "benefit", "breakdown"])];
    let better = [Better::None, Better::Up, Better::Down][choose("better", &["none", "up", "down"])];
    for key in INDICATOR_KEYS {
        match (layer, values.get(key)) {
            (Layer::Published, None) => problem(1, format!("an indicator needs the header key {key}")),
            (Layer::Published, Some(_)) | (_, None) => {}
            (_, Some((line, _))) => problem(*line, format!("header key {key} belongs to indicators only")),
        }
    }
    if layer == Layer::Local && !values.contains_key("local") {
        problem(1, "a local model needs the header key local: the columns it can be cut by".to_owned());
    }
    if let (true, Some((line, _))) = (derived && layer != Layer::Additive, values.get("derived")) {
        problem(*line, "only measures (layer A) can be derived".to_owned());
    }
    if let (true, Some((line, _))) = (accumulates && layer != Layer::Additive, values.get("accumulates")) {
        problem(*line, "only measures (layer A) can accumulate".to_owned());
    }
    if let (true, Some((line, _))) = (breakdowns && !derived, values.get("breakdowns")) {
        problem(*line, "only derived measures are told whether they read breakdowns".to_owned());
    }
    if let (true, Some((line, _))) = (public && layer > Layer::Local, values.get("public")) {
        problem(*line, "only staging and local models can be public".to_owned());
    }
    if let (true, Some((line, _))) = (layer != Layer::Table, values.get("like")) {
        problem(*line, "only tables (layer T) can be like another one".to_owned());
    }
    let mut with = BTreeMap::new();
    for pair in list("with") {
        match pair.split_once(" as ") {
            Some((read, instead)) => drop(with.insert(read.trim().to_owned(), instead.trim().to_owned())),
            None => problem(
                values["with"].0,
                format!("with: expected pairs such as `comparisons as local_history`, got {pair:?}"),
            ),
        }
    }
    if values.contains_key("like") != values.contains_key("with") {
        problem(1, "the header keys like and with belong together".to_owned());
    }
    let header = Header {
        layer,
        grain: list("grain"),
        unit: get("unit"),
        why: get("why"),
        danish: get("danish"),
        source: get("source"),
        local: list("local"),
        derived,
        accumulates,
        breakdowns,
        public,
        areas_add_up,
        adds_over,
        counts: values.get("counts").map(|(_, value)| (*value).to_owned()),
        feeds: values.get("feeds").map(|(_, value)| (*value).to_owned()),
        better,
        lag_today: values.get("lag_today").map(|(_, value)| (*value).to_owned()),
        lag_here: values.get("lag_here").map(|(_, value)| (*value).to_owned()),
        like: values.get("like").map(|(_, table)| Like { table: (*table).to_owned(), with }),
    };
    if problems.is_empty() { Ok(header) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-- layer: P\n-- grain: area, period\n-- unit: persons\n-- why: because\n\
        -- danish: Ledige\n-- source: ours\n-- areas: sum\n-- adds_over: benefit\n-- feeds: x-y\n-- better: down\nSELECT 1";

    #[test]
    fn a_good_header() {
        let header = parse("sql/indicators/a.sql", GOOD).expect("header");
        assert_eq!(header.grain, ["area", "period"]);
        assert_eq!((header.layer, header.adds_over), (Layer::Published, AddsOver::Benefit));
        assert!(header.areas_add_up);
    }

    #[test]
    fn every_problem_is_named_with_its_line_and_the_nearest_key() {
        let text = GOOD
            .replace("-- unit:", "-- units:")
            .replace("layer: P", "layer: Q")
            .replace("-- danish: Ledige\n", "");
        let problems = parse("a.sql", &text).expect_err("problems");
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            shown.iter().any(|p| p.contains("a.sql:3: unknown header key \"units\"; did you mean unit?"))
        );
        assert!(shown.iter().any(|p| p.contains("header key danish is missing")), "{shown:?}");
        assert!(
            shown.iter().any(|p| p.contains("a.sql:1: layer: expected one of S, L, A, P, T")),
            "{shown:?}"
        );
    }
}
