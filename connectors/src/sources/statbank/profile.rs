//! The profile of `statbank`: which tables, what each of their variables is, which codes are wanted.
//!
//! A table's variables are named completely; whether they are all there is checked against the service's own
//! description at every fetch ([`super::plan`]), because only the service knows.

use chrono::NaiveTime;
use reqwest::Url;

use crate::emit::fingerprint;
use crate::http::HttpLimits;
use crate::profile::{Errors, ProfileError, Section, base_url, http_limits, is_plain, parse};

#[derive(Debug)]
pub(super) struct Profile {
    pub base_url: Url,
    pub http: HttpLimits,
    pub poll: Schedule,
    pub cells_max: u64,
    pub tables: Vec<Table>,
}

/// When to ask for the list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    pub release_from: NaiveTime,
    pub release_until: NaiveTime,
    pub release_minutes: u64,
    pub quiet_minutes: u64,
    pub retry_minutes: u64,
}

#[derive(Debug)]
pub(super) struct Table {
    pub id: String,
    /// The measure of every cell, unless a variable chooses it.
    pub measure: Option<String>,
    /// Whether a cell equal to the table's `suppressedDataValue` is withheld rather than a figure.
    pub suppresses: bool,
    /// Fetch as BULK, row by row, without a limit of cells.
    pub bulk: bool,
    pub variables: Vec<Variable>,
    /// Fingerprint of the definition: another one means that everything is to be fetched again.
    pub definition: String,
}

#[derive(Debug)]
pub(super) struct Variable {
    /// As the service writes it.
    pub id: String,
    pub role: Role,
    pub select: Select,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    Time,
    Area,
    /// Code to measure.
    Measure(Vec<(String, String)>),
    /// Dimension name, code of the total, code to our value (a code not named stands for itself).
    Breakdown {
        name: String,
        total: Option<String>,
        codes: Vec<(String, String)>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Select {
    All,
    Codes(Vec<String>),
    /// The last so many values.
    Newest(usize),
}

impl Profile {
    pub(super) fn read(text: &str, base: Option<&str>) -> Result<Self, ProfileError> {
        let mut errors = Errors::default();
        let profile = parse(text, &mut errors).and_then(|value| Self::from_value(&value, base, &mut errors));
        errors.into_result(super::NAME, profile)
    }

    fn from_value(value: &serde_yaml_ng::Value, base: Option<&str>, errors: &mut Errors) -> Option<Self> {
        let known = ["base_url", "http", "poll", "cells_max", "tables"];
        let top = Section::open(value, "", &known, errors);
        let base_url = base_url(&top, base, errors);
        let http = http_limits(&top, errors);
        let poll = schedule(&top, errors);
        let cells_max = top.number("cells_max", 1_000_000, 1..=1_000_000, errors);
        let mut tables: Vec<Table> = Vec::new();
        for (path, item) in top.items("tables", true, errors) {
            let table = table(item, &path, errors);
            if tables.iter().any(|other| other.id == table.id) {
                errors.add(&format!("{path}.id"), "stands twice");
            }
            tables.push(table);
        }
        Some(Self { base_url: base_url?, http, poll, cells_max, tables })
    }
}

fn schedule(top: &Section<'_>, errors: &mut Errors) -> Schedule {
    let empty = serde_yaml_ng::Value::Mapping(serde_yaml_ng::Mapping::new());
    let value = top.get("poll").unwrap_or(&empty);
    let known = ["release_from", "release_until", "release_minutes", "quiet_minutes", "retry_minutes"];
    let section = Section::open(value, &top.at("poll"), &known, errors);
    let schedule = Schedule {
        release_from: section.time_of_day("release_from", "07:58", errors),
        release_until: section.time_of_day("release_until", "08:30", errors),
        release_minutes: section.number("release_minutes", 2, 1..=1440, errors),
        quiet_minutes: section.number("quiet_minutes", 60, 1..=10_080, errors),
        retry_minutes: section.number("retry_minutes", 15, 1..=1440, errors),
    };
    if schedule.release_until < schedule.release_from {
        errors.add(&section.at("release_until"), "expected a time after release_from");
    }
    schedule
}

fn table(value: &serde_yaml_ng::Value, path: &str, errors: &mut Errors) -> Table {
    let known = ["id", "measure", "suppresses", "bulk", "variables"];
    let section = Section::open(value, path, &known, errors);
    let id = section.text("id", errors);
    if !id.is_empty() && !is_plain(&id) {
        errors.add(&section.at("id"), "expected letters and digits only");
    }
    let measure = section.text_maybe("measure", errors);
    let variables: Vec<Variable> = match section.get("variables") {
        Some(value) => {
            let map = Section::open_free(value, &section.at("variables"), errors);
            map.keys()
                .into_iter()
                .filter_map(|id| Some(variable(&id, map.get(&id)?, &map.at(&id), errors)))
                .collect()
        }
        None => {
            errors.add(&section.at("variables"), "missing; expected every variable of the table");
            Vec::new()
        }
    };
    let count = |wanted: fn(&Role) -> bool| variables.iter().filter(|v| wanted(&v.role)).count();
    let path = section.at("variables");
    if count(|role| matches!(role, Role::Time)) != 1 {
        errors.add(&path, "expected exactly one variable with role time");
    }
    if count(|role| matches!(role, Role::Area)) > 1 {
        errors.add(&path, "expected at most one variable with role area");
    }
    let choosing = count(|role| matches!(role, Role::Measure(_)));
    if choosing + usize::from(measure.is_some()) != 1 {
        errors.add(&path, "expected either the key measure or one variable with role measure");
    }
    let text = serde_json::to_string(value).unwrap_or_default();
    Table {
        id,
        measure,
        suppresses: section.flag("suppresses", errors),
        bulk: section.flag("bulk", errors),
        variables,
        definition: fingerprint(text.as_bytes()),
    }
}

fn variable(id: &str, value: &serde_yaml_ng::Value, path: &str, errors: &mut Errors) -> Variable {
    let known = ["role", "name", "select", "newest", "total", "codes"];
    let section = Section::open(value, path, &known, errors);
    let codes = section.text_map("codes", errors);
    let total = section.text_maybe("total", errors);
    let name = section.text_maybe("name", errors);
    let role = match section.text_or("role", "breakdown", errors).as_str() {
        "time" => Role::Time,
        "area" => Role::Area,
        "measure" => {
            if codes.is_empty() {
                errors.add(&section.at("codes"), "missing; expected a map from code to measure");
            }
            Role::Measure(codes.clone())
        }
        "breakdown" => {
            if name.as_deref().is_none_or(|name| !is_plain(name)) {
                errors.add(&section.at("name"), "missing; expected the name of the breakdown");
            }
            Role::Breakdown {
                name: name.clone().unwrap_or_default(),
                total: total.clone(),
                codes: codes.clone(),
            }
        }
        other => {
            let roles = ["time", "area", "measure", "breakdown"];
            let hint = crate::profile::nearest(other, roles).unwrap_or("time, area, measure, breakdown");
            errors.add(&section.at("role"), format!("no such role; nearest known: {hint}"));
            Role::Time
        }
    };
    if !matches!(role, Role::Breakdown { .. }) {
        for (key, given) in [("name", name.is_some()), ("total", total.is_some())] {
            if given {
                errors.add(&section.at(key), "only a variable with role breakdown has it");
            }
        }
    }
    if matches!(role, Role::Time | Role::Area) && !codes.is_empty() {
        errors.add(&section.at("codes"), "only a variable with role breakdown or measure has it");
    }
    let listed = section.texts("select", errors);
    let newest = section.number("newest", 0, 1..=100_000, errors);
    let select = match (&listed[..], newest) {
        ([], 0) => match &role {
            // The codes that choose a measure are the ones that are wanted.
            Role::Measure(codes) => Select::Codes(codes.iter().map(|(code, _)| code.clone()).collect()),
            _ => Select::All,
        },
        ([all], 0) if all == "*" => Select::All,
        (_, 0) => Select::Codes(listed),
        ([], count) => Select::Newest(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => {
            errors.add(&section.at("newest"), "either select or newest, not both");
            Select::All
        }
    };
    Variable { id: id.to_owned(), role, select }
}
