-- layer: T
-- grain: area_kind, area, year, contract_unit, goal
-- unit: values in the unit of the indicator
-- why: how far each goal of a contract is realised, in all six perspectives; a goal that no figure feeds says so
-- danish: Kontraktopfølgning i seks perspektiver
-- source: seed (six perspectives of Copenhagen's contracts); goals of sql/reference/contract_goals.csv
WITH local_values AS (
    SELECT * FROM local_indicators WHERE breakdown = 'total'
),
follow_up AS (
    SELECT * FROM budget_follow_up WHERE service = 'total'
),
-- Goals of areas that anything is known of.
goals AS (
    SELECT ref_contract_goals.*
    FROM ref_contract_goals
    INNER JOIN (SELECT DISTINCT area_kind, area FROM local_indicators) AS areas
        ON ref_contract_goals.area_kind = areas.area_kind AND ref_contract_goals.area = areas.area
),
as_of_date AS (
    SELECT * FROM as_of
),
-- Beside the indicators one figure of our own: percent above the budget that follows the clients.
figures AS (
    SELECT
        local_values.area_kind, local_values.area, local_values.indicator, local_values.benefit, local_values.period,
        local_values.value, local_values.unit, local_values.status
    FROM local_values
    INNER JOIN (SELECT DISTINCT area_kind, area, indicator, benefit FROM goals) AS steered
        ON local_values.area_kind = steered.area_kind
        AND local_values.area = steered.area
        AND local_values.indicator = steered.indicator
        AND local_values.benefit = steered.benefit
    UNION ALL
    SELECT
        area_kind,
        area,
        'budget_deviation' AS indicator,
        'total' AS benefit,
        period,
        CASE WHEN budget_to_date_oere > 0 THEN (CAST(actual_to_date_oere AS DOUBLE) / budget_to_date_oere - 1.0) * 100.0 END AS value,
        'percent' AS unit,
        status_to_date AS status
    FROM follow_up
),
known AS (
    SELECT figures.*
    FROM figures
    CROSS JOIN as_of_date
    WHERE period_last(figures.period) <= as_of_date.as_of_day
),
-- Of each goal the newest month of its year with a figure that is whole; if there is none, why not.
newest AS (
    SELECT
        goals.area_kind,
        goals.area,
        goals."year",
        goals.contract_unit,
        goals.goal,
        max(CASE WHEN known.status IN ('final', 'provisional') AND known.value IS NOT NULL THEN known.period END) AS period,
        max(CASE known.status WHEN 'hidden' THEN 2 WHEN 'incomplete' THEN 1 ELSE 0 END) AS reason
    FROM goals
    LEFT JOIN known
        ON goals.area_kind = known.area_kind
        AND goals.area = known.area
        AND goals.indicator = known.indicator
        AND goals.benefit = known.benefit
        AND CAST(goals."year" AS VARCHAR) = substr(known.period, 1, 4)
    GROUP BY goals.area_kind, goals.area, goals."year", goals.contract_unit, goals.goal
),
valued AS (
    SELECT
        goals.*,
        newest.period,
        newest.reason,
        known.value,
        known.unit,
        known.status,
        CASE WHEN before.status IN ('final', 'provisional') THEN before.value END AS last_year
    FROM goals
    INNER JOIN newest
        ON goals.area_kind = newest.area_kind
        AND goals.area = newest.area
        AND goals."year" = newest."year"
        AND goals.contract_unit = newest.contract_unit
        AND goals.goal = newest.goal
    LEFT JOIN known
        ON goals.area_kind = known.area_kind
        AND goals.area = known.area
        AND goals.indicator = known.indicator
        AND goals.benefit = known.benefit
        AND newest.period = known.period
    LEFT JOIN known AS before
        ON goals.area_kind = before.area_kind
        AND goals.area = before.area
        AND goals.indicator = before.indicator
        AND goals.benefit = before.benefit
        AND CAST(goals."year" - 1 AS VARCHAR) || substr(newest.period, 5) = before.period
)
SELECT
    area_kind,
    area,
    CAST("year" AS VARCHAR) AS "year",
    contract_unit,
    perspective,
    goal,
    danish,
    indicator,
    benefit,
    unit,
    zero_value,
    target_value,
    direction,
    period,
    value,
    status,
    last_year,
    (value - zero_value) / (target_value - zero_value) AS realised_ratio,
    CASE
        WHEN indicator IS NULL THEN 'not_fed'
        WHEN value IS NULL AND reason = 2 THEN 'hidden'
        WHEN value IS NULL AND reason = 1 THEN 'incomplete'
        WHEN value IS NULL THEN 'missing'
        WHEN (direction = 'down' AND value <= target_value) OR (direction = 'up' AND value >= target_value) THEN 'reached'
        WHEN (direction = 'down' AND value < zero_value) OR (direction = 'up' AND value > zero_value) THEN 'on_the_way'
        ELSE 'no_progress'
    END AS state,
    note
FROM valued
