-- layer: A
-- grain: municipality, benefit, month
-- unit: days; persons
-- why: the time that people younger than 30 spend on a benefit, how many they are, and the time of those whose age is unknown
-- danish: Unge under 30 år
-- source: contracts, measure under_30_days
WITH months AS (
    SELECT covered_months.*, attributes.age
    FROM covered_months
    INNER JOIN attributes
        ON covered_months.person = attributes.person AND covered_months."month" = attributes."month"
    WHERE attributes.age IS NULL OR attributes.age < 30
)
SELECT
    municipality,
    benefit,
    "month",
    sum(CASE WHEN age IS NOT NULL THEN days ELSE 0 END) AS under_30_days,
    sum(CASE WHEN age IS NULL THEN days ELSE 0 END) AS unknown_birth_days,
    sum(CASE WHEN age IS NOT NULL THEN 1 ELSE 0 END) AS under_30_recipients
FROM months
GROUP BY municipality, benefit, "month"
