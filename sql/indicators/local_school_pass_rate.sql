-- layer: P
-- grain: area_kind, area, month, breakdown, breakdown_value
-- unit: percent
-- why: the share of the Danish tests that was passed at each language school in a test round; the goal is 70 percent
-- danish: Beståelsesprocent pr. sprogcenter og prøvetermin
-- source: ours; the period is the first month of the test round (January to June, July to December)
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: up
-- lag_today: not found by school; of all schools together up to about a year (Det Nationale Integrationsbarometer)
-- lag_here: seconds after the delivery
-- counts: local_school_tests_passed
WITH cells AS (
    SELECT * FROM area_school_tests
)
SELECT
    area_kind,
    area,
    "month",
    breakdown,
    breakdown_value,
    tests_passed * 100000000 / tests AS value_micro,
    tests_passed AS numerator,
    tests AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
