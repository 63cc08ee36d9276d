-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: activated_days days, touched persons
-- why: how much of the time on a benefit an offer runs, and for how many
-- danish: Aktiveringsgrad og aktiveringsberørte
-- source: contracts, measures activated_days and touched
WITH months AS (
    SELECT * FROM activated_months
),
breakdowns AS (
    SELECT * FROM breakdowns
)
SELECT
    months.municipality,
    months.benefit,
    months."month",
    breakdowns.breakdown,
    breakdowns.breakdown_value,
    sum(months.days) AS activated_days,
    count(*) AS touched
FROM months
INNER JOIN breakdowns ON months.person = breakdowns.person AND months."month" = breakdowns."month"
GROUP BY months.municipality, months.benefit, months."month", breakdowns.breakdown, breakdowns.breakdown_value
