//! The page of a jobcentre: KL's scorecard with its pictures, targets with limits, how its newest figures were revised, and what it delivered.
//!
//! [`Overview`] holds all of it as figures; the page and the report (`crate::report`) are two ways to show the same.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use chrono::{Datelike, Months, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::economy::{Economy, economy};
use super::places::Jobcentre;
use super::texts::Language;
use super::{Body, Fault, Page, drawn, written};
use crate::charts::{Band, Line, Lines, Stroke};
use crate::report;

const BENEFITS: &str = "SELECT benefit, max(period) AS newest, max(more_own) AS most FROM scorecard WHERE jobcentre = $area \
     GROUP BY benefit ORDER BY most DESC NULLS LAST, benefit";

const SCORECARD: &str =
    "SELECT * FROM scorecard WHERE jobcentre = $area AND benefit = $benefit ORDER BY period DESC LIMIT 1";

const TARGETS: &str = "SELECT * FROM (SELECT * FROM targets UNION ALL SELECT * FROM local_drift) AS targets \
     WHERE area_kind = 'jobcentre' AND area = $area ORDER BY indicator, benefit, period";

const LOCAL_TARGETS: &str = "SELECT area_kind, area, indicator, benefit, period, zero_value, target_value, target_date, direction, owner, \
     value, status, expected, realised_ratio, deviation, state FROM local_targets \
     WHERE newest AND ((area_kind = 'jobcentre' AND area = $area) OR (area_kind = 'municipality' AND area IN (\
     SELECT municipality FROM areas WHERE jobcentre = $area AND valid_from <= CAST($as_of AS DATE) \
     AND (valid_to IS NULL OR valid_to >= CAST($as_of AS DATE))))) ORDER BY indicator, benefit, area_kind, area";

/// What is known of the newest period, and what it is expected to settle at.
const SETTLING: &str = "SELECT indicator, benefit, period, value, unit, status, settled_estimate, settled_low, settled_high FROM comparisons \
     WHERE area_kind = 'jobcentre' AND area = $area AND benefit = 'total' AND breakdown = 'total' AND status <> 'final' \
     ORDER BY period DESC, indicator LIMIT 8";

/// Shares beside the country's, the least likely first.
const FUNNELS: &str = "SELECT indicator, benefit, period_first, period_last, value, country_value, lower_limit, upper_limit, p_value, state \
     FROM funnels WHERE area_kind = 'jobcentre' AND area = $area ORDER BY p_value NULLS LAST, indicator, benefit";

/// Beside each target those who are hardest to help.
const HARDEST: &str = "SELECT indicator, benefit, period, value, status, hardest, hardest_value, hardest_last_year, hardest_status, state \
     FROM creaming_guard WHERE area_kind = 'jobcentre' AND area = $area ORDER BY indicator, benefit, period";

/// What incomplete figures will be.
const NOWCASTS: &str = "SELECT indicator, benefit, period, value, received_ratio, nowcast, nowcast_low, nowcast_high FROM nowcasts \
     WHERE area_kind = 'jobcentre' AND area = $area ORDER BY period DESC, indicator, benefit LIMIT 12";

const REVISIONS: &str = "SELECT indicator, benefit, period, old, new, old_known_at, new_known_at, cause FROM revisions \
     WHERE area_kind = 'jobcentre' AND area = $area AND benefit = 'total' AND breakdown = 'total' AND cause <> 'first' \
     ORDER BY new_known_at DESC, period DESC, indicator LIMIT 12";

const COMPLETENESS: &str = "SELECT source, area, period, expected, received, state FROM completeness \
     WHERE area IN (SELECT municipality FROM areas WHERE jobcentre = $area AND valid_from <= CAST($as_of AS DATE) \
     AND (valid_to IS NULL OR valid_to >= CAST($as_of AS DATE))) AND period IN (\
     SELECT period FROM completeness GROUP BY period ORDER BY period DESC LIMIT 6) ORDER BY source, area, period";

/// One of the results of the scorecard.
#[derive(Debug, Serialize)]
pub(crate) struct Measure {
    /// more, faster, staying or potential.
    pub(crate) key: &'static str,
    /// Unit of own and last year.
    pub(crate) unit: &'static str,
    /// Unit of the level that is compared with the cluster.
    pub(crate) level_unit: &'static str,
    /// Unit of the development.
    pub(crate) development_unit: &'static str,
    pub(crate) own: Option<f64>,
    pub(crate) last_year: Option<f64>,
    pub(crate) development: Option<f64>,
    pub(crate) arrow: Option<i64>,
    pub(crate) level: Option<f64>,
    pub(crate) cluster_mean: Option<f64>,
    pub(crate) cluster_best: Option<f64>,
    pub(crate) cluster_worst: Option<f64>,
    pub(crate) tercile: Option<i64>,
    pub(crate) status: String,
}

/// The scorecard of a benefit.
#[derive(Debug, Serialize)]
pub(crate) struct Scorecard {
    pub(crate) benefit: String,
    pub(crate) benefit_name: String,
    pub(crate) period: String,
    pub(crate) measures: Vec<Measure>,
}

/// A row of the table `targets`.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Point {
    pub(crate) indicator: String,
    pub(crate) benefit: String,
    pub(crate) period: String,
    pub(crate) zero_value: f64,
    pub(crate) zero_date: NaiveDate,
    pub(crate) target_value: f64,
    pub(crate) target_date: NaiveDate,
    pub(crate) direction: String,
    pub(crate) value: Option<f64>,
    pub(crate) status: String,
    pub(crate) expected: f64,
    pub(crate) level: Option<f64>,
    pub(crate) expected_level: Option<f64>,
    pub(crate) realised_ratio: Option<f64>,
    pub(crate) lower_limit: Option<f64>,
    pub(crate) upper_limit: Option<f64>,
    pub(crate) p_value: Option<f64>,
    pub(crate) probability: Option<f64>,
    pub(crate) newest: bool,
    pub(crate) state: String,
}

/// A target with its way so far.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) term: Option<String>,
    pub(crate) unit: String,
    pub(crate) newest: Point,
    pub(crate) points: Vec<Point>,
    /// What it says, in a sentence.
    pub(crate) said: String,
    pub(crate) svg: String,
}

/// A row of the table `local_targets`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct LocalTarget {
    pub(crate) indicator: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) area_kind: String,
    pub(crate) area: String,
    #[serde(default)]
    pub(crate) area_name: String,
    pub(crate) benefit: String,
    #[serde(default)]
    pub(crate) benefit_name: String,
    pub(crate) period: String,
    pub(crate) target_value: f64,
    pub(crate) target_date: String,
    pub(crate) owner: String,
    pub(crate) value: Option<f64>,
    pub(crate) status: String,
    pub(crate) expected: f64,
    pub(crate) realised_ratio: Option<f64>,
    pub(crate) state: String,
}

/// A row of the table `funnels`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Funnel {
    pub(crate) indicator: String,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) benefit: String,
    #[serde(default)]
    pub(crate) benefit_name: String,
    pub(crate) period_first: String,
    pub(crate) period_last: String,
    pub(crate) value: f64,
    pub(crate) country_value: f64,
    pub(crate) lower_limit: Option<f64>,
    pub(crate) upper_limit: Option<f64>,
    pub(crate) p_value: Option<f64>,
    pub(crate) state: String,
}

/// A row of the table `creaming_guard`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Hardest {
    pub(crate) indicator: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) benefit: String,
    #[serde(default)]
    pub(crate) benefit_name: String,
    pub(crate) period: String,
    pub(crate) value: Option<f64>,
    pub(crate) status: String,
    pub(crate) hardest: String,
    #[serde(default)]
    pub(crate) hardest_name: String,
    #[serde(default)]
    pub(crate) hardest_unit: String,
    pub(crate) hardest_value: Option<f64>,
    pub(crate) hardest_last_year: Option<f64>,
    pub(crate) hardest_status: String,
    pub(crate) state: String,
}

/// A row of the table `nowcasts`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Nowcast {
    pub(crate) indicator: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) benefit: String,
    #[serde(default)]
    pub(crate) benefit_name: String,
    pub(crate) period: String,
    pub(crate) value: Option<f64>,
    pub(crate) received_ratio: f64,
    pub(crate) nowcast: f64,
    pub(crate) nowcast_low: f64,
    pub(crate) nowcast_high: f64,
}

/// A figure that is not final yet.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Settling {
    pub(crate) indicator: String,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) period: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: String,
    pub(crate) status: String,
    pub(crate) settled_estimate: Option<f64>,
    pub(crate) settled_low: Option<f64>,
    pub(crate) settled_high: Option<f64>,
}

/// A change of a published figure.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Revision {
    pub(crate) indicator: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) period: String,
    pub(crate) old: Option<f64>,
    pub(crate) new: Option<f64>,
    pub(crate) new_known_at: String,
    pub(crate) cause: String,
}

#[derive(Debug, Deserialize)]
struct Delivered {
    source: String,
    area: String,
    period: String,
    expected: i64,
    received: i64,
    state: String,
}

/// What a source delivered for a municipality in a period.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) expected: i64,
    pub(crate) received: i64,
    pub(crate) state: String,
}

/// The deliveries of a source.
#[derive(Debug, Serialize)]
pub(crate) struct Deliveries {
    pub(crate) source: String,
    pub(crate) area_name: String,
    /// One a period.
    pub(crate) cells: Vec<Option<Cell>>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    benefit: String,
}

/// A choice of a form.
#[derive(Debug, Serialize)]
pub(crate) struct Choice {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) chosen: bool,
}

/// Everything that is said of a jobcentre.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) region_name: String,
    pub(crate) municipalities: Vec<(String, String)>,
    pub(crate) benefits: Vec<Choice>,
    pub(crate) scorecard: Option<Scorecard>,
    pub(crate) targets: Vec<Target>,
    pub(crate) local_targets: Vec<LocalTarget>,
    pub(crate) hardest: Vec<Hardest>,
    pub(crate) funnels: Vec<Funnel>,
    pub(crate) nowcasts: Vec<Nowcast>,
    pub(crate) settling: Vec<Settling>,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) periods: Vec<String>,
    pub(crate) deliveries: Vec<Deliveries>,
}

/// The page: what everybody sees, and what its reader does.
#[derive(Serialize)]
struct WithEconomy {
    #[serde(flatten)]
    overview: Overview,
    economy: Option<Economy>,
}

/// `/jobcentre/AREA`
pub(crate) async fn page(Path(area): Path<String>, page: Page) -> Response {
    let body = async {
        let overview = overview(&page, &area, "sans-serif").await?;
        let economy = economy(&page, page.places.jobcentre(page.language, &area)?).await?;
        page.html("jobcentre.html", &WithEconomy { overview, economy }).await
    };
    page.answer(body.await).await
}

/// `/jobcentre/AREA/report.pdf` and `.docx`
pub(crate) async fn report(Path((area, file)): Path<(String, String)>, page: Page) -> Response {
    let body = report_body(&page, &area, &file).await;
    page.answer(body).await
}

async fn report_body(page: &Page, area: &str, file: &str) -> Result<Body, Fault> {
    let is_pdf = match file {
        "report.pdf" => true,
        "report.docx" => false,
        _ => {
            let path = format!("jobcentre/{area}/{file}");
            let what = page.language.with("error-no-page", &[("path", &path)]);
            return Err(Fault::NotFound { what, near: Vec::new() });
        }
    };
    let overview = overview(page, area, report::FONT).await?;
    let (language, manifest) = (page.language, page.view.manifest());
    let made =
        report::Made { epoch: manifest.epoch, as_of: manifest.as_of, committed_at: manifest.committed_at };
    let name = format!("rettidig-{}-{}-epoch{}", overview.code, language.code(), made.epoch);
    written(move || {
        let document = report::Document::of(language, &overview, &made);
        let (content_type, ending, bytes) = if is_pdf {
            ("application/pdf", "pdf", report::pdf(&document))
        } else {
            let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
            (docx, "docx", report::docx(&document))
        };
        let bytes = bytes.map_err(|error| Fault::broken(&error))?;
        Ok(Body { content_type, name: Some(format!("{name}.{ending}")), bytes })
    })
    .await
}

/// What is said of a jobcentre, charts in a font that their reader has.
async fn overview(page: &Page, area: &str, font: &'static str) -> Result<Overview, Fault> {
    page.knows(&["benefit"])?;
    let language = page.language;
    let jobcentre: &Jobcentre = page.places.jobcentre(language, area)?;
    let catalogue = page.indicators().await?;
    let benefit_names = page.benefits().await?;
    let unit = |code: &str| catalogue.0.get(code).map_or_else(String::new, |about| about.unit.clone());
    let benefit_name = |code: &str| benefit_names.get(code).cloned().unwrap_or_else(|| code.to_owned());
    let as_of = page.view.manifest().as_of.to_string();
    let of_area = [("area", area)];
    let of_members = [("area", area), ("as_of", as_of.as_str())];

    let shown: Vec<Shown> = page.rows("scorecard_benefits", BENEFITS, &of_area).await?;
    let benefit = match (page.asked("benefit"), shown.first()) {
        (Some(asked), _) if shown.iter().any(|row| row.benefit == asked) => Some(asked.to_owned()),
        (Some(asked), _) => {
            return Err(page.refuse("benefit", asked, shown.iter().map(|row| row.benefit.as_str())));
        }
        (None, first) => first.map(|row| row.benefit.clone()),
    };
    let scorecard = match &benefit {
        Some(benefit) => {
            let rows: Vec<Map<String, Value>> =
                page.rows("scorecard_shown", SCORECARD, &[("area", area), ("benefit", benefit)]).await?;
            rows.first().map(|row| scorecard(row, benefit_name(benefit)))
        }
        None => None,
    };
    let benefits = shown.into_iter().map(|row| Choice {
        name: benefit_name(&row.benefit),
        chosen: Some(&row.benefit) == benefit.as_ref(),
        code: row.benefit,
    });

    let points: Vec<Point> = page.rows("targets_shown", TARGETS, &of_area).await?;
    let mut by_target: BTreeMap<(String, String), Vec<Point>> = BTreeMap::new();
    for point in points {
        by_target.entry((point.indicator.clone(), point.benefit.clone())).or_default().push(point);
    }
    let mut targets = Vec::new();
    for (number, ((indicator, _), points)) in by_target.into_iter().enumerate() {
        let Some(newest) = points.iter().rev().find(|point| point.newest).or(points.last()).cloned() else {
            continue;
        };
        let name = catalogue.name(language, &indicator);
        let said = said(language, &newest, &unit(&indicator));
        let id = format!("target{number}");
        let chart = chart(language, &id, &name, &said, &points);
        let svg = drawn(move || chart.svg(language, font).map_err(|error| Fault::broken(&error))).await?;
        let term = catalogue.term(language, &indicator).map(str::to_owned);
        targets.push(Target { id, name, term, unit: unit(&indicator), newest, points, said, svg });
    }
    let mut local_targets: Vec<LocalTarget> =
        page.rows("local_targets_shown", LOCAL_TARGETS, &of_members).await?;
    for row in &mut local_targets {
        row.name = catalogue.name(language, &row.indicator);
        row.unit = unit(&row.indicator);
        row.area_name = page.places.name(language, &row.area_kind, &row.area);
        row.benefit_name = benefit_name(&row.benefit);
    }
    let mut hardest: Vec<Hardest> = page.rows("hardest_shown", HARDEST, &of_area).await?;
    for row in &mut hardest {
        (row.name, row.unit) = (catalogue.name(language, &row.indicator), unit(&row.indicator));
        (row.hardest_name, row.hardest_unit) = (catalogue.name(language, &row.hardest), unit(&row.hardest));
        row.benefit_name = benefit_name(&row.benefit);
    }
    let mut funnels: Vec<Funnel> = page.rows("funnels_shown", FUNNELS, &of_area).await?;
    for row in &mut funnels {
        (row.name, row.benefit_name) = (catalogue.name(language, &row.indicator), benefit_name(&row.benefit));
    }
    let mut nowcasts: Vec<Nowcast> = page.rows("nowcasts_shown", NOWCASTS, &of_area).await?;
    for row in &mut nowcasts {
        (row.name, row.unit) = (catalogue.name(language, &row.indicator), unit(&row.indicator));
        row.benefit_name = benefit_name(&row.benefit);
    }
    let mut settling: Vec<Settling> = page.rows("settling", SETTLING, &of_area).await?;
    for row in &mut settling {
        row.name = catalogue.name(language, &row.indicator);
    }
    let mut revisions: Vec<Revision> = page.rows("revisions_shown", REVISIONS, &of_area).await?;
    for row in &mut revisions {
        (row.name, row.unit) = (catalogue.name(language, &row.indicator), unit(&row.indicator));
    }
    let delivered: Vec<Delivered> = page.rows("completeness_shown", COMPLETENESS, &of_members).await?;
    let (periods, deliveries) =
        deliveries(delivered, |code| page.places.name(language, "municipality", code));
    Ok(Overview {
        code: jobcentre.code.clone(),
        name: jobcentre.name.clone(),
        cluster: jobcentre.cluster.clone(),
        region_name: jobcentre.region_name.clone(),
        municipalities: jobcentre.municipalities.clone(),
        benefits: benefits.collect(),
        scorecard,
        targets,
        local_targets,
        hardest,
        funnels,
        nowcasts,
        settling,
        revisions,
        periods,
        deliveries,
    })
}

fn scorecard(row: &Map<String, Value>, benefit_name: String) -> Scorecard {
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let measure = |key: &'static str, unit, level_unit, development_unit| {
        let float = |column: &str| row.get(&format!("{key}_{column}")).and_then(Value::as_f64);
        let integer = |column: &str| row.get(&format!("{key}_{column}")).and_then(Value::as_i64);
        Measure {
            key,
            unit,
            level_unit,
            development_unit,
            own: float("own"),
            last_year: float("last_year"),
            development: float("development"),
            arrow: integer("arrow"),
            // Numbers of persons are compared by their share of the labour force.
            level: if key == "more" { float("share") } else { float("own") },
            cluster_mean: float("cluster_mean"),
            cluster_best: float("cluster_best"),
            cluster_worst: float("cluster_worst"),
            tercile: integer("tercile"),
            status: text(&format!("{key}_status")),
        }
    };
    Scorecard {
        benefit: text("benefit"),
        benefit_name,
        period: text("period"),
        measures: vec![
            measure("more", "full-time persons", "percent of the labour force", "percent"),
            measure("faster", "weeks", "weeks", "percent"),
            measure("staying", "percent", "percent", "percentage points"),
            measure("potential", "mio. kr.", "mio. kr.", "percent"),
        ],
    }
}

/// Where a target stands, in a sentence: what the state rests on.
fn said(language: Language, newest: &Point, unit: &str) -> String {
    let figure = |value: Option<f64>| {
        value.map_or_else(|| language.word("status", "missing"), |value| language.rounded(value, unit))
    };
    let limit = if newest.direction == "down" { newest.upper_limit } else { newest.lower_limit };
    let values = [
        ("period", language.period(&newest.period)),
        ("level", figure(newest.level)),
        ("expected", figure(newest.expected_level)),
        ("limit", figure(limit)),
        ("target", language.figure(newest.target_value, unit)),
        ("date", language.date(newest.target_date)),
        ("chance", newest.p_value.map_or_else(String::new, |p| language.probability(p))),
        ("reach", newest.probability.map_or_else(|| language.text("not-known"), |p| language.probability(p))),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    language.with(&format!("said-{}", newest.state), &values)
}

/// Periods from the zero point to the target, monthly ones also those to come.
fn chart(language: Language, id: &str, name: &str, said: &str, points: &[Point]) -> Lines {
    let mut labels: Vec<String> = points.iter().map(|point| language.period(&point.period)).collect();
    let mut path: Vec<Option<f64>> = points.iter().map(|point| Some(point.expected)).collect();
    if let Some(last) = points.last() {
        for (period, expected) in to_come(last) {
            labels.push(language.period(&period));
            path.push(Some(expected));
        }
    }
    let along = |of: fn(&Point) -> Option<f64>| {
        let mut values: Vec<Option<f64>> = points.iter().map(of).collect();
        values.resize(labels.len(), None);
        values
    };
    let lines = vec![
        Line { name: language.text("chart-value"), values: along(|point| point.value), stroke: Stroke::Own },
        Line { name: language.text("chart-path"), values: path, stroke: Stroke::Path },
        Line {
            name: language.text("chart-level"),
            values: along(|point| point.level),
            stroke: Stroke::Beside,
        },
    ];
    let mut band: Vec<Option<(f64, f64)>> =
        points.iter().map(|point| point.lower_limit.zip(point.upper_limit)).collect();
    band.resize(labels.len(), None);
    Lines {
        id: id.to_owned(),
        title: language.with("chart-target-title", &[("name", name)]),
        description: said.to_owned(),
        labels,
        lines,
        band: Some(Band { name: language.text("chart-limits"), limits: band }),
    }
}

/// Months after the newest one up to the target, with the value on the straight path at their ends.
fn to_come(last: &Point) -> Vec<(String, f64)> {
    let Ok(mut first) = NaiveDate::parse_from_str(&format!("{}-01", last.period), "%Y-%m-%d") else {
        return Vec::new();
    };
    let days = |from: NaiveDate, to: NaiveDate| (to - from).num_days();
    let whole = days(last.zero_date, last.target_date);
    let mut months = Vec::new();
    while whole > 0 && months.len() < 60 {
        let (Some(next), Some(after)) =
            (first.checked_add_months(Months::new(1)), first.checked_add_months(Months::new(2)))
        else {
            break;
        };
        let Some(end) = after.pred_opt().filter(|end| *end <= last.target_date) else { break };
        #[allow(clippy::cast_precision_loss)]
        let share = days(last.zero_date, end) as f64 / whole as f64;
        months.push((
            format!("{}-{:02}", next.year(), next.month()),
            last.zero_value + (last.target_value - last.zero_value) * share,
        ));
        first = next;
    }
    months
}

/// One row a source and municipality, one cell a period.
fn deliveries(rows: Vec<Delivered>, name: impl Fn(&str) -> String) -> (Vec<String>, Vec<Deliveries>) {
    let mut periods: Vec<String> = rows.iter().map(|row| row.period.clone()).collect();
    periods.sort();
    periods.dedup();
    let mut found: BTreeMap<(String, String), Vec<Option<Cell>>> = BTreeMap::new();
    for row in rows {
        let cells = found.entry((row.source, row.area)).or_insert_with(|| vec![None; periods.len()]);
        if let Ok(place) = periods.binary_search(&row.period) {
            cells[place] = Some(Cell { expected: row.expected, received: row.received, state: row.state });
        }
    }
    let rows = found
        .into_iter()
        .map(|((source, area), cells)| Deliveries { source, area_name: name(&area), cells })
        .collect();
    (periods, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> Point {
        let text = r#"{"indicator":"i","benefit":"total","period":"2026-10","zero_value":200.0,"zero_date":"2025-12-31","target_value":100.0,
            "target_date":"2026-12-31","direction":"down","value":150.0,"status":"final","expected":116.7,"newest":true,"state":"drifting",
            "level":151.4,"expected_level":120.0,"upper_limit":130.0,"lower_limit":110.0,"p_value":1e-9}"#;
        serde_json::from_str(text).expect("a row")
    }

    #[test]
    fn the_path_goes_on_to_the_target_and_ends_there() {
        let months = to_come(&point());
        assert_eq!(
            months.iter().map(|(period, _)| period.as_str()).collect::<Vec<_>>(),
            ["2026-11", "2026-12"]
        );
        assert!((months[1].1 - 100.0).abs() < 1e-9, "{months:?}");
        assert!((months[0].1 - (200.0 - 100.0 * 334.0 / 365.0)).abs() < 1e-9, "{months:?}");
        assert_eq!(to_come(&Point { period: "2026".to_owned(), ..point() }), Vec::new());
    }

    #[test]
    fn a_sentence_names_what_the_state_rests_on() {
        let said = said(Language::Danish, &point(), "persons");
        for part in ["151", "120", "130", "oktober 2026", "< 0,001"] {
            assert!(said.contains(part), "{part:?} is missing in {said:?}");
        }
    }
}
