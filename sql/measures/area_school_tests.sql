-- layer: A
-- grain: area_kind, area, month, breakdown, breakdown_value
-- unit: tests; persons
-- why: Danish tests by language school and test round in the whole country; where a school's participants live does not matter
-- danish: Danskprøver pr. sprogcenter og prøvetermin
-- source: ours; month is the first month of the round
-- derived: yes
WITH tests AS (
    SELECT * FROM school_tests
),
areas AS (
    SELECT area_kind, area, "month" FROM month_areas WHERE area_kind = 'country' GROUP BY area_kind, area, "month"
)
SELECT
    areas.area_kind,
    areas.area,
    tests."month",
    CASE WHEN tests.school = 'total' THEN 'total' ELSE 'school' END AS breakdown,
    tests.school AS breakdown_value,
    tests.tests,
    tests.tests_passed,
    tests.persons,
    tests.persons_passed,
    tests.persons_failed
FROM tests
INNER JOIN areas ON tests."month" = areas."month"
