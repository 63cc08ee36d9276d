-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: covered_days days, recipients persons
-- why: how much of a month people spend on a benefit; divided by the days of the month it is full-time persons
-- danish: Fuldtidspersoner og antal personer
-- source: contracts, measures covered_days and recipients
WITH months AS (
    SELECT * FROM covered_months
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
    sum(months.days) AS covered_days,
    count(*) AS recipients
FROM months
INNER JOIN breakdowns ON months.person = breakdowns.person AND months."month" = breakdowns."month"
GROUP BY months.municipality, months.benefit, months."month", breakdowns.breakdown, breakdowns.breakdown_value
