//! The economy of a jobcentre, for who may see it: accounts of the year and refund by week, from closed tables.
//!
//! A reader whose token is for none of the area's municipalities is asked nothing and told nothing; of the others that
//! they read is written down, as wherever closed tables are read.

use serde::{Deserialize, Serialize};

use super::places::Jobcentre;
use super::{Fault, Page};

const ACCOUNTS: &str = "SELECT area_kind, area, service, contract_unit, year, months, CAST(budget_oere AS DOUBLE) / 100 AS budget, \
     CAST(actual_oere AS DOUBLE) / 100 AS actual, CAST(activity_variance_oere AS DOUBLE) / 100 AS activity_variance, \
     CAST(price_variance_oere AS DOUBLE) / 100 AS price_variance, CAST(coalesce(account_oere, forecast_oere) AS DOUBLE) / 100 AS forecast, \
     CAST(forecast_low_oere AS DOUBLE) / 100 AS forecast_low, CAST(forecast_high_oere AS DOUBLE) / 100 AS forecast_high, state FROM year_accounts \
     WHERE year = (SELECT max(year) FROM year_accounts) AND ((area_kind = 'jobcentre' AND area = $area) OR (area_kind = 'municipality' AND area IN (\
     SELECT municipality FROM areas WHERE jobcentre = $area AND valid_from <= CAST($as_of AS DATE) \
     AND (valid_to IS NULL OR valid_to >= CAST($as_of AS DATE))))) ORDER BY area_kind, area, service = 'total', service";

const REFUNDS: &str = "SELECT area, week, CAST(expected_oere AS DOUBLE) / 100 AS expected, CAST(booked_oere AS DOUBLE) / 100 AS booked, \
     CAST(difference_oere AS DOUBLE) / 100 AS difference, status, state FROM refund_watch WHERE week IN (\
     SELECT DISTINCT week FROM refund_watch ORDER BY week DESC LIMIT 8) AND area IN (\
     SELECT municipality FROM areas WHERE jobcentre = $area AND valid_from <= CAST($as_of AS DATE) \
     AND (valid_to IS NULL OR valid_to >= CAST($as_of AS DATE))) ORDER BY week DESC, area";

/// The account of a service in the newest year, kr.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Account {
    area_kind: String,
    area: String,
    #[serde(default)]
    area_name: String,
    service: String,
    contract_unit: String,
    year: String,
    months: i64,
    budget: Option<f64>,
    actual: Option<f64>,
    activity_variance: Option<f64>,
    price_variance: Option<f64>,
    /// What the year costs, or did if it is over.
    forecast: Option<f64>,
    forecast_low: Option<f64>,
    forecast_high: Option<f64>,
    state: String,
}

/// The refund of a week, kr.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Refund {
    area: String,
    #[serde(default)]
    area_name: String,
    week: String,
    expected: Option<f64>,
    booked: Option<f64>,
    difference: Option<f64>,
    status: String,
    state: String,
}

/// What a reader sees of the economy.
#[derive(Debug, Serialize)]
pub(crate) struct Economy {
    accounts: Vec<Account>,
    refunds: Vec<Refund>,
}

/// The economy of a jobcentre; `None` if it is not the reader's to see.
pub(crate) async fn economy(page: &Page, jobcentre: &Jobcentre) -> Result<Option<Economy>, Fault> {
    let codes = || jobcentre.municipalities.iter().map(|(code, _)| code).chain([&jobcentre.code]);
    if page.view.reader().areas().is_some_and(|areas| !codes().any(|code| areas.contains(code))) {
        return Ok(None);
    }
    let as_of = page.view.manifest().as_of.to_string();
    let values = [("area", jobcentre.code.as_str()), ("as_of", as_of.as_str())];
    let mut accounts: Vec<Account> = page.rows("accounts_shown", ACCOUNTS, &values).await?;
    for row in &mut accounts {
        row.area_name = page.places.name(page.language, &row.area_kind, &row.area);
    }
    let mut refunds: Vec<Refund> = page.rows("refunds_shown", REFUNDS, &values).await?;
    for row in &mut refunds {
        row.area_name = page.places.name(page.language, "municipality", &row.area);
    }
    Ok(Some(Economy { accounts, refunds }))
}
