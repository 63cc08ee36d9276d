-- layer: A
-- grain: municipality, month
-- unit: tests; persons
-- why: how many Danish tests were taken and passed, and how many persons are behind each
-- danish: Beståede danskprøver
-- source: contracts, measures tests and tests_passed
WITH tests AS (
    SELECT * FROM taken_tests
)
SELECT
    municipality,
    "month",
    count(*) AS tests,
    sum(CASE WHEN passed THEN 1 ELSE 0 END) AS tests_passed,
    sum(CASE WHEN is_first THEN 1 ELSE 0 END) AS persons,
    sum(CASE WHEN is_first_of_kind AND passed THEN 1 ELSE 0 END) AS persons_passed,
    sum(CASE WHEN is_first_of_kind AND NOT passed THEN 1 ELSE 0 END) AS persons_failed
FROM tests
GROUP BY municipality, "month"
