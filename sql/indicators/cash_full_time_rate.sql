-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: percent
-- why: cash benefit compared between areas of different size
-- danish: Kontanthjælp, fuldtidspersoner i pct. af arbejdsstyrken
-- source: Jobindsats.dk / STAR, table y60a02
-- feeds: jobindsats-y60a02
-- areas: none
-- adds_over: none
-- counts: cash_full_time_persons
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
    CAST(NULL AS BIGINT) AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CAST(NULL AS BIGINT) AS persons,
    status
FROM cells
-- A rate does not add up: only areas that are one municipality, or the country.
WHERE publisher = 'jobindsats' AND table_id = 'y60a02' AND measure = 'cash_full_time_rate_labour_force' AND members_expected = 1
