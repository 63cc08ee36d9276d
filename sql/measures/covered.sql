-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: covered_days days, recipients persons
-- why: how much of a month people spend on a benefit; divided by the days of the month it is full-time persons
-- danish: Fuldtidspersoner og antal personer
-- source: contracts, measures covered_days and recipients
WITH months AS (
    SELECT covered_months.*, attributes.age_group, attributes.sex, attributes.origin
    FROM covered_months
    INNER JOIN attributes
        ON covered_months.person = attributes.person AND covered_months."month" = attributes."month"
)
SELECT municipality, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, sum(days) AS covered_days, count(*) AS recipients
FROM months GROUP BY municipality, benefit, "month"
UNION ALL
SELECT municipality, benefit, "month", 'age' AS breakdown, age_group AS breakdown_value, sum(days) AS covered_days, count(*) AS recipients
FROM months GROUP BY municipality, benefit, "month", age_group
UNION ALL
SELECT municipality, benefit, "month", 'sex' AS breakdown, sex AS breakdown_value, sum(days) AS covered_days, count(*) AS recipients
FROM months GROUP BY municipality, benefit, "month", sex
UNION ALL
SELECT municipality, benefit, "month", 'origin' AS breakdown, origin AS breakdown_value, sum(days) AS covered_days, count(*) AS recipients
FROM months GROUP BY municipality, benefit, "month", origin
