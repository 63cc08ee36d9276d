-- layer: A
-- grain: school, month
-- unit: tests; persons
-- why: how many Danish tests were taken and passed at each language school in a test round, all schools together as total
-- danish: Danskprøver pr. sprogcenter og prøvetermin
-- source: ours; month is the first month of the round, school is unknown where the event does not say it
WITH tests AS (
    SELECT * FROM tests_by_school
)
SELECT
    school,
    round_month AS "month",
    count(*) AS tests,
    sum(CASE WHEN passed THEN 1 ELSE 0 END) AS tests_passed,
    sum(CASE WHEN is_first THEN 1 ELSE 0 END) AS persons,
    sum(CASE WHEN is_first_of_kind AND passed THEN 1 ELSE 0 END) AS persons_passed,
    sum(CASE WHEN is_first_of_kind AND NOT passed THEN 1 ELSE 0 END) AS persons_failed
FROM tests
GROUP BY school, round_month
