-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: persons
-- why: the step out of cash benefit by ordinary working hours
-- danish: Kontanthjælpsmodtagere med ordinære løntimer
-- source: Jobindsats.dk / STAR, table y60j01
-- feeds: jobindsats-y60j01
-- areas: sum
-- adds_over: none
-- better: up
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
WHERE publisher = 'jobindsats' AND table_id = 'y60j01' AND measure = 'ordinary_hours_persons'
