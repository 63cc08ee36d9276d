-- layer: T
-- grain: indicator, area_kind, area, benefit, period, breakdown, breakdown_value
-- unit: values in the unit of the indicator, change_1y in percent (points for percentages), estimates in the unit of the indicator
-- why: each value beside the same month last year, its cluster, and what the newest month is expected to settle at
-- danish: Sammenligning med samme måned sidste år og med klyngen
-- source: ours; clusters of jobcentres as in sql/reference/areas.csv
WITH indicators AS (
    SELECT * FROM indicators
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
settlement AS (
    SELECT * FROM settlement
),
areas AS (
    SELECT jobcentre, "cluster" FROM ref_areas WHERE valid_to IS NULL GROUP BY jobcentre, "cluster"
),
last_year AS (
    SELECT
        indicators.*,
        before.value AS last_year,
        CASE
            WHEN indicators.unit = 'percent' THEN indicators.value - before.value
            WHEN before.value > 0 THEN (indicators.value / before.value - 1.0) * 100.0
        END AS change_1y
    FROM indicators
    LEFT JOIN indicators AS before
        ON indicators.indicator = before.indicator
        AND indicators.area_kind = before.area_kind
        AND indicators.area = before.area
        AND indicators.benefit = before.benefit
        AND indicators.breakdown = before.breakdown
        AND indicators.breakdown_value = before.breakdown_value
        AND CAST(CAST(substr(indicators.period, 1, 4) AS INT) - 1 AS VARCHAR) || substr(indicators.period, 5) = before.period
),
-- Counts of jobcentres of different size are compared by their development, percentages by their level.
compared AS (
    SELECT
        last_year.*,
        areas."cluster",
        catalogue.better,
        CASE WHEN last_year.unit = 'percent' THEN last_year.value ELSE last_year.change_1y END AS compared
    FROM last_year
    INNER JOIN catalogue ON last_year.indicator = catalogue.indicator
    LEFT JOIN areas ON last_year.area_kind = 'jobcentre' AND last_year.area = areas.jobcentre
),
clusters AS (
    SELECT
        indicator, "cluster", benefit, period, breakdown, breakdown_value,
        CASE
            -- in whole millionths: sums of floats would depend on the order of rows
            WHEN unit = 'percent' THEN CAST(sum(CAST(round(value * 1000000.0) AS BIGINT)) AS DOUBLE) / 1000000.0 / count(value)
            ELSE (
                CAST(sum(CASE WHEN change_1y IS NOT NULL THEN CAST(round(value * 1000000.0) AS BIGINT) END) AS DOUBLE)
                / sum(CASE WHEN change_1y IS NOT NULL THEN CAST(round(last_year * 1000000.0) AS BIGINT) END) - 1.0
            ) * 100.0
        END AS cluster_mean,
        CASE WHEN better = 'down' THEN min(compared) WHEN better = 'up' THEN max(compared) END AS cluster_best,
        CASE WHEN better = 'down' THEN max(compared) WHEN better = 'up' THEN min(compared) END AS cluster_worst
    FROM compared
    WHERE "cluster" IS NOT NULL
    GROUP BY indicator, "cluster", benefit, period, breakdown, breakdown_value, unit, better
)
SELECT
    compared.indicator,
    compared.area_kind,
    compared.area,
    compared.benefit,
    compared.period,
    compared.breakdown,
    compared.breakdown_value,
    compared.value,
    compared.unit,
    compared.status,
    compared.last_year,
    compared.change_1y,
    compared."cluster",
    CASE WHEN compared.unit = 'percent' THEN 'value' ELSE 'change_1y' END AS compared_by,
    clusters.cluster_mean,
    clusters.cluster_best,
    clusters.cluster_worst,
    CASE WHEN compared.status = 'provisional' THEN compared.value * settlement.ratio END AS settled_estimate,
    CASE WHEN compared.status = 'provisional' THEN compared.value * settlement.ratio_low END AS settled_low,
    CASE WHEN compared.status = 'provisional' THEN compared.value * settlement.ratio_high END AS settled_high,
    compared.denominator
FROM compared
LEFT JOIN clusters
    ON compared.indicator = clusters.indicator
    AND compared."cluster" = clusters."cluster"
    AND compared.benefit = clusters.benefit
    AND compared.period = clusters.period
    AND compared.breakdown = clusters.breakdown
    AND compared.breakdown_value = clusters.breakdown_value
LEFT JOIN settlement
    ON compared.indicator = settlement.indicator
    AND compared.benefit = settlement.benefit
    AND compared.breakdown = 'total'
