-- layer: L
-- grain: person, rank, school
-- unit: months since January 1970
-- why: Danish tests under the language school that they were taken at, and once more under all schools together
-- danish: Danskprøver efter sprogcenter
-- source: ours
-- local: person
WITH tests AS (
    SELECT * FROM taken_tests
),
schools AS (
    SELECT person, "rank", round_month, passed, school FROM tests
    UNION ALL
    SELECT person, "rank", round_month, passed, 'total' AS school FROM tests
)
SELECT
    *,
    row_number() OVER (PARTITION BY person, school, round_month ORDER BY "rank") = 1 AS is_first,
    row_number() OVER (PARTITION BY person, school, round_month, passed ORDER BY "rank") = 1 AS is_first_of_kind
FROM schools
