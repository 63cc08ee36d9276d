//! The start page: what is fresh, what is late or incomplete, who drifts and why, and all jobcentres.

use std::collections::BTreeMap;

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{Body, Fault, Link, Page, places};

/// Who drifts, the farthest beyond its limit first. What is late or incomplete is told apart: it says nothing about the labour market.
const DRIFTING: &str = "SELECT area, indicator, benefit, period, value, status, level, expected_level, lower_limit, upper_limit, \
     direction, p_value, probability, level / expected_level - 1 AS beyond \
     FROM (SELECT * FROM targets UNION ALL SELECT * FROM local_drift) AS targets \
     WHERE newest AND area_kind = 'jobcentre' AND state = 'drifting' ORDER BY p_value, area, indicator";

const STATES: &str = "SELECT state, count(*) AS targets, count(DISTINCT area) AS areas \
     FROM (SELECT * FROM targets UNION ALL SELECT * FROM local_drift) AS targets WHERE newest GROUP BY state ORDER BY state";

const NOT_JUDGED: &str = "SELECT area_kind, area, indicator, period, state \
     FROM (SELECT * FROM targets UNION ALL SELECT * FROM local_drift) AS targets \
     WHERE newest AND state IN ('incomplete', 'source_late', 'insufficient') ORDER BY state, area, indicator";

const FRESHNESS: &str = "SELECT f.source, f.newest_event, f.published, f.age_seconds, f.official_lag_days, f.newest_period_end, f.next_due, \
     f.late, r.usual_days, s.danish_title, s.cadence FROM freshness AS f LEFT JOIN rhythms AS r ON f.source = r.source \
     LEFT JOIN (SELECT DISTINCT source, danish_title, cadence FROM sources) AS s ON f.source = s.source ORDER BY f.source";

const INCOMPLETE: &str = "SELECT source, area, period, expected, received FROM completeness WHERE state = 'incomplete' \
     ORDER BY period DESC, source, area";

/// Rows of a table that are shown at once; the others are one click away.
const AT_ONCE: usize = 12;

#[derive(Debug, Deserialize, Serialize)]
struct Drift {
    area: String,
    #[serde(default)]
    name: String,
    indicator: String,
    #[serde(default)]
    indicator_name: String,
    #[serde(default)]
    unit: String,
    benefit: String,
    period: String,
    value: Option<f64>,
    status: String,
    level: Option<f64>,
    expected_level: Option<f64>,
    lower_limit: Option<f64>,
    upper_limit: Option<f64>,
    direction: String,
    p_value: Option<f64>,
    probability: Option<f64>,
    beyond: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct State {
    state: String,
    targets: i64,
    areas: i64,
}

#[derive(Debug, Deserialize, Serialize)]
struct NotJudged {
    area_kind: String,
    area: String,
    #[serde(default)]
    name: String,
    indicator: String,
    #[serde(default)]
    indicator_name: String,
    period: String,
    state: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Source {
    source: String,
    newest_event: String,
    published: Option<String>,
    age_seconds: i64,
    official_lag_days: Option<i64>,
    newest_period_end: String,
    next_due: Option<String>,
    late: bool,
    usual_days: Option<i64>,
    danish_title: Option<String>,
}

/// A kind of system that every municipality has one of.
#[derive(Debug, Default, Serialize)]
struct System {
    name: String,
    sources: usize,
    late: usize,
    newest_age_seconds: i64,
    oldest_age_seconds: i64,
    newest_period_end: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Missing {
    source: String,
    area: String,
    #[serde(default)]
    name: String,
    period: String,
    expected: i64,
    received: i64,
}

#[derive(Serialize)]
struct Region {
    name: String,
    jobcentres: Vec<Link>,
}

#[derive(Serialize)]
struct Start {
    drifting: Vec<Drift>,
    drifting_more: Vec<Drift>,
    drifting_areas: i64,
    states: Vec<State>,
    not_judged: Vec<NotJudged>,
    official: Vec<Source>,
    systems: Vec<System>,
    late: Vec<Source>,
    incomplete: Vec<Missing>,
    incomplete_more: Vec<Missing>,
    regions: Vec<Region>,
    at_once: usize,
}

/// `/`
pub(crate) async fn page(page: Page) -> Response {
    let body = body(&page).await;
    page.answer(body).await
}

async fn body(page: &Page) -> Result<Body, Fault> {
    page.knows(&[])?;
    let language = page.language;
    let indicators = page.indicators().await?;
    let named = |code: &str| match indicators.term(language, code) {
        Some(term) => format!("{} ({term})", indicators.name(language, code)),
        None => indicators.name(language, code),
    };
    let area = |kind: &str, code: &str| page.places.name(language, kind, code);

    let mut drifting: Vec<Drift> = page.rows("drifting", DRIFTING, &[]).await?;
    for row in &mut drifting {
        (row.name, row.indicator_name) = (area("jobcentre", &row.area), named(&row.indicator));
        row.unit = indicators.0.get(&row.indicator).map_or_else(String::new, |about| about.unit.clone());
    }
    let states: Vec<State> = page.rows("target_states", STATES, &[]).await?;
    let drifting_areas = states.iter().find(|state| state.state == "drifting").map_or(0, |state| state.areas);
    let mut not_judged: Vec<NotJudged> = page.rows("not_judged", NOT_JUDGED, &[]).await?;
    for row in &mut not_judged {
        (row.name, row.indicator_name) = (area(&row.area_kind, &row.area), named(&row.indicator));
    }
    let sources: Vec<Source> = page.rows("freshness_shown", FRESHNESS, &[]).await?;
    let mut systems: BTreeMap<String, System> = BTreeMap::new();
    let (mut official, mut late) = (Vec::new(), Vec::new());
    for source in sources {
        match source.source.rsplit_once('-') {
            // A municipality's own system: its number stands behind its kind.
            Some((kind, number))
                if source.official_lag_days.is_none() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                let system = systems.entry(kind.to_owned()).or_default();
                system.name = language.word("system", kind);
                system.newest_age_seconds = if system.sources == 0 {
                    source.age_seconds
                } else {
                    system.newest_age_seconds.min(source.age_seconds)
                };
                system.oldest_age_seconds = system.oldest_age_seconds.max(source.age_seconds);
                system.newest_period_end =
                    source.newest_period_end.clone().max(std::mem::take(&mut system.newest_period_end));
                system.sources += 1;
                system.late += usize::from(source.late);
                if source.late {
                    late.push(source);
                }
            }
            _ => official.push(source),
        }
    }
    let mut incomplete: Vec<Missing> = page.rows("incomplete", INCOMPLETE, &[]).await?;
    for row in &mut incomplete {
        row.name = area("municipality", &row.area);
    }
    let mut regions: BTreeMap<&str, Region> = BTreeMap::new();
    for jobcentre in page.places.jobcentres.values() {
        let region = regions
            .entry(&jobcentre.region)
            .or_insert_with(|| Region { name: jobcentre.region_name.clone(), jobcentres: Vec::new() });
        region.jobcentres.push(places::link(language, jobcentre));
    }
    let drifting_more = drifting.split_off(drifting.len().min(AT_ONCE));
    let incomplete_more = incomplete.split_off(incomplete.len().min(AT_ONCE));
    let start = Start {
        drifting,
        drifting_more,
        drifting_areas,
        states,
        not_judged,
        official,
        systems: systems.into_values().collect(),
        late,
        incomplete,
        incomplete_more,
        regions: regions.into_values().collect(),
        at_once: AT_ONCE,
    };
    page.html("start.html", &start).await
}
