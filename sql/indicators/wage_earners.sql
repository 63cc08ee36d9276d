-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: persons
-- why: the demand side: how many have a job, by sector
-- danish: Lønmodtagere (sæsonkorrigeret)
-- source: Danmarks Statistik, table LBESK104 (CC BY 4.0)
-- feeds: dst-LBESK104
-- areas: sum
-- adds_over: none
-- better: up
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
WHERE publisher = 'dst' AND table_id = 'LBESK104' AND measure = 'wage_earners'
