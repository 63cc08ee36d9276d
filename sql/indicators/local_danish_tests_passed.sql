-- layer: P
-- grain: area_kind, area, month
-- unit: tests
-- why: how many Danish tests were passed; hidden if those who are counted or those who are not are few
-- danish: Beståede danskprøver
-- source: contracts, measure tests_passed
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: up
-- lag_today: up to about a year (Det Nationale Integrationsbarometer)
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    tests_passed * 1000000 AS value_micro,
    tests_passed AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN persons_passed > 0 AND persons_failed > 0 THEN least(persons_passed, persons_failed) ELSE greatest(persons_passed, persons_failed) END AS persons
FROM cells
WHERE tests > 0
