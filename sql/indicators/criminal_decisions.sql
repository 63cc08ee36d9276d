-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: decisions
-- why: a weak proxy for sub-goal 6.4 of the integration ministry, kept to feed the theory of change
-- danish: Strafferetlige afgørelser
-- source: Danmarks Statistik, table STRAF42 (CC BY 4.0)
-- feeds: dst-STRAF42
-- areas: sum
-- adds_over: none
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
WHERE publisher = 'dst' AND table_id = 'STRAF42' AND measure = 'criminal_decisions'
