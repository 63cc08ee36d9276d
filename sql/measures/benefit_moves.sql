-- layer: A
-- grain: municipality, benefit, month, next_benefit
-- unit: spells
-- why: on which benefit people are the day after a spell that ended in a month
-- danish: Overgang mellem ydelser
-- source: ours (pipeline/docs/decisions, spells published, 2)
WITH following AS (
    SELECT * FROM next_benefits
)
SELECT municipality, benefit, end_month AS "month", next_benefit, count(*) AS spells
FROM following
GROUP BY municipality, benefit, end_month, next_benefit
