-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: how many begin and how many end; started counts where the first day was, ended where the last day was
-- danish: Påbegyndte og afsluttede forløb
-- source: contracts, measures started and ended
WITH flows AS (
    SELECT first_municipality AS municipality, benefit, first_month AS "month", breakdown, breakdown_value, 1 AS started, 0 AS ended
    FROM spell_groups
    UNION ALL
    SELECT last_municipality AS municipality, benefit, last_month AS "month", breakdown, breakdown_value, 0 AS started, 1 AS ended
    FROM spell_groups WHERE is_ended
)
SELECT municipality, benefit, "month", breakdown, breakdown_value, sum(started) AS started, sum(ended) AS ended
FROM flows
GROUP BY municipality, benefit, "month", breakdown, breakdown_value
