-- layer: T
-- grain: indicator, area_kind, area, benefit, period, breakdown, breakdown_value
-- unit: value in the unit of the column unit
-- why: the newest known value of every indicator
-- danish: Indikatorer
-- source: ours
WITH disclosed AS (
    SELECT * FROM disclosed WHERE known_to IS NULL
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
sources AS (
    SELECT * FROM ref_sources
),
newest AS (
    SELECT indicator, max(period_end) AS period_end FROM disclosed GROUP BY indicator
)
SELECT
    disclosed.indicator,
    disclosed.area_kind,
    disclosed.area,
    disclosed.benefit,
    disclosed.period,
    disclosed.breakdown,
    disclosed.breakdown_value,
    CAST(disclosed.value_micro AS DOUBLE) / 1000000.0 AS value,
    disclosed.numerator,
    disclosed.denominator,
    catalogue.unit,
    CASE
        WHEN disclosed.status = 'final' AND disclosed.period_end = newest.period_end AND sources.cadence = 'M'
            THEN 'provisional'
        ELSE disclosed.status
    END AS status,
    disclosed.known_at,
    disclosed.epoch
FROM disclosed
INNER JOIN catalogue ON disclosed.indicator = catalogue.indicator
INNER JOIN newest ON disclosed.indicator = newest.indicator
LEFT JOIN sources ON catalogue.feeds = sources.source
