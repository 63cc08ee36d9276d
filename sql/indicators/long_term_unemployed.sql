-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: persons
-- why: who was unemployed or activated at least 80 % of the last 12 months
-- danish: Langtidsledige
-- source: Jobindsats.dk / STAR, table y25i09
-- feeds: jobindsats-y25i09
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
WHERE publisher = 'jobindsats' AND table_id = 'y25i09' AND measure = 'long_term_unemployed'
