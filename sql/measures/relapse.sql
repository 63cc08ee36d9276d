-- layer: A
-- grain: municipality, benefit, month
-- unit: spells
-- why: of the spells that ended in a month, how many were followed by a new one within half a year and a year
-- danish: Tilbagefald inden for 26 og 52 uger
-- source: contracts, measure relapse
WITH relapses AS (
    SELECT * FROM relapses
)
SELECT
    municipality,
    benefit,
    end_month AS "month",
    sum(CASE WHEN days_until <= 182 THEN 1 ELSE 0 END) AS relapse_26,
    sum(CASE WHEN days_until <= 364 THEN 1 ELSE 0 END) AS relapse_52
FROM relapses
WHERE days_until <= 364
GROUP BY municipality, benefit, end_month
