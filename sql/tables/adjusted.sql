-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: adjusted and underlying in the unit of the indicator; jump as variance over mean; growth and spread as logarithms a month
-- why: values without their season, how much they jump from month to month, and how they have moved for a year
-- danish: Sæsonkorrigerede tal
-- source: ours (pipeline/docs/decisions, drift)
WITH comparisons AS (
    SELECT * FROM comparisons
    WHERE breakdown = 'total' AND unit <> 'percent' AND value > 0 AND period LIKE '____-__' AND period NOT LIKE '%Q%'
),
targets AS (
    SELECT area_kind, area, indicator, benefit FROM ref_targets GROUP BY area_kind, area, indicator, benefit
),
seasons AS (
    SELECT * FROM seasons
),
figures AS (
    SELECT
        comparisons.area_kind,
        comparisons.area,
        comparisons.indicator,
        comparisons.benefit,
        comparisons.period,
        comparisons.status,
        CAST(substr(comparisons.period, 1, 4) AS BIGINT) * 12 + CAST(substr(comparisons.period, 6, 2) AS BIGINT) - 1 AS "month",
        -- the newest month is taken as what it is expected to settle at
        coalesce(comparisons.settled_estimate, comparisons.value) AS judged
    FROM comparisons
    INNER JOIN targets
        ON comparisons.area_kind = targets.area_kind
        AND comparisons.area = targets.area
        AND comparisons.indicator = targets.indicator
        AND comparisons.benefit = targets.benefit
),
in_season AS (
    SELECT figures.*, coalesce(seasons.factor, 1.0) AS factor, judged / coalesce(seasons.factor, 1.0) AS adjusted
    FROM figures
    LEFT JOIN seasons
        ON figures.area_kind = seasons.area_kind
        AND figures.area = seasons.area
        AND figures.indicator = seasons.indicator
        AND figures.benefit = seasons.benefit
        AND figures."month" % 12 + 1 = seasons.month_of_year
),
steps AS (
    SELECT
        *,
        lag(adjusted, 1) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS one,
        lag(adjusted, 2) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS two,
        "month" - lag("month", 1) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS since_one,
        "month" - lag("month", 2) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS since_two
    FROM in_season
),
changes AS (
    SELECT
        *,
        -- what three months show of chance: a second difference has six times the variance of one value
        CASE
            WHEN since_two = 2 AND status = 'final'
                THEN (adjusted - 2.0 * one + two) * (adjusted - 2.0 * one + two) / 6.0 / ((adjusted + one + two) / 3.0)
        END AS jump,
        CASE WHEN since_one = 1 THEN CAST(round(ln(adjusted / one) * 1000000000.0) AS BIGINT) END AS change
    FROM steps
),
-- in whole billionths, squares in whole 10^-12
years AS (
    SELECT
        *,
        sum(change) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS year_change,
        sum((change / 1000) * (change / 1000)) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS year_square,
        count(change) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS changes,
        -- in whole millionths
        sum(CAST(round(adjusted * 1000000.0) AS BIGINT)) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS year_sum,
        sum(CAST(round(adjusted * 1000000.0) AS BIGINT) * "month") OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS year_moment,
        count(*) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS months
    FROM changes
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    period,
    factor,
    adjusted,
    jump,
    -- the straight line through a year, at its end: 143 is the sum of the squares of -5.5, -4.5, ... 5.5
    CASE
        WHEN months = 12
            THEN (year_sum / 12.0 + 5.5 / 143.0 * (year_moment - CAST("month" AS DOUBLE) * year_sum + 5.5 * year_sum)) / 1000000.0
    END AS underlying,
    CASE WHEN changes = 12 THEN year_change / 12.0 / 1000000000.0 END AS growth,
    CASE
        WHEN changes = 12
            THEN sqrt(greatest(year_square / 1000000000000.0 - year_change / 1000000000.0 * year_change / 1000000000.0 / 12.0, 0.0) / 11.0)
    END AS spread
FROM years
