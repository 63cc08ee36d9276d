-- layer: P
-- grain: area_kind, area, month
-- unit: tests
-- why: how many Danish tests were taken
-- danish: Danskprøver
-- source: contracts, measure tests
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: none
-- lag_today: up to about a year (Det Nationale Integrationsbarometer)
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    tests * 1000000 AS value_micro,
    tests AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    persons_tested AS persons
FROM cells
