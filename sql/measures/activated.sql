-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: activated_days days, touched persons
-- why: how much of the time on a benefit an offer runs, and for how many
-- danish: Aktiveringsgrad og aktiveringsberørte
-- source: contracts, measures activated_days and touched
WITH months AS (
    SELECT activated_months.*, attributes.age_group, attributes.sex, attributes.origin
    FROM activated_months
    INNER JOIN attributes
        ON activated_months.person = attributes.person AND activated_months."month" = attributes."month"
)
SELECT municipality, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, sum(days) AS activated_days, count(*) AS touched
FROM months GROUP BY municipality, benefit, "month"
UNION ALL
SELECT municipality, benefit, "month", 'age' AS breakdown, age_group AS breakdown_value, sum(days) AS activated_days, count(*) AS touched
FROM months GROUP BY municipality, benefit, "month", age_group
UNION ALL
SELECT municipality, benefit, "month", 'sex' AS breakdown, sex AS breakdown_value, sum(days) AS activated_days, count(*) AS touched
FROM months GROUP BY municipality, benefit, "month", sex
UNION ALL
SELECT municipality, benefit, "month", 'origin' AS breakdown, origin AS breakdown_value, sum(days) AS activated_days, count(*) AS touched
FROM months GROUP BY municipality, benefit, "month", origin
