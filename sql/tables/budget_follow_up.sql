-- layer: T
-- grain: area_kind, area, service, period
-- unit: øre; activity in the unit of the service
-- why: what each service was budgeted at for the clients there really were, what it cost, and which part of the difference is activity and which is price
-- danish: Budgetopfølgning (enhedspris gange aktivitet)
-- source: ours; price elements of Copenhagen's model; sql/reference services.csv, unit_prices.csv, budgets.csv
WITH local_values AS (
    SELECT * FROM local_indicators WHERE breakdown = 'total'
),
services AS (
    SELECT * FROM ref_services
),
budgets AS (
    SELECT * FROM ref_budgets
),
prices AS (
    SELECT
        *,
        CAST(CAST(valid_from AS INT) AS BIGINT) AS first_day,
        CAST(CAST(valid_to AS INT) AS BIGINT) AS last_day
    FROM ref_unit_prices
),
as_of_date AS (
    SELECT * FROM as_of
),
shown AS (
    SELECT min(period) AS first_period FROM local_values
),
ranks AS (
    SELECT * FROM (VALUES (0, 'final'), (1, 'provisional'), (2, 'incomplete'), (3, 'hidden'), (4, 'missing')) AS ranks ("rank", status)
),
-- The months that are over of each budget whose January is still shown: without it the year would not be whole.
months AS (
    SELECT
        budgets.*,
        services.indicator,
        services.indicator_benefit,
        services.counted,
        services.activity_unit,
        services.client_benefits,
        numbers.month_of_year,
        (budgets."year" - 1970) * 12 + numbers.month_of_year - 1 AS "month"
    FROM budgets
    INNER JOIN services ON budgets.service = services.service
    CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) AS numbers (month_of_year)
    CROSS JOIN as_of_date
    CROSS JOIN shown
    WHERE
        month_text((budgets."year" - 1970) * 12) >= shown.first_period
        AND month_last((budgets."year" - 1970) * 12 + numbers.month_of_year - 1) <= as_of_date.as_of_day
),
-- A benefit without a row is a benefit that nobody was on; without any row nothing is known.
clients AS (
    SELECT
        months.area_kind,
        months.area,
        months.service,
        months."month",
        CASE WHEN count(*) = count(local_values.numerator) THEN sum(local_values.numerator) END AS covered_days,
        max(ranks."rank") AS "rank"
    FROM months
    INNER JOIN local_values
        ON months.area_kind = local_values.area_kind
        AND months.area = local_values.area
        AND month_text(months."month") = local_values.period
        AND strpos(' ' || months.client_benefits || ' ', ' ' || local_values.benefit || ' ') > 0
    INNER JOIN ranks ON local_values.status = ranks.status
    WHERE local_values.indicator = 'local_full_time_persons'
    GROUP BY months.area_kind, months.area, months.service, months."month"
),
delivered AS (
    SELECT
        months.*,
        month_last(months."month") - month_first(months."month") + 1 AS days,
        clients.covered_days,
        coalesce(clients."rank", 4) AS client_rank,
        CASE months.counted
            WHEN 'value' THEN CAST(round(local_values.value * 1000.0) AS BIGINT)
            ELSE local_values.numerator * 1000
        END AS actual_milli,
        -- a rate of nobody has no value, but what it counts is known to be none
        CASE
            WHEN local_values.status = 'missing' AND months.counted = 'numerator' AND local_values.numerator IS NOT NULL THEN 0
            ELSE coalesce(ranks."rank", 4)
        END AS activity_rank,
        prices.price_oere AS actual_price_oere
    FROM months
    LEFT JOIN clients
        ON months.area_kind = clients.area_kind
        AND months.area = clients.area
        AND months.service = clients.service
        AND months."month" = clients."month"
    LEFT JOIN local_values
        ON months.indicator = local_values.indicator
        AND months.area_kind = local_values.area_kind
        AND months.area = local_values.area
        AND months.indicator_benefit = local_values.benefit
        AND month_text(months."month") = local_values.period
    LEFT JOIN ranks ON local_values.status = ranks.status
    LEFT JOIN prices
        ON months.area_kind = prices.area_kind
        AND months.area = prices.area
        AND months.service = prices.service
        AND prices.first_day <= month_last(months."month")
        AND (prices.last_day IS NULL OR prices.last_day >= month_last(months."month"))
),
-- Activity in thousandths of its unit, rounded half up once; a fixed number a month does not follow the clients.
activities AS (
    SELECT
        *,
        coalesce(activity_per_1000_clients * base_clients, activity_per_month * 1000) AS base_milli,
        CASE
            WHEN activity_per_1000_clients IS NULL THEN activity_per_month * 1000
            ELSE (2 * activity_per_1000_clients * covered_days + days) / (2 * days)
        END AS budget_milli,
        CASE
            WHEN actual_price_oere IS NULL THEN 4
            WHEN activity_per_1000_clients IS NULL THEN activity_rank
            ELSE greatest(client_rank, activity_rank)
        END AS "rank"
    FROM delivered
),
-- Each amount is rounded to an øre once, so both differences add up to the whole one exactly.
amounts AS (
    SELECT
        *,
        (base_milli * price_oere + 500) / 1000 AS base_budget_oere,
        (budget_milli * price_oere + 500) / 1000 AS budget_oere,
        (actual_milli * price_oere + 500) / 1000 AS actual_at_budget_price_oere,
        (actual_milli * actual_price_oere + 500) / 1000 AS actual_oere
    FROM activities
),
with_total AS (
    SELECT
        area_kind, area, service, contract_unit, "year", month_of_year, "month", activity_unit, base_milli, budget_milli, actual_milli,
        price_oere, actual_price_oere, base_budget_oere, budget_oere, actual_at_budget_price_oere, actual_oere, "rank"
    FROM amounts
    UNION ALL
    SELECT
        area_kind,
        area,
        'total' AS service,
        'total' AS contract_unit,
        "year",
        month_of_year,
        "month",
        CAST(NULL AS VARCHAR) AS activity_unit,
        CAST(NULL AS BIGINT) AS base_milli,
        CAST(NULL AS BIGINT) AS budget_milli,
        CAST(NULL AS BIGINT) AS actual_milli,
        CAST(NULL AS BIGINT) AS price_oere,
        CAST(NULL AS BIGINT) AS actual_price_oere,
        sum(base_budget_oere) AS base_budget_oere,
        CASE WHEN count(*) = count(budget_oere) THEN sum(budget_oere) END AS budget_oere,
        CASE WHEN count(*) = count(actual_at_budget_price_oere) THEN sum(actual_at_budget_price_oere) END AS actual_at_budget_price_oere,
        CASE WHEN count(*) = count(actual_oere) THEN sum(actual_oere) END AS actual_oere,
        max("rank") AS "rank"
    FROM amounts
    GROUP BY area_kind, area, "year", month_of_year, "month"
),
-- To date: only while every month since January is known.
to_date AS (
    SELECT
        *,
        count(*) OVER from_january = month_of_year AS is_whole,
        max("rank") OVER from_january AS rank_to_date,
        count(budget_oere) OVER from_january AS budget_months,
        count(actual_oere) OVER from_january AS actual_months,
        sum(budget_oere) OVER from_january AS budget_sum_oere,
        sum(actual_at_budget_price_oere) OVER from_january AS actual_at_budget_price_sum_oere,
        sum(actual_oere) OVER from_january AS actual_sum_oere
    FROM with_total
    WINDOW from_january AS (PARTITION BY area_kind, area, service, "year" ORDER BY "month" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
SELECT
    to_date.area_kind,
    to_date.area,
    to_date.service,
    month_text(to_date."month") AS period,
    to_date.contract_unit,
    to_date.activity_unit,
    CAST(to_date.base_milli AS DOUBLE) / 1000.0 AS base_activity,
    CAST(to_date.budget_milli AS DOUBLE) / 1000.0 AS budget_activity,
    CAST(to_date.actual_milli AS DOUBLE) / 1000.0 AS actual_activity,
    to_date.price_oere AS budget_price_oere,
    to_date.actual_price_oere,
    to_date.base_budget_oere,
    to_date.budget_oere,
    to_date.actual_oere,
    to_date.actual_at_budget_price_oere - to_date.budget_oere AS activity_variance_oere,
    to_date.actual_oere - to_date.actual_at_budget_price_oere AS price_variance_oere,
    ranks.status,
    CASE WHEN is_whole AND budget_months = month_of_year THEN budget_sum_oere END AS budget_to_date_oere,
    CASE WHEN is_whole AND actual_months = month_of_year THEN actual_sum_oere END AS actual_to_date_oere,
    CASE WHEN is_whole AND budget_months = month_of_year AND actual_months = month_of_year THEN actual_at_budget_price_sum_oere - budget_sum_oere END
        AS activity_variance_to_date_oere,
    CASE WHEN is_whole AND actual_months = month_of_year THEN actual_sum_oere - actual_at_budget_price_sum_oere END AS price_variance_to_date_oere,
    CASE WHEN is_whole THEN ranks_to_date.status ELSE 'missing' END AS status_to_date
FROM to_date
INNER JOIN ranks ON to_date."rank" = ranks."rank"
INNER JOIN ranks AS ranks_to_date ON to_date.rank_to_date = ranks_to_date."rank"
