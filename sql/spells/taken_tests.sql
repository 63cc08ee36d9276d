-- layer: L
-- grain: person, rank
-- unit: months since January 1970
-- why: Danish tests taken by the as-of date, with their test round: January to June, or July to December
-- danish: Aflagte danskprøver
-- source: ours
-- local: person
WITH tests AS (
    SELECT * FROM language_tests
),
as_of_date AS (
    SELECT * FROM as_of
),
taken AS (
    SELECT
        tests.person,
        tests."rank",
        tests.municipality,
        month_of(tests.test_day) AS "month",
        month_of(tests.test_day) / 6 * 6 AS round_month,
        coalesce(tests.school, 'unknown') AS school,
        tests.passed
    FROM tests
    CROSS JOIN as_of_date
    WHERE tests.test_day <= as_of_date.as_of_day
)
SELECT
    *,
    row_number() OVER (PARTITION BY person, municipality, "month" ORDER BY "rank") = 1 AS is_first,
    row_number() OVER (PARTITION BY person, municipality, "month", passed ORDER BY "rank") = 1 AS is_first_of_kind
FROM taken
