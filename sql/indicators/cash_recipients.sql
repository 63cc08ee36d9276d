-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: persons
-- why: how many persons received cash benefit at least one day of the month
-- danish: Kontanthjælpsmodtagere, antal personer
-- source: Jobindsats.dk / STAR, table y60a02
-- feeds: jobindsats-y60a02
-- areas: sum
-- adds_over: none
-- better: down
WITH cells AS (
    SELECT * FROM official_cells
)
SELECT
    area_kind,
    area,
    'cash' AS benefit,
    period,
    period_end,
    breakdown,
    breakdown_value,
    known_at,
    value_micro,
    value_micro / 1000000 AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    value_micro / 1000000 AS persons,
    status
FROM cells
WHERE publisher = 'jobindsats' AND table_id = 'y60a02' AND measure = 'cash_recipients'
