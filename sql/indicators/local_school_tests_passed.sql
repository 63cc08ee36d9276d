-- layer: P
-- grain: area_kind, area, month, breakdown, breakdown_value
-- unit: tests
-- why: how many Danish tests were passed at each language school in a test round; hidden if those who are counted or those who are not are few
-- danish: Beståede danskprøver pr. sprogcenter og prøvetermin
-- source: ours; the period is the first month of the test round (January to June, July to December)
-- feeds: local-persons
-- areas: none
-- adds_over: breakdown
-- better: up
-- lag_today: not found by school; of all schools together up to about a year (Det Nationale Integrationsbarometer)
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_school_tests
)
SELECT
    area_kind,
    area,
    "month",
    breakdown,
    breakdown_value,
    tests_passed * 1000000 AS value_micro,
    tests_passed AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN persons_passed > 0 AND persons_failed > 0 THEN least(persons_passed, persons_failed) ELSE greatest(persons_passed, persons_failed) END AS persons
FROM cells
