//! The profile of `jobindsats`: which tables, how to ask for them, what their labels mean.
//!
//! Labels are lists, because the service words one column in several ways over time; the first one that an
//! answer has is used. Everything that goes into an address is checked here, so that no request can be
//! malformed by a profile.

use chrono::NaiveTime;
use reqwest::Url;

use crate::emit::fingerprint;
use crate::http::HttpLimits;
use crate::profile::{
    Errors, ProfileError, Section, TokenNames, base_url, http_limits, is_plain, parse, token_names,
};

#[derive(Debug)]
pub(super) struct Profile {
    pub base_url: Url,
    pub token: TokenNames,
    pub http: HttpLimits,
    pub poll: Schedule,
    pub labels: Labels,
    pub tables: Vec<Table>,
}

/// When to ask the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    pub quiet_minutes: u64,
    pub release_from: NaiveTime,
    pub release_minutes: u64,
    pub overdue_days: u64,
    pub retry_minutes: u64,
}

/// The columns that every table has.
#[derive(Debug)]
pub(super) struct Labels {
    pub period: Vec<String>,
    pub area: Vec<String>,
    pub country: Vec<String>,
    pub skip_areas: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub id: String,
    pub queries: Vec<Query>,
    /// Fingerprint of the definition: another one means that everything is to be fetched again.
    pub definition: String,
}

/// One request for one table.
#[derive(Debug)]
pub(super) struct Query {
    /// Tried in order, because a table answers 422 to a type it does not have.
    pub period_types: Vec<String>,
    pub periods: u64,
    pub hierarchies: Vec<(String, String)>,
    pub dimensions: Vec<Dimension>,
    pub measures: Vec<Measure>,
}

#[derive(Debug)]
pub(super) struct Dimension {
    pub name: String,
    pub hierarchy: String,
    pub column: Vec<String>,
    /// Labels of the total, which carries no breakdown.
    pub total: Vec<String>,
    /// Labels that are known and not wanted.
    pub skip: Vec<String>,
    /// Label to our code.
    pub values: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Measure {
    pub name: String,
    pub column: Vec<String>,
    pub optional: bool,
    pub totals_only: bool,
}

impl Profile {
    pub(super) fn read(text: &str, base: Option<&str>) -> Result<Self, ProfileError> {
        let mut errors = Errors::default();
        let profile = parse(text, &mut errors).and_then(|mut value| {
            if value.apply_merge().is_err() {
                errors.add("", "a merge key (<<) does not point at a map");
                return None;
            }
            Self::from_value(&value, base, &mut errors)
        });
        errors.into_result(super::NAME, profile)
    }

    fn from_value(value: &serde_yaml_ng::Value, base: Option<&str>, errors: &mut Errors) -> Option<Self> {
        let known = ["base_url", "token", "http", "poll", "labels", "tables"];
        let top = Section::open(value, "", &known, errors);
        let base_url = base_url(&top, base, errors);
        let token = token_names(&top, errors);
        let http = http_limits(&top, errors);
        let poll = schedule(&top, errors);
        let labels = labels(&top, errors);
        let mut tables: Vec<Table> = Vec::new();
        for (path, item) in top.items("tables", true, errors) {
            let table = table(item, &path, errors);
            if tables.iter().any(|other| other.id == table.id) {
                errors.add(&format!("{path}.id"), "stands twice");
            }
            tables.push(table);
        }
        Some(Self { base_url: base_url?, token, http, poll, labels, tables })
    }
}

fn schedule(top: &Section<'_>, errors: &mut Errors) -> Schedule {
    let empty = serde_yaml_ng::Value::Mapping(serde_yaml_ng::Mapping::new());
    let value = top.get("poll").unwrap_or(&empty);
    let known = ["quiet_minutes", "release_from", "release_minutes", "overdue_days", "retry_minutes"];
    let section = Section::open(value, &top.at("poll"), &known, errors);
    Schedule {
        quiet_minutes: section.number("quiet_minutes", 360, 1..=10_080, errors),
        release_from: section.time_of_day("release_from", "07:30", errors),
        release_minutes: section.number("release_minutes", 5, 1..=1440, errors),
        overdue_days: section.number("overdue_days", 3, 0..=31, errors),
        retry_minutes: section.number("retry_minutes", 15, 1..=1440, errors),
    }
}

fn labels(top: &Section<'_>, errors: &mut Errors) -> Labels {
    let empty = serde_yaml_ng::Value::Mapping(serde_yaml_ng::Mapping::new());
    let value = top.get("labels").unwrap_or(&empty);
    let section =
        Section::open(value, &top.at("labels"), &["period", "area", "country", "skip_areas"], errors);
    let or = |texts: Vec<String>, default: &str| {
        if texts.is_empty() { vec![default.to_owned()] } else { texts }
    };
    Labels {
        period: or(section.texts("period", errors), "Periode"),
        area: or(section.texts("area", errors), "Område"),
        country: or(section.texts("country", errors), "Hele landet"),
        skip_areas: section.texts("skip_areas", errors),
    }
}

fn table(value: &serde_yaml_ng::Value, path: &str, errors: &mut Errors) -> Table {
    let section = Section::open(value, path, &["id", "queries"], errors);
    let id = plain(&section, "id", errors);
    let queries = section
        .items("queries", true, errors)
        .into_iter()
        .map(|(path, item)| query(item, &path, errors))
        .collect();
    let text = serde_json::to_string(value).unwrap_or_default();
    Table { id, queries, definition: fingerprint(text.as_bytes()) }
}

fn query(value: &serde_yaml_ng::Value, path: &str, errors: &mut Errors) -> Query {
    let known = ["period_types", "periods", "hierarchies", "dimensions", "measures"];
    let section = Section::open(value, path, &known, errors);
    let period_types = section.texts_required("period_types", errors);
    for (index, name) in period_types.iter().enumerate() {
        if !is_plain(name) {
            errors.add(&format!("{}[{index}]", section.at("period_types")), "expected a type such as M or Q");
        }
    }
    let hierarchies = section.text_map("hierarchies", errors);
    for (name, selection) in &hierarchies {
        let path = format!("{}.{name}", section.at("hierarchies"));
        let selectable = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '*' | ',');
        if !is_plain(name) || !selection.chars().all(selectable) {
            errors.add(&path, "expected a hierarchy id and a selection such as \"*\" or \"/\"");
        }
    }
    let dimensions: Vec<Dimension> = section
        .items("dimensions", false, errors)
        .into_iter()
        .map(|(path, item)| dimension(item, &path, errors))
        .collect();
    for dimension in &dimensions {
        if hierarchies.iter().any(|(name, _)| *name == dimension.hierarchy) {
            errors.add(
                &section.at("hierarchies"),
                format!("{} is already asked for by dimension {}", dimension.hierarchy, dimension.name),
            );
        }
    }
    let measures = section
        .items("measures", true, errors)
        .into_iter()
        .map(|(path, item)| measure(item, &path, errors))
        .collect();
    let periods = section.number("periods", 60, 1..=1200, errors);
    Query { period_types, periods, hierarchies, dimensions, measures }
}

fn dimension(value: &serde_yaml_ng::Value, path: &str, errors: &mut Errors) -> Dimension {
    let known = ["name", "hierarchy", "column", "total", "skip", "values"];
    let section = Section::open(value, path, &known, errors);
    let values = section.text_map("values", errors);
    if values.is_empty() {
        errors.add(&section.at("values"), "missing; expected a map from label to our code");
    }
    Dimension {
        name: plain(&section, "name", errors),
        hierarchy: plain(&section, "hierarchy", errors),
        column: section.texts_required("column", errors),
        total: section.texts("total", errors),
        skip: section.texts("skip", errors),
        values,
    }
}

fn measure(value: &serde_yaml_ng::Value, path: &str, errors: &mut Errors) -> Measure {
    let section = Section::open(value, path, &["name", "column", "optional", "totals_only"], errors);
    Measure {
        name: plain(&section, "name", errors),
        column: section.texts_required("column", errors),
        optional: section.flag("optional", errors),
        totals_only: section.flag("totals_only", errors),
    }
}

fn plain(section: &Section<'_>, key: &str, errors: &mut Errors) -> String {
    let text = section.text(key, errors);
    if !text.is_empty() && !is_plain(&text) {
        errors.add(&section.at(key), "expected letters, digits, _ and - only");
    }
    text
}
