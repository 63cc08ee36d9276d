//! StatBank v1 as it was recorded: the list of tables, a table's description, JSON-stat, BULK, the error bodies.
//!
//! STRAF42's description (without its contact person) and figures are recorded; LBESK104's figures are recorded
//! by a third party, its description is put together from them. Variables that a request leaves out are
//! eliminated, with the newest period only, as the service does: the trap that a client must not fall into.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Copenhagen;
use serde_json::{Map, Value, json};

use super::{REPLAY_STEPS, Reply};

struct Table {
    info: Value,
    /// Codes in the order of the variables, to the published text; empty is null.
    cells: BTreeMap<Vec<String>, String>,
}

pub(super) struct Tables {
    list: Vec<Value>,
    tables: BTreeMap<String, Table>,
}

const LIST: &str = include_str!("../../fixtures/statbank/tables.json");

const FILES: [(&str, &str, &str); 2] = [
    (
        "STRAF42",
        include_str!("../../fixtures/statbank/tableinfo_STRAF42.json"),
        include_str!("../../fixtures/statbank/STRAF42.csv"),
    ),
    (
        "LBESK104",
        include_str!("../../fixtures/statbank/tableinfo_LBESK104.json"),
        include_str!("../../fixtures/statbank/LBESK104.csv"),
    ),
];

fn reply(body: String) -> Reply {
    Reply { status: StatusCode::OK, content_type: "text/json; charset=utf-8", body: body.into_bytes() }
}

fn error(code: &str, message: &str) -> Reply {
    let body = json!({"errorTypeCode": code, "message": message}).to_string().into_bytes();
    Reply { status: StatusCode::BAD_REQUEST, content_type: "text/json; charset=utf-8", body }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn updated(table: &Value) -> Option<DateTime<Utc>> {
    let local = text(table, "updated").parse().ok()?;
    Copenhagen.from_local_datetime(&local).earliest().map(|local| local.to_utc())
}

impl Tables {
    pub(super) fn read() -> Result<Self, String> {
        let list = serde_json::from_str(LIST).map_err(|error| format!("tables.json: {error}"))?;
        let mut tables = BTreeMap::new();
        for (id, info, cells) in FILES {
            let info: Value = serde_json::from_str(info).map_err(|error| format!("{id}: {error}"))?;
            let ids: Vec<&str> = items(&info, "variables").iter().map(|v| text(v, "id")).collect();
            let mut lines = cells.lines();
            let header: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
            if header.split_last() != Some((&"INDHOLD", &ids[..])) {
                return Err(format!("{id}.csv: the header does not match the description"));
            }
            let mut by_codes = BTreeMap::new();
            for line in lines {
                let mut codes: Vec<String> = line.split(';').map(str::to_owned).collect();
                let value = codes.pop().unwrap_or_default();
                by_codes.insert(codes, value);
            }
            tables.insert(id.to_owned(), Table { info, cells: by_codes });
        }
        Ok(Self { list, tables })
    }

    pub(super) fn list(&self, step: usize, pairs: &[(String, String)]) -> Reply {
        let days = pairs.iter().find(|(key, _)| key == "pastdays").map(|(_, days)| days.parse::<i64>());
        let now = REPLAY_STEPS[step].0.parse::<DateTime<Utc>>().ok();
        let since = match (days, now) {
            (None, _) => None,
            (Some(Ok(days)), Some(now)) => Some(now - TimeDelta::days(days)),
            _ => return error("REQUEST-INVALID", "pastdays"),
        };
        let listed: Vec<&Value> = self
            .list
            .iter()
            .filter(|table| since.is_none_or(|since| updated(table) >= Some(since)))
            .collect();
        reply(json!(listed).to_string())
    }

    pub(super) fn info(&self, id: &str) -> Reply {
        match self.tables.get(id) {
            Some(table) => reply(table.info.to_string()),
            None => error("EXTRACT-NOTFOUND", &format!("Tabel findes ikke: {id}")),
        }
    }

    pub(super) fn data(&self, body: &[u8]) -> Reply {
        let Ok(request) = serde_json::from_slice::<Value>(body) else {
            return error("REQUEST-EMPTY", "Forespørgslen er tom");
        };
        let id = text(&request, "table");
        let Some(table) = self.tables.get(id) else {
            return error("EXTRACT-NOTFOUND", &format!("Tabel findes ikke: {id}"));
        };
        match table.selection(items(&request, "variables")) {
            Err(message) => error("EXTRACT-NOTFOUND", &message),
            Ok(selection) => match text(&request, "format").to_ascii_uppercase().as_str() {
                "JSONSTAT" => reply(table.json_stat(id, &selection)),
                "BULK" | "CSV" => {
                    let body = table.bulk(&selection).into_bytes();
                    Reply { status: StatusCode::OK, content_type: "text/csv; charset=utf-8", body }
                }
                other => error("REQUEST-FORMAT", &format!("Ukendt format: {other}")),
            },
        }
    }
}

/// Codes of one variable, and whether the request named it.
struct Chosen<'t> {
    variable: &'t Value,
    codes: Vec<String>,
    named: bool,
}

impl Table {
    fn selection(&self, asked: &[Value]) -> Result<Vec<Chosen<'_>>, String> {
        let variables = items(&self.info, "variables");
        for variable in asked {
            let code = text(variable, "code");
            if !variables.iter().any(|v| text(v, "id").eq_ignore_ascii_case(code)) {
                return Err(format!("Variabel findes ikke: {code}"));
            }
        }
        let mut selection = Vec::new();
        for variable in variables {
            let all: Vec<String> =
                items(variable, "values").iter().map(|value| text(value, "id").to_owned()).collect();
            let wanted = asked.iter().find(|v| text(v, "code").eq_ignore_ascii_case(text(variable, "id")));
            let codes = match wanted {
                // Eliminated: the newest period, else the total, which comes first.
                None if variable.get("time") == Some(&Value::Bool(true)) => {
                    all.into_iter().next_back().into_iter().collect()
                }
                None => all.into_iter().take(1).collect(),
                Some(wanted) => {
                    let mut codes: Vec<String> = Vec::new();
                    for value in items(wanted, "values").iter().filter_map(Value::as_str) {
                        match value {
                            "*" => codes.extend(all.iter().cloned()),
                            code if all.iter().any(|known| known == code) => codes.push(code.to_owned()),
                            code => return Err(format!("Værdi findes ikke: {code}")),
                        }
                    }
                    codes
                }
            };
            selection.push(Chosen { variable, codes, named: wanted.is_some() });
        }
        Ok(selection)
    }

    /// Codes of all variables, row-major.
    fn places(selection: &[Chosen<'_>]) -> Vec<Vec<String>> {
        selection.iter().fold(vec![Vec::new()], |rows, chosen| {
            rows.iter()
                .flat_map(|row| {
                    chosen.codes.iter().map(|code| [&row[..], std::slice::from_ref(code)].concat())
                })
                .collect()
        })
    }

    fn json_stat(&self, id: &str, selection: &[Chosen<'_>]) -> String {
        let mut dimension = Map::new();
        let (mut ids, mut sizes) = (Vec::new(), Vec::new());
        let mut time = String::new();
        for chosen in selection {
            let code = text(chosen.variable, "id");
            let is_time = chosen.variable.get("time") == Some(&Value::Bool(true));
            if is_time {
                time = code.to_owned();
                let unit = json!({id: {"base": text(&self.info, "unit"), "decimals": 0}});
                let label = json!({id: text(&self.info, "text")});
                let category = json!({"index": {id: 0}, "label": label, "unit": unit});
                dimension
                    .insert("ContentsCode".to_owned(), json!({"label": "Indhold", "category": category}));
                ids.push("ContentsCode".to_owned());
                sizes.push(1);
            }
            if !chosen.named && !is_time {
                continue;
            }
            let index: Map<String, Value> =
                chosen.codes.iter().enumerate().map(|(place, code)| (code.clone(), json!(place))).collect();
            let label: Map<String, Value> = items(chosen.variable, "values")
                .iter()
                .filter(|value| index.contains_key(text(value, "id")))
                .map(|value| (text(value, "id").to_owned(), json!(text(value, "text"))))
                .collect();
            let category = json!({"index": index, "label": label});
            dimension.insert(
                code.to_owned(),
                json!({"label": text(chosen.variable, "text"), "category": category}),
            );
            ids.push(code.to_owned());
            sizes.push(chosen.codes.len());
        }
        let values: Vec<Value> = Self::places(selection)
            .iter()
            .map(|codes| {
                let cell = self.cells.get(codes).filter(|text| !text.is_empty());
                cell.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
            })
            .collect();
        dimension.insert("id".to_owned(), json!(ids));
        dimension.insert("size".to_owned(), json!(sizes));
        dimension.insert("role".to_owned(), json!({"metric": ["ContentsCode"], "time": [time]}));
        let stamp = updated(&self.info).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        json!({"dataset": {
            "dimension": dimension,
            "label": text(&self.info, "description"),
            "source": "Danmarks Statistik",
            "updated": stamp,
            "value": values,
            "extension": {"px": {"tableid": id, "decimals": 0}},
        }})
        .to_string()
    }

    fn bulk(&self, selection: &[Chosen<'_>]) -> String {
        let mut body = String::from("\u{feff}");
        let names: Vec<String> =
            selection.iter().filter(|c| c.named).map(|c| text(c.variable, "id").to_uppercase()).collect();
        body.push_str(&names.join(";"));
        body.push_str(";INDHOLD\r\n");
        for codes in Self::places(selection) {
            let cell = self.cells.get(&codes).filter(|text| !text.is_empty());
            let shown: Vec<&str> =
                codes.iter().zip(selection).filter(|(_, c)| c.named).map(|(code, _)| code.as_str()).collect();
            body.push_str(&shown.join(";"));
            body.push(';');
            body.push_str(&cell.map_or_else(|| "..".to_owned(), |text| text.replace('.', ",")));
            body.push_str("\r\n");
        }
        body
    }
}
