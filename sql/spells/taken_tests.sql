-- layer: L
-- grain: person, rank
-- unit: months since January 1970
-- why: Danish tests taken by the as-of date
-- danish: Aflagte danskprøver
-- source: ours
-- local: person
WITH tests AS (
    SELECT * FROM language_tests
),
as_of_date AS (
    SELECT * FROM as_of
)
SELECT tests.person, tests."rank", tests.municipality, month_of(tests.test_day) AS "month", tests.passed
FROM tests
CROSS JOIN as_of_date
WHERE tests.test_day <= as_of_date.as_of_day
