-- layer: T
-- grain: period, indicator, area_kind, area, benefit
-- unit: value in the unit of the column unit
-- why: the newest value of every indicator made from payments, cases and wages, for the newest 25 months
-- danish: Indikatorer på egne data
-- source: ours
WITH disclosed AS (
    SELECT * FROM local_disclosed
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
as_of_date AS (
    SELECT * FROM evaluation
)
SELECT
    disclosed.indicator,
    disclosed.area_kind,
    disclosed.area,
    disclosed.benefit,
    disclosed.period,
    CAST(disclosed.value_micro AS DOUBLE) / 1000000.0 AS value,
    disclosed.numerator,
    disclosed.denominator,
    catalogue.unit,
    CASE
        WHEN disclosed.status = 'final' AND disclosed.period_end >= as_of_date.as_of - INTERVAL '31 days' THEN 'provisional'
        ELSE disclosed.status
    END AS status,
    disclosed.known_at,
    disclosed.epoch
FROM disclosed
INNER JOIN catalogue ON disclosed.indicator = catalogue.indicator
CROSS JOIN as_of_date
