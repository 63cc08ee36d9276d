-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: value in the unit of the indicator
-- why: the figures of persons that a local target is judged by: whole months that have had time to fill
-- danish: Egne tal, som resultatmål bedømmes efter
-- source: ours (pipeline/docs/decisions, drift)
WITH own AS (
    SELECT * FROM local_indicators
),
targets AS (
    SELECT area_kind, area, indicator, benefit FROM ref_local_targets GROUP BY area_kind, area, indicator, benefit
),
as_of_date AS (
    SELECT * FROM as_of
)
SELECT
    own.area_kind,
    own.area,
    own.indicator,
    own.benefit,
    own.period,
    own.breakdown,
    own.value,
    own.denominator,
    own.unit,
    own.status,
    -- nothing is known of how much a month still grows: it is awaited instead
    CAST(NULL AS DOUBLE) AS settled_estimate
FROM own
INNER JOIN targets
    ON own.area_kind = targets.area_kind
    AND own.area = targets.area
    AND own.indicator = targets.indicator
    AND own.benefit = targets.benefit
CROSS JOIN as_of_date
WHERE
    own.breakdown = 'total'
    AND own.status <> 'missing'
    -- Of counts and percentages it is known what chance does to them, of means and money it is not.
    AND own.unit IN ('persons', 'full-time persons', 'spells', 'interviews', 'tests', 'percent')
    -- A spell that ended in a month is known to have ended when the month after it is over, with its payments.
    AND period_last(own.period) < as_of_date.as_of_day - 61
