-- layer: A
-- grain: area_kind, area, month
-- unit: spells, interviews, tests; persons
-- why: what is steered by without regard to the benefit, by area: the labour reserve, long sickness, interviews, Danish tests
-- danish: Arbejdskraftreserve, lange sygedagpengeforløb, samtaler og danskprøver pr. område og måned
-- source: ours; membership of sql/reference/areas.csv at the month's end
-- derived: yes
WITH sickness AS (
    SELECT * FROM long_sickness
),
reserve AS (
    SELECT * FROM labour_reserve
),
contacts AS (
    SELECT * FROM contacts_held
),
tests AS (
    SELECT * FROM danish_tests
),
areas AS (
    SELECT * FROM month_areas
),
cells AS (
    SELECT
        municipality, "month", long_sickness, 0 AS labour_reserve, 0 AS contacts_due, 0 AS contacts_on_time, 0 AS persons_due,
        0 AS persons_on_time, 0 AS persons_late, 0 AS tests, 0 AS tests_passed, 0 AS persons_tested, 0 AS persons_passed, 0 AS persons_failed
    FROM sickness
    UNION ALL
    SELECT municipality, "month", 0, labour_reserve, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM reserve
    UNION ALL
    SELECT municipality, "month", 0, 0, contacts_due, contacts_on_time, persons, persons_on_time, persons_late, 0, 0, 0, 0, 0 FROM contacts
    UNION ALL
    SELECT municipality, "month", 0, 0, 0, 0, 0, 0, 0, tests, tests_passed, persons, persons_passed, persons_failed FROM tests
)
SELECT
    areas.area_kind,
    areas.area,
    cells."month",
    sum(cells.long_sickness) AS long_sickness,
    sum(cells.labour_reserve) AS labour_reserve,
    sum(cells.contacts_due) AS contacts_due,
    sum(cells.contacts_on_time) AS contacts_on_time,
    sum(cells.persons_due) AS persons_due,
    sum(cells.persons_on_time) AS persons_on_time,
    sum(cells.persons_late) AS persons_late,
    sum(cells.tests) AS tests,
    sum(cells.tests_passed) AS tests_passed,
    sum(cells.persons_tested) AS persons_tested,
    sum(cells.persons_passed) AS persons_passed,
    sum(cells.persons_failed) AS persons_failed
FROM cells
INNER JOIN areas ON cells.municipality = areas.municipality AND cells."month" = areas."month"
GROUP BY areas.area_kind, areas.area, cells."month"
