-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: how many begin and how many end; started counts where the first day was, ended where the last day was
-- danish: Påbegyndte og afsluttede forløb
-- source: contracts, measures started and ended
WITH flows AS (
    SELECT first_municipality AS municipality, benefit, first_month AS "month", age_group, sex, origin, 1 AS started, 0 AS ended
    FROM spell_groups
    UNION ALL
    SELECT last_municipality AS municipality, benefit, last_month AS "month", age_group, sex, origin, 0 AS started, 1 AS ended
    FROM spell_groups WHERE is_ended
)
SELECT municipality, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, sum(started) AS started, sum(ended) AS ended
FROM flows GROUP BY municipality, benefit, "month"
UNION ALL
SELECT municipality, benefit, "month", 'age' AS breakdown, age_group AS breakdown_value, sum(started) AS started, sum(ended) AS ended
FROM flows GROUP BY municipality, benefit, "month", age_group
UNION ALL
SELECT municipality, benefit, "month", 'sex' AS breakdown, sex AS breakdown_value, sum(started) AS started, sum(ended) AS ended
FROM flows GROUP BY municipality, benefit, "month", sex
UNION ALL
SELECT municipality, benefit, "month", 'origin' AS breakdown, origin AS breakdown_value, sum(started) AS started, sum(ended) AS ended
FROM flows GROUP BY municipality, benefit, "month", origin
