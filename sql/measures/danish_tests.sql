-- layer: A
-- grain: municipality, month
-- unit: tests
-- why: how many Danish tests were taken and passed
-- danish: Beståede danskprøver
-- source: contracts, measures tests and tests_passed
WITH tests AS (
    SELECT * FROM taken_tests
)
SELECT municipality, "month", count(*) AS tests, sum(CASE WHEN passed THEN 1 ELSE 0 END) AS tests_passed
FROM tests
GROUP BY municipality, "month"
