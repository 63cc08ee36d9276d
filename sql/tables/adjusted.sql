-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: adjusted and underlying in the unit of the indicator; jump as a ratio; growth and spread as logarithms a month
-- why: values without their season, how much they jump from month to month, and how they have moved for a year
-- danish: Sæsonkorrigerede tal
-- source: ours (pipeline/docs/decisions, drift)
WITH comparisons AS (
    SELECT *, period_month(period) AS "month" FROM comparisons
    WHERE
        breakdown = 'total'
        AND period_month(period) IS NOT NULL
        AND CASE WHEN unit = 'percent' THEN value >= 0.0 AND denominator > 0 ELSE value > 0.0 END
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
        comparisons."month",
        -- what a percentage is of
        CASE WHEN comparisons.unit = 'percent' THEN comparisons.denominator END AS out_of,
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
    SELECT
        figures.*,
        coalesce(seasons.factor, 1.0) AS factor,
        judged / coalesce(seasons.factor, 1.0) AS adjusted
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
        lag(out_of, 1) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS out_of_one,
        lag(out_of, 2) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS out_of_two,
        "month" - lag("month", 1) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS since_one,
        "month" - lag("month", 2) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY "month") AS since_two
    FROM in_season
),
-- What a second difference of three months spreads by chance alone: four times the middle one's variance and those of the others.
-- A count's variance is its mean, a percentage's p (100 - p) over what it is of.
chances AS (
    SELECT
        *,
        CASE
            WHEN out_of IS NULL THEN 6.0 * (adjusted + one + two) / 3.0
            ELSE (adjusted + one + two) / 3.0 * (100.0 - (adjusted + one + two) / 3.0) * (1.0 / out_of + 4.0 / out_of_one + 1.0 / out_of_two)
        END AS chance
    FROM steps
),
changes AS (
    SELECT
        *,
        CASE
            WHEN since_two = 2 AND status = 'final' AND chance > 0.0
                THEN (adjusted - 2.0 * one + two) * (adjusted - 2.0 * one + two) / chance
        END AS jump,
        CASE
            WHEN since_one = 1 AND adjusted > 0.0 AND one > 0.0
                THEN CAST(round(ln(adjusted / one) * 1000000000.0) AS BIGINT)
        END AS change
    FROM chances
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
        sum(out_of) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW
        ) AS year_out_of,
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
    END AS spread,
    out_of,
    CASE WHEN months = 12 THEN year_out_of / 12.0 END AS year_out_of
FROM years
