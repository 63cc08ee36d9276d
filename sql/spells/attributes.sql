-- layer: L
-- grain: person, month
-- unit: whole years; codes
-- why: age, sex and origin of a person at the end of each month with a covered day
-- danish: Alder, køn og herkomst
-- source: ours (pipeline/docs/decisions, person-level measures, 6 and 7)
-- local: person
WITH person_rows AS (
    SELECT * FROM person_rows
),
origins AS (
    SELECT * FROM origins
),
covered_months AS (
    SELECT person, "month" FROM covered_months GROUP BY person, "month"
),
-- The latest row that says it, found by its rank in front of the value.
persons AS (
    SELECT
        person,
        max("rank" * 100000 + birth_month + 50000) % 100000 - 50000 AS birth_month,
        max("rank" * 10 + sex) % 10 AS sex
    FROM person_rows
    GROUP BY person
),
origin_of AS (
    SELECT
        covered_months.person,
        covered_months."month",
        -- latest beginning, then latest row: 2^24 rows of a person are more than there can be
        max(((origins.from_day + 100000) * 16777216 + origins."rank") * 4 + origins.origin) % 4 AS origin
    FROM covered_months
    INNER JOIN origins
        ON covered_months.person = origins.person AND origins.from_day <= month_last(covered_months."month")
    GROUP BY covered_months.person, covered_months."month"
),
ages AS (
    SELECT
        covered_months.person,
        covered_months."month",
        (covered_months."month" - persons.birth_month) / 12 AS age,
        persons.sex
    FROM covered_months
    LEFT JOIN persons ON covered_months.person = persons.person
)
SELECT
    ages.person,
    ages."month",
    ages.age,
    CASE
        WHEN ages.age IS NULL THEN 'unknown'
        WHEN ages.age < 25 THEN '16-24'
        WHEN ages.age < 30 THEN '25-29'
        WHEN ages.age < 50 THEN '30-49'
        WHEN ages.age < 60 THEN '50-59'
        ELSE '60+'
    END AS age_group,
    CASE ages.sex WHEN 1 THEN 'female' WHEN 2 THEN 'male' ELSE 'unknown' END AS sex,
    CASE origin_of.origin WHEN 1 THEN 'danish' WHEN 2 THEN 'western' WHEN 3 THEN 'non_western' ELSE 'unknown' END AS origin
FROM ages
LEFT JOIN origin_of ON ages.person = origin_of.person AND ages."month" = origin_of."month"
