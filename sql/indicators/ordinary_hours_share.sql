-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: percent
-- why: ordinary working hours compared between areas of different size
-- danish: Andel kontanthjælpsmodtagere med ordinære løntimer
-- source: Jobindsats.dk / STAR, table y60j01
-- feeds: jobindsats-y60j01
-- areas: none
-- adds_over: none
-- counts: ordinary_hours_persons
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
    CAST(NULL AS BIGINT) AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CAST(NULL AS BIGINT) AS persons,
    status
FROM cells
-- A rate does not add up: only areas that are one municipality, or the country.
WHERE publisher = 'jobindsats' AND table_id = 'y60j01' AND measure = 'ordinary_hours_share' AND members_expected = 1
