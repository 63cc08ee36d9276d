-- layer: P
-- grain: area_kind, area, month, breakdown, breakdown_value
-- unit: tests
-- why: how many Danish tests were taken at each language school in a test round
-- danish: Danskprøver pr. sprogcenter og prøvetermin
-- source: ours; the period is the first month of the test round (January to June, July to December)
-- feeds: local-persons
-- areas: none
-- adds_over: breakdown
-- better: none
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
    tests * 1000000 AS value_micro,
    tests AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    persons
FROM cells
