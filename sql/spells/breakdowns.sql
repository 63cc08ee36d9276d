-- layer: L
-- grain: person, month, breakdown
-- unit: codes
-- why: what a person counts under in a month: once in the total, once by age, sex and origin
-- danish: Opdelinger
-- source: ours
-- local: person
WITH attributes AS (
    SELECT * FROM attributes
)
SELECT person, "month", 'total' AS breakdown, 'total' AS breakdown_value FROM attributes
UNION ALL
SELECT person, "month", 'age' AS breakdown, age_group AS breakdown_value FROM attributes
UNION ALL
SELECT person, "month", 'sex' AS breakdown, sex AS breakdown_value FROM attributes
UNION ALL
SELECT person, "month", 'origin' AS breakdown, origin AS breakdown_value FROM attributes
