-- layer: T
-- grain: area_kind, area, service, year
-- unit: øre
-- why: what the year will cost, with how sure that is, and when it is over what it did cost
-- danish: Årets regnskab og forventet regnskab
-- source: ours; the forecast's method is described in pipeline/docs/decisions/2026-11-27-budgets.md
WITH follow_up AS (
    SELECT
        *,
        CAST(substr(period, 1, 4) AS BIGINT) AS "year",
        CAST(substr(period, 6, 2) AS BIGINT) AS month_of_year,
        status_to_date IN ('final', 'provisional') AS is_known_to_date
    FROM budget_follow_up
),
as_of_date AS (
    SELECT * FROM as_of
),
-- Student's t at 95 %, for two-sided intervals of 90 %, by degrees of freedom.
quantiles AS (
    SELECT *
    FROM (
        VALUES
            (2, 2.920), (3, 2.353), (4, 2.132), (5, 2.015), (6, 1.943), (7, 1.895), (8, 1.860), (9, 1.833), (10, 1.812)
    ) AS quantiles (freedom, quantile)
),
years AS (
    SELECT
        area_kind,
        area,
        service,
        contract_unit,
        "year",
        max(base_budget_oere) * 12 AS base_budget_oere,
        max(CASE WHEN is_known_to_date THEN month_of_year ELSE 0 END) AS months
    FROM follow_up
    GROUP BY area_kind, area, service, contract_unit, "year"
),
-- This year's and last year's cost of a month, in kroner: squares of øre would not fit.
pairs AS (
    SELECT
        years.area_kind,
        years.area,
        years.service,
        years."year",
        last_year.month_of_year,
        last_year.month_of_year <= years.months AS is_over,
        CASE WHEN last_year.month_of_year <= years.months THEN this_year.actual_oere END / 100 AS this_kr,
        last_year.actual_oere / 100 AS last_kr
    FROM years
    INNER JOIN follow_up AS last_year
        ON years.area_kind = last_year.area_kind
        AND years.area = last_year.area
        AND years.service = last_year.service
        AND years."year" - 1 = last_year."year"
    LEFT JOIN follow_up AS this_year
        ON years.area_kind = this_year.area_kind
        AND years.area = this_year.area
        AND years.service = this_year.service
        AND years."year" = this_year."year"
        AND last_year.month_of_year = this_year.month_of_year
    WHERE last_year.status IN ('final', 'provisional')
),
ratios AS (
    SELECT
        area_kind,
        area,
        service,
        "year",
        sum(this_kr) AS this_kr,
        sum(CASE WHEN is_over THEN last_kr END) AS last_kr,
        sum(CASE WHEN is_over THEN 0 ELSE last_kr END) AS rest_kr,
        CAST(sum(this_kr) AS DOUBLE) / sum(CASE WHEN is_over THEN last_kr END) AS ratio
    FROM pairs
    GROUP BY area_kind, area, service, "year"
    HAVING count(*) = 12 AND sum(CASE WHEN is_over THEN last_kr END) > 0
),
-- How far each month lay from last year's times the ratio; whole kroner, so that the sum does not depend on the order of rows.
residuals AS (
    SELECT
        pairs.area_kind,
        pairs.area,
        pairs.service,
        pairs."year",
        CAST(round(CAST(pairs.this_kr AS DOUBLE) - ratios.ratio * pairs.last_kr) AS BIGINT) AS residual_kr
    FROM pairs
    INNER JOIN ratios
        ON pairs.area_kind = ratios.area_kind
        AND pairs.area = ratios.area
        AND pairs.service = ratios.service
        AND pairs."year" = ratios."year"
    WHERE pairs.is_over
),
spreads AS (
    SELECT area_kind, area, service, "year", sum(residual_kr * residual_kr) AS square_kr
    FROM residuals
    GROUP BY area_kind, area, service, "year"
),
newest AS (
    SELECT
        years.*,
        follow_up.budget_to_date_oere,
        follow_up.actual_to_date_oere,
        follow_up.activity_variance_to_date_oere,
        follow_up.price_variance_to_date_oere,
        follow_up.status_to_date
    FROM years
    LEFT JOIN follow_up
        ON years.area_kind = follow_up.area_kind
        AND years.area = follow_up.area
        AND years.service = follow_up.service
        AND years."year" = follow_up."year"
        AND years.months = follow_up.month_of_year
),
-- Months differ from last year's by chance, and so does the ratio that the known ones give: both are in the interval.
forecasts AS (
    SELECT
        newest.*,
        CAST(newest.actual_to_date_oere AS DOUBLE) + ratios.ratio * ratios.rest_kr * 100.0 AS forecast_oere,
        quantiles.quantile * 100.0 * sqrt(
            CAST(spreads.square_kr AS DOUBLE) / (newest.months - 1)
            * ((12 - newest.months) + newest.months * power(CAST(ratios.rest_kr AS DOUBLE) / ratios.last_kr, 2.0))
        ) AS half_width_oere
    FROM newest
    LEFT JOIN ratios
        ON newest.area_kind = ratios.area_kind
        AND newest.area = ratios.area
        AND newest.service = ratios.service
        AND newest."year" = ratios."year"
        AND newest.months < 12
    LEFT JOIN spreads
        ON newest.area_kind = spreads.area_kind
        AND newest.area = spreads.area
        AND newest.service = spreads.service
        AND newest."year" = spreads."year"
    LEFT JOIN quantiles ON newest.months - 1 = quantiles.freedom
),
states AS (
    SELECT
        forecasts.*,
        month_last((forecasts."year" - 1970) * 12 + 11) <= as_of_date.as_of_day AS is_over
    FROM forecasts
    CROSS JOIN as_of_date
)
SELECT
    area_kind,
    area,
    service,
    CAST("year" AS VARCHAR) AS "year",
    contract_unit,
    months,
    base_budget_oere,
    budget_to_date_oere AS budget_oere,
    actual_to_date_oere AS actual_oere,
    activity_variance_to_date_oere AS activity_variance_oere,
    price_variance_to_date_oere AS price_variance_oere,
    CASE WHEN NOT is_over THEN CAST(round(forecast_oere) AS BIGINT) END AS forecast_oere,
    CASE WHEN NOT is_over THEN CAST(round(forecast_oere - half_width_oere) AS BIGINT) END AS forecast_low_oere,
    CASE WHEN NOT is_over THEN CAST(round(forecast_oere + half_width_oere) AS BIGINT) END AS forecast_high_oere,
    CASE WHEN months = 12 THEN actual_to_date_oere END AS account_oere,
    CASE
        WHEN months = 12 THEN status_to_date
        WHEN is_over THEN 'incomplete'
        ELSE 'running'
    END AS state
FROM states
