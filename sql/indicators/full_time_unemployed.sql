-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: full-time persons
-- why: how many full-time persons are unemployed, by benefit: the first figure a jobcentre is steered by
-- danish: Fuldtidsledige (bruttoledighed)
-- source: Jobindsats.dk / STAR, table y25i01
-- feeds: jobindsats-y25i01
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
WHERE publisher = 'jobindsats' AND table_id = 'y25i01' AND measure = 'full_time_unemployed'
