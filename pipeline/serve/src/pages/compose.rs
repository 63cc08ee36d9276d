//! A selection put together by its reader: a measure, areas, periods, a cut. As table, chart and file, and an address that says it all.
//!
//! The query string is the whole state of the page. What is not in it is chosen here and then stands in the address that is offered; what
//! is in it and does not exist is refused with what was expected. The rows are those of the published table, unchanged; an address that
//! names an earlier epoch shows official figures as that epoch published them.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::download::{About, Form};
use super::indicators::Indicators;
use super::jobcentre::Choice;
use super::templates::encoded;
use super::{Body, Fault, Page, drawn, rows, written};
use crate::charts::{Bar, Bars, Line, Lines, Stroke};

/// Rows of a selection; a larger one is refused with a hint.
const ROWS_MAX: usize = 50_000;

/// Rows that the page shows; a file has them all.
const SHOWN_MAX: usize = 300;

/// Lines that can be told apart.
const LINES_MAX: usize = 8;

/// Bars that a chart draws.
const BARS_MAX: usize = 40;

/// Periods before the newest one that are chosen if none are.
const PERIODS: usize = 24;

const NAMES: [&str; 8] = ["indicator", "kind", "benefit", "breakdown", "area", "from", "to", "epoch"];

#[derive(Debug, Deserialize)]
struct Available {
    indicator: String,
    #[serde(rename = "source_table")]
    table: String,
}

#[derive(Debug, Deserialize)]
struct Cut {
    area_kind: String,
    benefit: String,
    breakdown: String,
}

#[derive(Debug, Deserialize)]
struct Period {
    period: String,
}

#[derive(Debug, Deserialize)]
struct Area {
    area: String,
}

/// A row of the selection, as the page shows it.
#[derive(Debug, Deserialize, Serialize)]
struct Row {
    area: String,
    #[serde(default)]
    name: String,
    period: String,
    breakdown_value: String,
    value: Option<f64>,
    numerator: Option<i64>,
    denominator: Option<i64>,
    unit: String,
    status: String,
    known_at: String,
}

/// What is selected, every choice made.
struct Selection {
    table: &'static str,
    indicator: String,
    kind: String,
    benefit: String,
    breakdown: String,
    /// None are all.
    areas: Vec<String>,
    from: String,
    to: String,
    /// The epoch whose figures are shown.
    epoch: u64,
    choices: Choices,
}

struct Choices {
    indicators: Vec<Available>,
    kinds: Vec<String>,
    benefits: Vec<String>,
    breakdowns: Vec<String>,
    periods: Vec<String>,
    areas: Vec<String>,
}

#[derive(Serialize)]
struct Compose {
    official: Vec<Choice>,
    local: Vec<Choice>,
    kinds: Vec<Choice>,
    benefits: Vec<Choice>,
    breakdowns: Vec<Choice>,
    areas: Vec<Choice>,
    from: Vec<Choice>,
    to: Vec<Choice>,
    indicator: String,
    kind: String,
    name: String,
    term: Option<String>,
    why: String,
    source: String,
    better: String,
    table: &'static str,
    benefit_name: String,
    breakdown: String,
    rows: Vec<Row>,
    rows_all: usize,
    counts: Vec<(String, usize)>,
    svg: Option<String>,
    no_chart: Option<String>,
    query: String,
    /// The epoch that the address names, if it is another one.
    other_epoch: Option<String>,
    /// Whether the figures are those of that epoch.
    is_shown: bool,
    /// The same selection of the newest epoch.
    query_newest: String,
}

/// `/compose`
pub(crate) async fn page(page: Page) -> Response {
    let body = body(&page).await;
    page.answer(body).await
}

/// `/compose.csv` and the other forms: all rows of the selection, as they are in the published table.
pub(crate) async fn file(page: Page, form: Form) -> Response {
    let body = file_body(&page, form).await;
    page.answer(body).await
}

async fn file_body(page: &Page, form: Form) -> Result<Body, Fault> {
    let selection = selection(page).await?;
    let rows = selected(page, &selection).await?;
    let manifest = page.view.manifest();
    let facts = [
        ("table", selection.table.to_owned()),
        ("epoch", selection.epoch.to_string()),
        ("selection", query(&selection, selection.epoch)),
        ("read_at_epoch", manifest.epoch.to_string()),
        ("as_of", manifest.as_of.to_string()),
        ("committed_at", manifest.committed_at.to_rfc3339()),
    ];
    let about = About {
        name: format!("rettidig-{}-epoch{}", selection.indicator.replace('_', "-"), selection.epoch),
        facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    written(move || form.file(&rows, &about)).await
}

/// Takes what is asked for if it exists, else refuses it; without a question the first of the preferred ones.
fn taken(page: &Page, name: &str, choices: &[String], preferred: &str) -> Result<String, Fault> {
    match page.asked(name) {
        Some(asked) if choices.iter().any(|choice| choice == asked) => Ok(asked.to_owned()),
        Some(asked) => Err(page.refuse(name, asked, choices.iter().map(String::as_str))),
        None => choices
            .iter()
            .find(|choice| *choice == preferred)
            .or(choices.first())
            .cloned()
            .ok_or_else(|| Fault::Refused(page.language.text("error-no-figures"))),
    }
}

fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.collect();
    values.sort();
    values.dedup();
    values
}

async fn selection(page: &Page) -> Result<Selection, Fault> {
    page.knows(&NAMES)?;
    if let Some((name, _)) = page.query.iter().enumerate().find_map(|(place, (name, _))| {
        let again = page.query[..place].iter().any(|(earlier, _)| earlier == name);
        (again && name != "area").then_some((name, place))
    }) {
        return Err(Fault::Refused(page.language.with("error-twice", &[("name", name)])));
    }
    let sql = "SELECT DISTINCT indicator, 'indicators' AS source_table FROM indicators UNION ALL \
               SELECT DISTINCT indicator, 'local_indicators' AS source_table FROM local_indicators ORDER BY source_table, indicator";
    let indicators: Vec<Available> = page.rows("compose_indicators", sql, &[]).await?;
    let codes: Vec<String> = indicators.iter().map(|found| found.indicator.clone()).collect();
    let indicator = taken(page, "indicator", &codes, "full_time_unemployed")?;
    let is_local =
        indicators.iter().any(|found| found.indicator == indicator && found.table == "local_indicators");
    let table = if is_local { "local_indicators" } else { "indicators" };

    let sql =
        format!("SELECT DISTINCT area_kind, benefit, breakdown FROM {table} WHERE indicator = $indicator");
    let cuts: Vec<Cut> = page.rows("compose_cuts", &sql, &[("indicator", &indicator)]).await?;
    let kinds = distinct(cuts.iter().map(|cut| cut.area_kind.clone()));
    let kind = taken(page, "kind", &kinds, "region")?;
    let of_kind = || cuts.iter().filter(|cut| cut.area_kind == kind);
    let benefits = distinct(of_kind().map(|cut| cut.benefit.clone()));
    let benefit = taken(page, "benefit", &benefits, "total")?;
    let breakdowns =
        distinct(of_kind().filter(|cut| cut.benefit == benefit).map(|cut| cut.breakdown.clone()));
    let breakdown = taken(page, "breakdown", &breakdowns, "total")?;

    let cell = [
        ("indicator", indicator.as_str()),
        ("kind", kind.as_str()),
        ("benefit", benefit.as_str()),
        ("breakdown", breakdown.as_str()),
    ];
    let filter =
        "indicator = $indicator AND area_kind = $kind AND benefit = $benefit AND breakdown = $breakdown";
    let sql = format!("SELECT DISTINCT period FROM {table} WHERE {filter} ORDER BY period");
    let periods: Vec<Period> = page.rows("compose_periods", &sql, &cell).await?;
    let periods: Vec<String> = periods.into_iter().map(|row| row.period).collect();
    let newest = periods.last().cloned().unwrap_or_default();
    let earlier = periods.get(periods.len().saturating_sub(PERIODS + 1)).cloned().unwrap_or_default();
    let from = taken(page, "from", &periods, &earlier)?;
    let to = taken(page, "to", &periods, &newest)?;
    if from > to {
        let values = [("from", from.as_str()), ("to", to.as_str())];
        return Err(Fault::Refused(page.language.with("error-from-to", &values)));
    }
    let sql = format!("SELECT DISTINCT area FROM {table} WHERE {filter} ORDER BY area");
    let areas: Vec<Area> = page.rows("compose_areas", &sql, &cell).await?;
    let known: Vec<String> = areas.into_iter().map(|row| row.area).collect();
    let areas =
        distinct(page.query.iter().filter(|(name, _)| name == "area").map(|(_, value)| value.clone()));
    if let Some(unknown) = areas.iter().find(|area| !known.contains(area)) {
        return Err(page.refuse("area", unknown, known.iter().map(String::as_str)));
    }
    let newest = page.view.manifest().epoch;
    let epoch = match page.asked("epoch").map(|asked| (asked, asked.parse::<u64>())) {
        None => newest,
        Some((_, Ok(epoch))) if (1..=newest).contains(&epoch) => epoch,
        Some((asked, _)) => return Err(page.refuse("epoch", asked, [format!("1–{newest}").as_str()])),
    };
    // Of figures of persons only the newest are kept; they are told by `rettidig@INSTANT` to who may ask it.
    let epoch = if is_local { newest } else { epoch };
    let choices = Choices { indicators, kinds, benefits, breakdowns, periods, areas: known };
    Ok(Selection { table, indicator, kind, benefit, breakdown, areas, from, to, epoch, choices })
}

/// `indicators` as an epoch published it, of one indicator: the newest vintages of then, the newest month provisional as in
/// `sql/tables/indicators.sql`.
fn indicators_at(epoch: u64) -> String {
    format!(
        "(WITH told AS (
            SELECT *, row_number() OVER (
                PARTITION BY indicator, area_kind, area, benefit, period, breakdown, breakdown_value ORDER BY known_at DESC
            ) AS place
            FROM vintages WHERE indicator = $indicator AND epoch <= {epoch}
        )
        SELECT
            told.indicator, told.area_kind, told.area, told.benefit, told.period, told.breakdown, told.breakdown_value, told.value,
            told.numerator, told.denominator, catalogue.unit,
            CASE
                WHEN told.status = 'final' AND told.period = (SELECT max(period) FROM told) AND sources.cadence = 'M' THEN 'provisional'
                ELSE told.status
            END AS status,
            told.known_at, told.epoch
        FROM told
        INNER JOIN catalogue ON told.indicator = catalogue.indicator
        LEFT JOIN sources ON catalogue.feeds = sources.source
        WHERE told.place = 1)"
    )
}

/// The rows of the published table.
async fn selected(page: &Page, selection: &Selection) -> Result<RecordBatch, Fault> {
    let names: Vec<String> = (0..selection.areas.len()).map(|place| format!("area{place}")).collect();
    let among = match names.as_slice() {
        [] => String::new(),
        names => format!(
            " AND area IN ({})",
            names.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
        ),
    };
    let table = match selection.epoch == page.view.manifest().epoch {
        true => selection.table.to_owned(),
        false => indicators_at(selection.epoch),
    };
    let sql = format!(
        "SELECT * FROM {table} WHERE indicator = $indicator AND area_kind = $kind AND benefit = $benefit AND breakdown = $breakdown \
         AND period >= $from AND period <= $to{among} ORDER BY area, period, breakdown_value LIMIT {}",
        ROWS_MAX + 1
    );
    let mut values = vec![
        ("indicator", selection.indicator.as_str()),
        ("kind", selection.kind.as_str()),
        ("benefit", selection.benefit.as_str()),
        ("breakdown", selection.breakdown.as_str()),
        ("from", selection.from.as_str()),
        ("to", selection.to.as_str()),
    ];
    values.extend(names.iter().map(String::as_str).zip(selection.areas.iter().map(String::as_str)));
    let rows = page.view.query("compose", &sql, &values).await?;
    if rows.num_rows() > ROWS_MAX {
        let most = page.language.number(50_000.0, 0);
        return Err(Fault::Refused(page.language.with("error-too-many", &[("most", &most)])));
    }
    Ok(rows)
}

/// The whole state as a query string.
fn query(selection: &Selection, epoch: u64) -> String {
    let epoch = epoch.to_string();
    let mut pairs = vec![
        ("indicator", selection.indicator.as_str()),
        ("kind", &selection.kind),
        ("benefit", &selection.benefit),
        ("breakdown", &selection.breakdown),
        ("from", &selection.from),
        ("to", &selection.to),
    ];
    pairs.extend(selection.areas.iter().map(|area| ("area", area.as_str())));
    pairs.push(("epoch", &epoch));
    pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

async fn body(page: &Page) -> Result<Body, Fault> {
    let selection = selection(page).await?;
    let batch = selected(page, &selection).await?;
    let (language, catalogue, benefit_names) =
        (page.language, page.indicators().await?, page.benefits().await?);
    let mut found: Vec<Row> = rows::rows(&batch)?;
    for row in &mut found {
        row.name = page.places.name(language, &selection.kind, &row.area);
    }
    let name = catalogue.name(language, &selection.indicator);
    let chart = chart(page, &selection, &found, &name);
    let (svg, no_chart) = match chart {
        Ok(Chart::Lines(lines)) => (
            Some(
                drawn(move || lines.svg(language, "sans-serif").map_err(|error| Fault::broken(&error)))
                    .await?,
            ),
            None,
        ),
        Ok(Chart::Bars(bars)) => (
            Some(
                drawn(move || bars.svg(language, "sans-serif").map_err(|error| Fault::broken(&error)))
                    .await?,
            ),
            None,
        ),
        Err(key) => (None, Some(language.text(key))),
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in &found {
        *counts.entry(row.status.clone()).or_default() += 1;
    }
    let rows_all = found.len();
    found.truncate(SHOWN_MAX);
    let epoch = page.view.manifest().epoch;
    let about = catalogue.0.get(&selection.indicator);
    let choice = |code: &str, chosen: bool, name: String| Choice { code: code.to_owned(), name, chosen };
    let listed = |codes: &[String], chosen: &str, name: &dyn Fn(&str) -> String| -> Vec<Choice> {
        codes.iter().map(|code| choice(code, code == chosen, name(code))).collect()
    };
    let benefit_name = |code: &str| benefit_names.get(code).cloned().unwrap_or_else(|| code.to_owned());
    let choices = &selection.choices;
    let compose = Compose {
        official: of_table(&selection, &catalogue, page, "indicators"),
        local: of_table(&selection, &catalogue, page, "local_indicators"),
        kinds: listed(&choices.kinds, &selection.kind, &|code| language.word("kinds", code)),
        benefits: listed(&choices.benefits, &selection.benefit, &benefit_name),
        breakdowns: listed(&choices.breakdowns, &selection.breakdown, &|code| {
            language.word("breakdown", code)
        }),
        from: listed(&choices.periods, &selection.from, &|code| language.period(code)),
        to: listed(&choices.periods, &selection.to, &|code| language.period(code)),
        areas: choices
            .areas
            .iter()
            .map(|code| {
                choice(
                    code,
                    selection.areas.contains(code),
                    page.places.name(language, &selection.kind, code),
                )
            })
            .collect(),
        term: catalogue.term(language, &selection.indicator).map(str::to_owned),
        why: about.map(|about| about.why.clone()).unwrap_or_default(),
        source: about.map(|about| about.source.clone()).unwrap_or_default(),
        better: about.map(|about| about.better.clone()).unwrap_or_default(),
        benefit_name: benefit_name(&selection.benefit),
        query: query(&selection, selection.epoch),
        other_epoch: page.asked("epoch").filter(|asked| **asked != epoch.to_string()).map(str::to_owned),
        is_shown: selection.epoch != epoch,
        query_newest: query(&selection, epoch),
        table: selection.table,
        indicator: selection.indicator,
        kind: selection.kind,
        breakdown: selection.breakdown,
        name,
        rows: found,
        rows_all,
        counts: counts.into_iter().collect(),
        svg,
        no_chart,
    };
    page.html("compose.html", &compose).await
}

fn of_table(selection: &Selection, catalogue: &Indicators, page: &Page, table: &str) -> Vec<Choice> {
    let found = selection.choices.indicators.iter().filter(|found| found.table == table);
    let choice = |found: &Available| Choice {
        code: found.indicator.clone(),
        name: catalogue.name(page.language, &found.indicator),
        chosen: found.indicator == selection.indicator,
    };
    found.map(choice).collect()
}

enum Chart {
    Lines(Lines),
    Bars(Bars),
}

/// Lines over the periods while they can be told apart; else bars of the newest period; else the text that says why not.
fn chart(page: &Page, selection: &Selection, rows: &[Row], name: &str) -> Result<Chart, &'static str> {
    let language = page.language;
    let periods: Vec<&str> = {
        let mut periods: Vec<&str> = rows.iter().map(|row| row.period.as_str()).collect();
        periods.sort_unstable();
        periods.dedup();
        periods
    };
    let mut series: Vec<(String, BTreeMap<&str, &Row>)> = Vec::new();
    for row in rows {
        let line = match selection.breakdown.as_str() {
            "total" => row.name.clone(),
            _ => format!("{}: {}", row.name, language.word("cut", &row.breakdown_value)),
        };
        let place = series.iter().position(|(known, _)| *known == line);
        match place {
            Some(place) => {
                series[place].1.insert(&row.period, row);
            }
            None if series.len() > BARS_MAX => return Err("chart-too-many"),
            None => series.push((line, BTreeMap::from([(row.period.as_str(), row)]))),
        }
    }
    let description = language.text("chart-table-below");
    if series.len() <= LINES_MAX && periods.len() > 1 {
        let stroke = if series.len() == 1 { Stroke::Own } else { Stroke::Beside };
        let lines = series.into_iter().map(|(name, points)| Line {
            name,
            values: periods.iter().map(|period| points.get(period).and_then(|row| row.value)).collect(),
            stroke,
        });
        return Ok(Chart::Lines(Lines {
            id: "compose".to_owned(),
            title: name.to_owned(),
            description,
            labels: periods.iter().map(|period| language.period(period)).collect(),
            lines: lines.collect(),
            band: None,
        }));
    }
    let Some(newest) = periods.last().filter(|_| series.len() <= BARS_MAX) else {
        return Err("chart-too-many");
    };
    let bars = series.iter().map(|(name, points)| {
        let row = points.get(newest);
        let text = match row {
            Some(row) => row.value.map_or_else(
                || language.word("status", &row.status),
                |value| language.figure(value, &row.unit),
            ),
            None => language.word("status", "missing"),
        };
        Bar { name: name.clone(), value: row.and_then(|row| row.value), text, own: false }
    });
    let title = format!("{name}, {}", language.period(newest));
    Ok(Chart::Bars(Bars { id: "compose".to_owned(), title, description, bars: bars.collect(), mark: None }))
}
