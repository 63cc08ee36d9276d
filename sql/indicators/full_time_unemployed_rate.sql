-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: percent
-- why: unemployment compared between areas of different size
-- danish: Ledige i pct. af arbejdsstyrken
-- source: Jobindsats.dk / STAR, table y25i01
-- feeds: jobindsats-y25i01
-- areas: none
-- adds_over: none
-- counts: full_time_unemployed
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
    CAST(NULL AS BIGINT) AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CAST(NULL AS BIGINT) AS persons,
    status
FROM cells
-- A rate does not add up: only areas that are one municipality, or the country.
WHERE publisher = 'jobindsats' AND table_id = 'y25i01' AND measure = 'full_time_unemployed_rate' AND members_expected = 1
