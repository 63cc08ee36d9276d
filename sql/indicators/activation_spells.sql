-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: spells
-- why: which offers are used
-- danish: Aktiveringsforløb efter tilbud
-- source: Jobindsats.dk / STAR, table y60c02
-- feeds: jobindsats-y60c02
-- areas: sum
-- adds_over: breakdown
-- better: none
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
WHERE publisher = 'jobindsats' AND table_id = 'y60c02' AND measure = 'activation_spells'
