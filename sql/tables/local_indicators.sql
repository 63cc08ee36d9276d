-- layer: T
-- grain: period, indicator, area_kind, area, benefit, breakdown, breakdown_value
-- unit: value in the unit of the column unit
-- why: the newest value of every indicator made from payments, cases and wages, for the newest 48 months
-- danish: Indikatorer på egne data
-- source: ours
WITH disclosed AS (
    SELECT * FROM local_disclosed
),
completeness AS (
    SELECT * FROM completeness
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
as_of_date AS (
    SELECT * FROM evaluation
),
sources AS (
    SELECT * FROM ref_sources
),
areas AS (
    SELECT * FROM ref_areas
),
-- Deliveries of payments and cases; wages that are to come are no reason to doubt who is on a benefit.
arrivals AS (
    SELECT area AS municipality, period, greatest(expected, 1) AS expected, state
    FROM completeness
    WHERE source NOT IN (SELECT source FROM sources) AND source NOT LIKE 'income-%'
),
members AS (
    SELECT arrivals.*, 'municipality' AS area_kind, arrivals.municipality AS area FROM arrivals
    UNION ALL
    SELECT arrivals.*, 'country' AS area_kind, '0000' AS area FROM arrivals
    UNION ALL
    SELECT
        arrivals.*,
        kinds.area_kind,
        CASE kinds.area_kind WHEN 'jobcentre' THEN areas.jobcentre WHEN 'cluster' THEN areas.cluster ELSE areas.region END AS area
    FROM arrivals
    INNER JOIN areas ON arrivals.municipality = areas.municipality
    CROSS JOIN (VALUES ('jobcentre'), ('cluster'), ('region')) AS kinds (area_kind)
    WHERE
        areas.valid_from <= CAST(arrivals.period || '-28' AS DATE)
        AND (areas.valid_to IS NULL OR areas.valid_to >= CAST(arrivals.period || '-28' AS DATE))
),
-- An area lacks something if its short deliveries are more than a fiftieth of what it expects.
short AS (
    SELECT area_kind, area, period
    FROM members
    GROUP BY area_kind, area, period
    HAVING sum(CASE WHEN state = 'incomplete' THEN expected ELSE 0 END) * 50 > sum(expected)
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
        WHEN disclosed.status = 'final' AND short.area IS NOT NULL THEN 'incomplete'
        WHEN disclosed.status = 'final' AND disclosed.period_end >= as_of_date.as_of - INTERVAL '31 days' THEN 'provisional'
        ELSE disclosed.status
    END AS status,
    disclosed.known_at,
    disclosed.epoch
FROM disclosed
INNER JOIN catalogue ON disclosed.indicator = catalogue.indicator
CROSS JOIN as_of_date
LEFT JOIN short
    ON disclosed.area_kind = short.area_kind AND disclosed.area = short.area AND disclosed.period = short.period
