//! jobindsats v3 as it was seen: `/tables` with its release calendar, `/data/{id}` with columns and rows, the 422s.
//!
//! Recorded: the shape of a data answer, the 422 texts, the 403 text. Documented only: the nesting of `/tables`
//! and the labels of some columns. Ours: the days of publication before the first observation (bounds).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::http::StatusCode;
use rettidig_event::municipality::MUNICIPALITIES;
use serde_json::json;

use super::Reply;
use super::vintages::{Area, Cell, Vintages};

/// One hierarchy of a table beside the area: id, column label, breakdown code to label. The first label is the
/// total.
struct Hierarchy {
    id: &'static str,
    column: &'static str,
    labels: &'static [(&'static str, &'static str)],
}

struct Table {
    id: &'static str,
    name: &'static str,
    group: &'static str,
    breakdown: Option<Hierarchy>,
    /// A hierarchy that is served at its total only.
    fixed: Option<Hierarchy>,
    /// Measure of the fixture to column label.
    columns: &'static [(&'static str, &'static str)],
    /// By step: vintage, update_latest, update_next. A missing one is not in the list.
    steps: [Option<(usize, &'static str, &'static str)>; 4],
}

const BENEFIT: Hierarchy = Hierarchy {
    id: "_ygrpi09",
    column: "Ydelsesgrupper",
    labels: &[("total", "Ydelser i alt"), ("unemployment", "A-dagpenge"), ("cash", "Kontanthjælp")],
};

const FUND: Hierarchy =
    Hierarchy { id: "_akassebl", column: "A-kasse", labels: &[("total", "A-kasse i alt")] };

const TABLES: [Table; 6] = [
    Table {
        id: "y25i01",
        name: "Antal ledige fuldtidspersoner",
        group: "Ledighed",
        breakdown: Some(BENEFIT),
        fixed: Some(FUND),
        columns: &[
            ("full_time_unemployed", "Antal ledige fuldtidspersoner"),
            ("full_time_unemployed_rate", "Ledige fuldtidspersoner i pct. af arbejdsstyrken"),
        ],
        steps: [
            Some((0, "2026-07-20", "2026-08-19")),
            Some((1, "2026-08-19", "2026-09-21")),
            Some((2, "2026-08-19", "2026-09-21")),
            Some((2, "2026-08-21", "2026-09-21")),
        ],
    },
    Table {
        id: "y25i09",
        name: "Antal langtidsledige fuldtidspersoner",
        group: "Ledighed",
        breakdown: Some(BENEFIT),
        fixed: Some(FUND),
        columns: &[("long_term_unemployed", "Antal langtidsledige fuldtidspersoner")],
        steps: [
            Some((0, "2026-07-21", "2026-08-20")),
            Some((1, "2026-07-21", "2026-08-20")),
            Some((2, "2026-08-20", "2026-09-22")),
            Some((2, "2026-08-21", "2026-09-22")),
        ],
    },
    Table {
        id: "y60a02",
        name: "Antal personer og fuldtidspersoner på kontanthjælp",
        group: "Kontanthjælp",
        breakdown: Some(Hierarchy {
            id: "_viskat_1int",
            column: "Visitationskategori",
            labels: &[
                ("total", "Visitationskategori i alt"),
                ("job_ready", "Jobparat"),
                ("activity_ready", "Aktivitetsparat"),
                ("education_ready", "Uddannelsesparat"),
                ("obviously_education_ready", "Åbenlys uddannelsesparat"),
                ("unknown", "Uoplyst visitationskategori"),
            ],
        }),
        fixed: None,
        columns: &[
            ("cash_recipients", "Antal personer"),
            ("cash_full_time_persons", "Antal fuldtidspersoner"),
            ("cash_full_time_rate_labour_force", "Fuldtidspersoner i pct. af arbejdsstyrken"),
            ("cash_full_time_rate_population", "Fuldtidspersoner i pct. af befolkningen"),
        ],
        steps: [None, None, Some((2, "2026-08-19", "2026-09-21")), Some((2, "2026-08-19", "2026-09-21"))],
    },
    Table {
        id: "y60c02",
        name: "Antal aktiveringsforløb",
        group: "Kontanthjælp",
        breakdown: Some(Hierarchy {
            id: "_tilb_2ptv",
            column: "Tilbud",
            labels: &[
                ("total", "Tilbud i alt"),
                ("guidance_upskilling", "Vejledning og opkvalificering i alt"),
                ("wage_subsidy", "Ansættelse med løntilskud i alt"),
                ("internship", "Virksomhedspraktik i alt"),
                ("utility_job", "Nytteindsats i alt"),
                ("special_utility_job", "Særligt tilrettelagt nytteindsats i alt"),
            ],
        }),
        fixed: None,
        columns: &[
            ("activation_spells", "Antal aktiveringsforløb"),
            ("activated_persons", "Antal aktiverede"),
            ("activation_spells_per_person", "Gennemsnitligt antal aktiveringsforløb pr. aktiveret"),
        ],
        steps: [None, None, Some((2, "2026-08-19", "2026-09-21")), Some((2, "2026-08-19", "2026-09-21"))],
    },
    Table {
        id: "y60c07",
        name: "Aktiveringsgrad og andel aktiveringsberørte",
        group: "Kontanthjælp",
        breakdown: None,
        fixed: None,
        columns: &[
            ("activation_degree", "Aktiveringsgrad"),
            ("activation_touched_share", "Andel aktiveringsberørte"),
        ],
        steps: [None, None, Some((2, "2026-08-19", "2026-09-21")), Some((2, "2026-08-19", "2026-09-21"))],
    },
    Table {
        id: "y60j01",
        name: "Kontanthjælpsmodtagere med ordinære timer",
        group: "Kontanthjælp",
        breakdown: None,
        fixed: None,
        columns: &[
            ("ordinary_hours_persons", "Antal personer med ordinære timer"),
            ("ordinary_hours_share", "Andel personer med ordinære timer"),
        ],
        steps: [None, None, Some((2, "2026-08-19", "2026-09-21")), Some((2, "2026-08-19", "2026-09-21"))],
    },
];

fn reply(status: StatusCode, body: String) -> Reply {
    Reply { status, content_type: "application/json", body: body.into_bytes() }
}

/// An error body as recorded; the id of the request is fixed, because nothing reads it.
fn error(status: StatusCode, cause: &str) -> Reply {
    let id = "00000000-0000-4000-8000-000000000000";
    let body = json!({"code": status.as_u16(), "cause": cause, "request_id": id});
    reply(status, body.to_string())
}

pub(super) fn unauthorized() -> Reply {
    error(StatusCode::UNAUTHORIZED, "Unauthorized")
}

/// Subject, table groups, tables.
pub(super) fn tables(step: usize, vintages: &Vintages) -> Reply {
    let entry = |table: &Table| {
        let (vintage, latest, next) = table.steps[step]?;
        let periods: BTreeSet<&str> = vintages
            .get(table.id)?
            .rows
            .iter()
            .filter(|row| row.cells.iter().any(|cells| cells[vintage] != Cell::Absent))
            .map(|row| row.period.as_str())
            .collect();
        let mgroups: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(n, (_, label))| json!({"mgroup_id": format!("mgrp{}_{}", table.id, n + 1), "mgroup_name": label}))
            .collect();
        let hierarchies: Vec<_> = ["_nykom"]
            .into_iter()
            .chain(table.breakdown.iter().chain(&table.fixed).map(|hierarchy| hierarchy.id))
            .map(|id| json!({"hierarchy_id": id, "levels": []}))
            .collect();
        Some(json!({
            "table_id": table.id,
            "table_name": table.name,
            "update_freq": "M",
            "update_latest": latest,
            "update_next": next,
            "mgroups": mgroups,
            "periods": [{"periodtype_id": "M", "values": periods}],
            "dimensions": [{"dimension_id": "all", "hierarchies": hierarchies}],
        }))
    };
    let groups: Vec<_> = ["Ledighed", "Kontanthjælp"]
        .into_iter()
        .map(|group| {
            let tables: Vec<_> = TABLES.iter().filter(|t| t.group == group).filter_map(entry).collect();
            json!({"table_group_name": group, "tables": tables})
        })
        .collect();
    reply(StatusCode::OK, json!([{"subject_name": "Ydelser", "table_groups": groups}]).to_string())
}

/// `{"columns":[…],"rows":[[…]]}` of one table at a step.
pub(super) fn data(step: usize, vintages: &Vintages, id: &str, pairs: &[(String, String)]) -> Reply {
    let found = TABLES.iter().find(|table| table.id == id);
    let Some((table, (vintage, ..))) = found.and_then(|table| Some((table, table.steps[step]?))) else {
        return error(StatusCode::NOT_FOUND, &format!("Unknown table: {id}"));
    };
    let Some(fixture) = vintages.get(id) else {
        return error(StatusCode::NOT_FOUND, &format!("Unknown table: {id}"));
    };
    let period = pairs.iter().find_map(|(key, value)| Some((key.strip_prefix("period.")?, value.as_str())));
    let newest = match period {
        Some(("M", selection)) => match selection.strip_prefix("latest:").map(str::parse::<usize>) {
            Some(Ok(newest)) => newest,
            _ => return error(StatusCode::UNPROCESSABLE_ENTITY, &format!("Unknown periods: {selection}")),
        },
        Some((other, _)) => {
            return error(StatusCode::UNPROCESSABLE_ENTITY, &format!("Unknown period type: {other}"));
        }
        None => return error(StatusCode::UNPROCESSABLE_ENTITY, "Missing period"),
    };
    let asked: Vec<(&str, &str)> = pairs
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix("hierarchy.")?, value.as_str())))
        .collect();
    let known = |id: &str| {
        id == "_nykom" || table.breakdown.iter().chain(&table.fixed).any(|hierarchy| hierarchy.id == id)
    };
    let unknown: Vec<_> =
        asked.iter().filter(|(id, _)| !known(id)).map(|(id, _)| format!("'{id}'")).collect();
    if !unknown.is_empty() {
        let cause = format!("Unknown hierarchies: [{}]", unknown.join(", "));
        return error(StatusCode::UNPROCESSABLE_ENTITY, &cause);
    }
    let selection = |id: &str| asked.iter().find(|(asked, _)| *asked == id).map(|(_, value)| *value);
    let breakdown = table.breakdown.as_ref().and_then(|h| Some((h, selection(h.id)?)));
    let fixed = table.fixed.as_ref().filter(|h| selection(h.id).is_some());

    let mut columns = vec!["Periode", "Område"];
    columns.extend(breakdown.map(|(hierarchy, _)| hierarchy.column));
    columns.extend(fixed.map(|hierarchy| hierarchy.column));
    columns.extend(table.columns.iter().map(|(_, label)| *label));
    let places: Vec<Option<usize>> = table
        .columns
        .iter()
        .map(|(measure, _)| fixture.measures.iter().position(|known| known == measure))
        .collect();

    let all: BTreeSet<&str> = fixture
        .rows
        .iter()
        .filter(|row| row.cells.iter().any(|cells| cells[vintage] != Cell::Absent))
        .map(|row| row.period.as_str())
        .collect();
    let periods: BTreeSet<&str> = all.into_iter().rev().take(newest).collect();
    let every_area = selection("_nykom") == Some("*");
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut body = format!("{{\"columns\":{},\"rows\":[", json!(columns));
    let mut first = true;
    for row in &fixture.rows {
        let here = row.cells.iter().any(|cells| cells[vintage] != Cell::Absent);
        let every_value = breakdown.is_some_and(|(_, selection)| selection == "*") || !fixture.has_breakdown;
        let wanted = periods.contains(row.period.as_str())
            && (every_area || row.area == Area::Code(0))
            && (every_value || row.breakdown == "total");
        if !here || !wanted {
            continue;
        }
        if !std::mem::take(&mut first) {
            body.push(',');
        }
        let _ = write!(body, "[{},{}", text(&row.period), text(area_name(row.area)));
        if let Some((hierarchy, _)) = breakdown {
            let label = hierarchy.labels.iter().find(|(code, _)| *code == row.breakdown);
            let _ = write!(body, ",{}", text(label.map_or("", |(_, label)| label)));
        }
        if let Some(hierarchy) = fixed {
            let _ = write!(body, ",{}", text(hierarchy.labels[0].1));
        }
        for place in &places {
            match place.map(|place| &row.cells[place][vintage]) {
                Some(Cell::Number(number)) => {
                    let _ = write!(body, ",{number}");
                }
                _ => body.push_str(",null"),
            }
        }
        body.push(']');
    }
    body.push_str("]}");
    reply(StatusCode::OK, body)
}

fn area_name(area: Area) -> &'static str {
    match area {
        Area::Unknown => "Uoplyst område",
        Area::Code(0) => "Hele landet",
        Area::Code(code) => MUNICIPALITIES
            .iter()
            .find(|(known, _)| *known == code)
            .map_or("Uoplyst område", |(_, name)| name),
    }
}
