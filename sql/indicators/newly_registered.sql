-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: persons
-- why: the inflow: the earliest sign of a change
-- danish: Nytilmeldte ledige
-- source: Jobindsats.dk / STAR, table y25i02
-- feeds: jobindsats-y25i02
-- areas: sum
-- adds_over: benefit
-- better: down
WITH cells AS (
    SELECT * FROM official_cells
)
SELECT
    area_kind,
    area,
    benefit,
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
WHERE publisher = 'jobindsats' AND table_id = 'y25i02' AND measure = 'newly_registered'
