-- layer: A
-- grain: benefit, month, first_day, ended_week
-- unit: spells
-- why: spells by the quarter (its first month) in which they began and, if they ended, after how many weeks; open ones by day, so that time passing touches nobody
-- danish: Grundlag for overlevelseskurver
-- source: ours; survival is made of it
WITH spells AS (
    SELECT * FROM spell_groups WHERE breakdown = 'total'
)
SELECT
    benefit,
    first_month / 3 * 3 AS "month",
    CASE WHEN is_ended THEN 0 ELSE first_day END AS first_day,
    CASE WHEN is_ended THEN (last_day - first_day + 1) / 7 ELSE -1 END AS ended_week,
    count(*) AS spells
FROM spells
GROUP BY 1, 2, 3, 4
