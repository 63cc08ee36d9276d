//! Areas side by side in one indicator: jobcentres of the country, of a region or of a cluster, or regions and clusters themselves.
//!
//! Shares and durations are ranked by their level. Counts of persons are ranked by their development since last year: a large town has
//! more of everything.

use axum::response::Response;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::jobcentre::Choice;
use super::{Body, Fault, Page, drawn};
use crate::charts::{Bar, Bars};

const CHOICES: &str = "SELECT indicator, benefit, period FROM (\
     SELECT indicator, benefit, period FROM indicators WHERE area_kind = $kind AND breakdown = 'total' UNION ALL \
     SELECT indicator, benefit, period FROM local_indicators WHERE area_kind = $kind AND breakdown = 'total') AS cells \
     GROUP BY indicator, benefit, period ORDER BY indicator, benefit, period DESC";

const OFFICIAL: &str = "SELECT area, value, unit, status, last_year, change_1y FROM comparisons WHERE area_kind = $kind \
     AND indicator = $indicator AND benefit = $benefit AND period = $period AND breakdown = 'total'";

/// Figures of persons have no comparison of their own yet; a change needs both years whole.
const LOCAL: &str = "SELECT now.area, now.value, now.unit, now.status, before.value AS last_year, \
     CASE WHEN now.unit = 'percent' THEN now.value - before.value \
     WHEN before.value > 0 THEN (now.value / before.value - 1) * 100 END AS change_1y \
     FROM (SELECT * FROM local_indicators WHERE period = $period AND indicator = $indicator AND area_kind = $kind AND benefit = $benefit \
     AND breakdown = 'total') AS now LEFT JOIN (SELECT area, value FROM local_indicators WHERE period = $last AND indicator = $indicator \
     AND area_kind = $kind AND benefit = $benefit AND breakdown = 'total') AS before ON now.area = before.area";

const KINDS: [&str; 4] = ["jobcentre", "municipality", "cluster", "region"];

/// Bars that are drawn; of more, the first and the last.
const BARS_MAX: usize = 32;

#[derive(Debug, Deserialize)]
struct Available {
    indicator: String,
    benefit: String,
    period: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Row {
    area: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    rank: Option<usize>,
    #[serde(default)]
    own: bool,
    value: Option<f64>,
    unit: String,
    status: String,
    last_year: Option<f64>,
    change_1y: Option<f64>,
}

#[derive(Serialize)]
struct Compare {
    indicators: Vec<Choice>,
    benefits: Vec<Choice>,
    periods: Vec<Choice>,
    kinds: Vec<Choice>,
    withins: Vec<Choice>,
    name: String,
    term: Option<String>,
    danish: String,
    why: String,
    unit: String,
    kind: String,
    period: String,
    benefit_name: String,
    by_level: bool,
    better: String,
    rows: Vec<Row>,
    drawn: usize,
    svg: String,
}

/// `/compare`
pub(crate) async fn page(page: Page) -> Response {
    let body = body(&page).await;
    page.answer(body).await
}

/// Takes what is asked for, or the first choice.
fn taken(page: &Page, name: &str, choices: &[String], preferred: &[&str]) -> Result<String, Fault> {
    match page.asked(name) {
        Some(asked) if choices.iter().any(|choice| choice == asked) => Ok(asked.to_owned()),
        Some(asked) => Err(page.refuse(name, asked, choices.iter().map(String::as_str))),
        None => {
            let preferred = preferred.iter().find(|wanted| choices.iter().any(|choice| choice == *wanted));
            let first = preferred.map(|wanted| (*wanted).to_owned()).or_else(|| choices.first().cloned());
            first.ok_or_else(|| Fault::Refused(page.language.text("error-no-figures")))
        }
    }
}

async fn body(page: &Page) -> Result<Body, Fault> {
    page.knows(&["indicator", "benefit", "period", "kind", "within", "area"])?;
    let language = page.language;
    let kinds: Vec<String> = KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    let kind = taken(page, "kind", &kinds, &["jobcentre"])?;
    let available: Vec<Available> = page.rows("compare_choices", CHOICES, &[("kind", &kind)]).await?;
    let mut codes: Vec<String> = available.iter().map(|cell| cell.indicator.clone()).collect();
    codes.dedup();
    let indicator = taken(page, "indicator", &codes, &["full_time_unemployed"])?;
    let of_indicator = || available.iter().filter(|cell| cell.indicator == indicator);
    let mut benefits: Vec<String> = of_indicator().map(|cell| cell.benefit.clone()).collect();
    benefits.dedup();
    // A benefit or period of another indicator is no fault of the reader's who only chose another one.
    let anywhere =
        |name: &str, of: fn(&Available) -> &str, here: &[String]| -> Result<Option<String>, Fault> {
            let Some(asked) = page.asked(name) else { return Ok(None) };
            if here.iter().any(|cell| cell == asked) {
                Ok(Some(asked.to_owned()))
            } else if available.iter().any(|cell| of(cell) == asked) {
                Ok(None)
            } else {
                Err(page.refuse(name, asked, here.iter().map(String::as_str)))
            }
        };
    let first_benefit = || {
        let total = benefits.iter().find(|benefit| *benefit == "total");
        total.or(benefits.first()).cloned().ok_or_else(|| Fault::Refused(language.text("error-no-figures")))
    };
    let benefit = anywhere("benefit", |cell| &cell.benefit, &benefits)?.map_or_else(first_benefit, Ok)?;
    let periods: Vec<String> =
        of_indicator().filter(|cell| cell.benefit == benefit).map(|cell| cell.period.clone()).collect();
    let period = anywhere("period", |cell| &cell.period, &periods)?
        .or_else(|| periods.first().cloned())
        .ok_or_else(|| Fault::Refused(language.text("error-no-figures")))?;

    let withins = withins(page, &kind);
    let within = taken(page, "within", &withins, &["all"])?;
    let inside = page.places.inside(&kind, &within);
    let last = year_before(&period);
    let (official, local) = (
        indicator.strip_prefix("local_").is_none(),
        [
            ("kind", kind.as_str()),
            ("indicator", indicator.as_str()),
            ("benefit", benefit.as_str()),
            ("period", period.as_str()),
            ("last", last.as_str()),
        ],
    );
    let mut rows: Vec<Row> = if official {
        page.rows("compare", OFFICIAL, &local[..4]).await?
    } else {
        page.rows("compare_local", LOCAL, &local).await?
    };
    rows.retain(|row| inside.as_ref().is_none_or(|inside| inside.contains(&row.area)));
    let unit = rows.first().map(|row| row.unit.clone()).unwrap_or_default();
    let by_level = matches!(unit.as_str(), "percent" | "weeks");
    let catalogue = page.indicators().await?;
    let about = catalogue.0.get(&indicator);
    let better = about.map_or("none", |about| about.better.as_str()).to_owned();
    for row in &mut rows {
        row.name = page.places.name(language, &kind, &row.area);
        row.own = page.asked("area") == Some(row.area.as_str());
    }
    rank(&mut rows, by_level, &better);
    let name = catalogue.name(language, &indicator);
    let bars = bars(page, &rows, by_level, &unit, &name);
    let drawn_bars = bars.bars.len();
    let svg = drawn(move || bars.svg(language, "sans-serif").map_err(|error| Fault::broken(&error))).await?;

    let benefit_names = page.benefits().await?;
    let choice = |code: &String, chosen: &str, name: String| Choice {
        code: code.clone(),
        name,
        chosen: code == chosen,
    };
    let compare = Compare {
        indicators: codes
            .iter()
            .map(|code| choice(code, &indicator, catalogue.name(language, code)))
            .collect(),
        benefits: benefits
            .iter()
            .map(|code| choice(code, &benefit, benefit_names.get(code).unwrap_or(code).clone()))
            .collect(),
        periods: periods.iter().map(|code| choice(code, &period, language.period(code))).collect(),
        kinds: kinds.iter().map(|code| choice(code, &kind, language.word("kinds", code))).collect(),
        withins: withins
            .iter()
            .map(|code| {
                let name = match code.split_once('-') {
                    Some((of, area)) => page.places.name(language, of, area),
                    None => language.text("country"),
                };
                choice(code, &within, name)
            })
            .collect(),
        term: catalogue.term(language, &indicator).map(str::to_owned),
        danish: about.map(|about| about.danish.clone()).unwrap_or_default(),
        why: about.map(|about| about.why.clone()).unwrap_or_default(),
        benefit_name: benefit_names.get(&benefit).unwrap_or(&benefit).clone(),
        name,
        unit,
        kind,
        period,
        by_level,
        better,
        rows,
        drawn: drawn_bars,
        svg,
    };
    page.html("compare.html", &compare).await
}

/// `all`, and clusters and regions that areas of a kind lie in.
fn withins(page: &Page, kind: &str) -> Vec<String> {
    let mut withins = vec!["all".to_owned()];
    if matches!(kind, "jobcentre" | "municipality") {
        for of in ["region", "cluster"] {
            withins.extend(
                page.places.codes(of).unwrap_or_default().into_iter().map(|code| format!("{of}-{code}")),
            );
        }
    }
    withins
}

/// The same period of the year before.
fn year_before(period: &str) -> String {
    let (year, rest) = period.split_at_checked(4).unwrap_or((period, ""));
    let before = year.parse().ok().and_then(|year: i32| NaiveDate::from_ymd_opt(year - 1, 1, 1));
    before.map_or_else(String::new, |before| format!("{}{rest}", before.format("%Y")))
}

/// Best first, by level or development; those without a figure last, by name.
fn rank(rows: &mut [Row], by_level: bool, better: &str) {
    let key = |row: &Row| if by_level { row.value } else { row.change_1y.filter(|_| row.value.is_some()) };
    let sign = if better == "up" { -1.0 } else { 1.0 };
    rows.sort_by(|one, other| match (key(one), key(other)) {
        (Some(a), Some(b)) => (a * sign).total_cmp(&(b * sign)).then_with(|| one.name.cmp(&other.name)),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => one.name.cmp(&other.name),
    });
    for (place, row) in rows.iter_mut().enumerate() {
        row.rank = key(row).map(|_| place + 1);
    }
}

fn bars(page: &Page, rows: &[Row], by_level: bool, unit: &str, name: &str) -> Bars {
    let language = page.language;
    let bar = |row: &Row| {
        let value = if by_level { row.value } else { row.change_1y };
        let text = match value {
            Some(value) if by_level => language.figure(value, unit),
            Some(value) => format!("{} %", language.change(value, 1)),
            None if row.value.is_none() => language.word("status", &row.status),
            None => language.text("no-last-year"),
        };
        Bar { name: row.name.clone(), value, text, own: row.own }
    };
    let half = BARS_MAX / 2;
    let shown: Vec<Bar> = if rows.len() > BARS_MAX {
        // Those without a figure stand behind the ranked ones and are not among the last of them.
        let ranked: Vec<&Row> = rows.iter().filter(|row| row.rank.is_some()).collect();
        let last = ranked.len().saturating_sub(half).max(half.min(ranked.len()));
        ranked.iter().take(half).chain(&ranked[last..]).map(|row| bar(row)).collect()
    } else {
        rows.iter().map(bar).collect()
    };
    let key = if by_level { "compare-chart-level" } else { "compare-chart-change" };
    let title = language.with(key, &[("name", name)]);
    Bars {
        id: "compare".to_owned(),
        description: language.text("chart-table-below"),
        title,
        bars: shown,
        mark: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(area: &str, value: Option<f64>, change: Option<f64>) -> Row {
        Row {
            area: area.to_owned(),
            name: area.to_owned(),
            rank: None,
            own: false,
            value,
            unit: String::new(),
            status: String::new(),
            last_year: None,
            change_1y: change,
        }
    }

    #[test]
    fn the_best_come_first_and_who_has_no_figure_has_no_rank() {
        let order = |rows: &[Row]| rows.iter().map(|row| (row.area.clone(), row.rank)).collect::<Vec<_>>();
        let mut rows =
            vec![row("a", Some(5.0), Some(1.0)), row("b", None, None), row("c", Some(9.0), Some(-3.0))];
        rank(&mut rows, true, "up");
        assert_eq!(order(&rows), [("c".into(), Some(1)), ("a".into(), Some(2)), ("b".into(), None)]);
        rank(&mut rows, true, "down");
        assert_eq!(order(&rows), [("a".into(), Some(1)), ("c".into(), Some(2)), ("b".into(), None)]);
        rank(&mut rows, false, "down");
        assert_eq!(order(&rows), [("c".into(), Some(1)), ("a".into(), Some(2)), ("b".into(), None)]);
    }

    #[test]
    fn the_year_before_is_the_same_period() {
        assert_eq!(year_before("2026-07"), "2025-07");
        assert_eq!(year_before("2026-Q2"), "2025-Q2");
        assert_eq!(year_before("2026"), "2025");
        assert_eq!(year_before("x"), "");
    }
}
