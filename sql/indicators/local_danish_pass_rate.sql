-- layer: P
-- grain: area_kind, area, month
-- unit: percent
-- why: the share of the Danish tests that was passed; the goal is 70 percent
-- danish: Beståelsesprocent ved danskprøver
-- source: contracts, measures tests and tests_passed
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: up
-- lag_today: up to about a year (Det Nationale Integrationsbarometer)
-- lag_here: seconds after the delivery
-- counts: local_danish_tests_passed
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    tests_passed * 100000000 / tests AS value_micro,
    tests_passed AS numerator,
    tests AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE tests > 0
