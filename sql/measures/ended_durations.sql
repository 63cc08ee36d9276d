-- layer: A
-- grain: municipality, benefit, month, duration_band
-- unit: spells; days
-- why: how long the spells that ended in a month had lasted
-- danish: Varighed af afsluttede forløb
-- source: contracts, measures ended_days and duration_band (in whole weeks)
WITH ended AS (
    SELECT *, last_day - first_day + 1 AS days FROM spell_groups WHERE is_ended AND breakdown = 'total'
)
SELECT
    last_municipality AS municipality,
    benefit,
    last_month AS "month",
    CASE
        WHEN days / 7 <= 4 THEN '0-4'
        WHEN days / 7 <= 13 THEN '5-13'
        WHEN days / 7 <= 26 THEN '14-26'
        WHEN days / 7 <= 52 THEN '27-52'
        WHEN days / 7 <= 104 THEN '53-104'
        ELSE '105+'
    END AS duration_band,
    count(*) AS spells,
    sum(days) AS days
FROM ended
GROUP BY 1, 2, 3, 4
