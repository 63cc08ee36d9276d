//! Codes in reference files must name what there is: an indicator, a benefit, an area, a service. A target for something that is misspelt
//! would be a target that nobody ever misses.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::error::nearest;

/// What stands for all benefits, and for what is not divided by benefit.
const TOTAL: &str = "total";
/// Of goals of contracts: how far cost and budget are apart, which the table `contract_results` makes itself.
const BUDGET_DEVIATION: &str = "budget_deviation";
/// Kinds of areas that `areas.csv` has a column of.
const AREA_KINDS: [&str; 4] = ["municipality", "jobcentre", "cluster", "region"];
/// The kind of the one area that it has no column of.
const COUNTRY: &str = "country";
/// Tables with one row for each target.
const TARGETS: [(&str, bool); 2] = [("targets", false), ("local_targets", true)];

/// What codes may be.
struct Known<'a> {
    indicators: BTreeSet<&'a str>,
    benefits: BTreeSet<&'a str>,
    services: BTreeSet<&'a str>,
    kinds: BTreeSet<&'a str>,
    areas: BTreeMap<&'a str, BTreeSet<&'a str>>,
    directions: BTreeSet<&'a str>,
}

/// What is wrong with the codes: table, line of its file and why. `local` says of each indicator whether it is made of persons.
pub(crate) fn check(
    tables: &BTreeMap<String, RecordBatch>,
    local: &BTreeMap<&str, bool>,
) -> Vec<(String, usize, String)> {
    let texts: BTreeMap<&str, BTreeMap<String, StringArray>> =
        tables.iter().map(|(name, batch)| (name.as_str(), columns(batch))).collect();
    let column = |table: &str, name: &str| texts.get(table).and_then(|columns| columns.get(name));
    let codes = |table: &str, name: &str| -> BTreeSet<&str> {
        column(table, name).into_iter().flat_map(|codes| codes.iter().flatten()).collect()
    };
    let known = Known {
        indicators: local.keys().copied().chain([BUDGET_DEVIATION]).collect(),
        benefits: codes("benefits", "code").into_iter().chain([TOTAL]).collect(),
        services: codes("services", "service"),
        kinds: AREA_KINDS.into_iter().chain([COUNTRY]).collect(),
        areas: AREA_KINDS
            .into_iter()
            .map(|kind| (kind, codes("areas", kind)))
            .chain([(COUNTRY, BTreeSet::from(["0000"]))])
            .collect(),
        directions: BTreeSet::from(["down", "up"]),
    };
    let mut found = Vec::new();
    for (table, columns) in &texts {
        let rows = columns.values().next().map_or(0, StringArray::len);
        let target = TARGETS.into_iter().find(|(name, _)| name == table);
        let mut seen = BTreeSet::new();
        for row in 0..rows {
            let value = |name: &str| {
                columns.get(name).filter(|column| column.is_valid(row)).map(|column| column.value(row))
            };
            let mut wrong = |why: String| found.push(((*table).to_owned(), row + 2, why));
            for (name, is_list, allowed) in allowed(&known, &value) {
                let codes = value(name).into_iter().flat_map(|text| match is_list {
                    true => text.split_whitespace().collect(),
                    false => vec![text],
                });
                for code in codes.filter(|code| !code.is_empty() && !allowed.contains(code)) {
                    let hint = nearest(code, allowed.iter().copied())
                        .map_or_else(|| hint_of(allowed), |near| format!("; did you mean {near}?"));
                    wrong(format!("{name}: {code} is not known{hint}"));
                }
            }
            if let (Some(from), Some(to)) = (value("valid_from"), value("valid_to"))
                && to < from
            {
                wrong(format!("valid_to: {to} is before valid_from, {from}"));
            }
            let Some((_, is_local)) = target else { continue };
            let key = ["area_kind", "area", "indicator", "benefit"].map(value);
            if !seen.insert(key) {
                wrong("this area has a target for this indicator and benefit already".to_owned());
            }
            if let (Some(zero), Some(reached)) = (value("zero_date"), value("target_date"))
                && reached <= zero
            {
                wrong(format!("target_date: expected a day after zero_date, {zero}"));
            }
            let indicator = value("indicator").unwrap_or_default();
            if local.get(indicator).is_some_and(|local| *local != is_local) {
                let other = if is_local { "targets.csv" } else { "local_targets.csv" };
                wrong(format!("indicator: a target for {indicator} belongs into {other}"));
            }
        }
    }
    found
}

/// The columns that hold codes: whether a list of them, and which there are.
fn allowed<'a, 'v>(
    known: &'a Known<'a>,
    value: &dyn Fn(&str) -> Option<&'v str>,
) -> Vec<(&'static str, bool, &'a BTreeSet<&'a str>)> {
    let mut columns = vec![
        ("service", false, &known.services),
        ("rest_regions", true, &known.areas["region"]),
        ("area_kind", false, &known.kinds),
        ("direction", false, &known.directions),
    ];
    for name in ["indicator", "hardest", "official"] {
        columns.push((name, false, &known.indicators));
    }
    for name in ["benefit", "hardest_benefit", "official_benefit", "indicator_benefit"] {
        columns.push((name, false, &known.benefits));
    }
    for name in ["benefits", "client_benefits"] {
        columns.push((name, true, &known.benefits));
    }
    if let Some(areas) = value("area_kind").and_then(|kind| known.areas.get(kind)) {
        columns.push(("area", false, areas));
    }
    columns
}

fn hint_of(allowed: &BTreeSet<&str>) -> String {
    let few: Vec<&str> = allowed.iter().copied().take(6).collect();
    format!("; expected one of {}{}", few.join(", "), if few.len() < allowed.len() { ", …" } else { "" })
}

/// The columns as text.
fn columns(batch: &RecordBatch) -> BTreeMap<String, StringArray> {
    let fields = batch.schema().fields().clone();
    let texts = fields.iter().zip(batch.columns()).filter_map(|(field, column)| {
        let text = cast(column, &DataType::Utf8).ok()?;
        Some((field.name().clone(), text.as_string::<i32>().clone()))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use crate::{Model, SourceFile};

    /// What the loader says of a reference file with one line changed.
    fn said(path: &str, from: &str, to: &str) -> String {
        let mut files: Vec<SourceFile> = Model::embedded_files();
        let file = files.iter_mut().find(|file| file.path == path).expect("the file");
        assert!(file.text.contains(from), "{from} is not in {path}");
        file.text = file.text.replacen(from, to, 1);
        Model::load(files).expect_err("refused").to_string()
    }

    #[test]
    fn codes_that_nobody_knows_are_told_with_file_line_and_the_nearest() {
        let targets = "reference/targets.csv";
        let line = "jobcentre,0101,full_time_unemployed,total,2025-07-31";
        for (to, why) in [
            (
                "jobcentre,0101,full_time_unemploied,total,2025-07-31",
                "reference/targets.csv:2: indicator: full_time_unemploied is not known; did you mean full_time_unemployed?",
            ),
            (
                "jobcentre,0101,full_time_unemployed,totl,2025-07-31",
                "benefit: totl is not known; did you mean total?",
            ),
            ("jobcentre,0199,full_time_unemployed,total,2025-07-31", "area: 0199 is not known"),
            (
                "jobcenter,0101,full_time_unemployed,total,2025-07-31",
                "area_kind: jobcenter is not known; did you mean jobcentre?",
            ),
            (
                "jobcentre,0101,full_time_unemployed,total,2027-07-31",
                "target_date: expected a day after zero_date, 2027-07-31",
            ),
            (
                "jobcentre,0147,full_time_unemployed,total,2025-07-31",
                "this area has a target for this indicator and benefit already",
            ),
            (
                "jobcentre,0101,local_recipients,cash,2025-07-31",
                "a target for local_recipients belongs into local_targets.csv",
            ),
        ] {
            let said = said(targets, line, to);
            assert!(said.contains(why), "{said}");
        }
        let said_of = said("reference/rewards.csv", "1084 1085", "1084 1086");
        assert!(said_of.contains("reference/rewards.csv:2: rest_regions: 1086 is not known"), "{said_of}");
        let said_of = said("reference/unit_prices.csv", "2025-12-31", "2024-12-31");
        assert!(
            said_of.contains("unit_prices.csv:2: valid_to: 2024-12-31 is before valid_from"),
            "{said_of}"
        );
    }
}
