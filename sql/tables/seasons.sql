-- layer: T
-- grain: area_kind, area, indicator, benefit, month_of_year
-- unit: factor as a ratio, years as a count
-- why: how much a month of the year usually lies above or below its year, from an area's own history
-- danish: Sæsonudsving
-- source: ours; ratio to the centred mean of twelve months
WITH comparisons AS (
    SELECT *, period_month(period) AS "month" FROM comparisons
    WHERE
        breakdown = 'total'
        AND status = 'final'
        AND period_month(period) IS NOT NULL
        AND CASE WHEN unit = 'percent' THEN value >= 0.0 AND denominator > 0 ELSE value > 0.0 END
),
targets AS (
    SELECT area_kind, area, indicator, benefit FROM ref_targets GROUP BY area_kind, area, indicator, benefit
),
figures AS (
    SELECT
        comparisons.area_kind,
        comparisons.area,
        comparisons.indicator,
        comparisons.benefit,
        comparisons."month",
        -- in whole millionths: sums of floats would depend on the order of rows
        CAST(round(comparisons.value * 1000000.0) AS BIGINT) AS micro
    FROM comparisons
    INNER JOIN targets
        ON comparisons.area_kind = targets.area_kind
        AND comparisons.area = targets.area
        AND comparisons.indicator = targets.indicator
        AND comparisons.benefit = targets.benefit
),
-- The mean of the twelve months around: half a year before, half a year after, the two ends counted half.
centred AS (
    SELECT
        *,
        sum(micro) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 6 PRECEDING AND 5 FOLLOWING
        ) AS earlier_year,
        sum(micro) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 5 PRECEDING AND 6 FOLLOWING
        ) AS later_year,
        count(*) OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 6 PRECEDING AND 6 FOLLOWING
        ) AS months
    FROM figures
),
months AS (
    SELECT
        area_kind,
        area,
        indicator,
        benefit,
        "month" % 12 + 1 AS month_of_year,
        count(*) AS years,
        sum(CAST(round(24.0 * micro / (earlier_year + later_year) * 1000000.0) AS BIGINT)) / count(*) AS micro
    FROM centred
    WHERE months = 13 AND earlier_year + later_year > 0
    GROUP BY area_kind, area, indicator, benefit, "month" % 12 + 1
),
-- Two years of each month at least, and the twelve factors have the mean one.
whole AS (
    SELECT
        *,
        sum(micro) OVER (PARTITION BY area_kind, area, indicator, benefit) AS year_micro,
        count(*) OVER (PARTITION BY area_kind, area, indicator, benefit) AS months
    FROM months
    WHERE years >= 2 AND micro > 0
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    month_of_year,
    12.0 * micro / year_micro AS factor,
    years
FROM whole
WHERE months = 12
