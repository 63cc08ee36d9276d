-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: percent
-- why: the share of the time on a benefit in which an offer runs
-- danish: Aktiveringsgrad (egne sager)
-- source: contracts, measure activated_days
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: up
-- lag_today: at most 19 days, jobindsats.dk tables c07 (y60c07)
-- lag_here: seconds after the delivery
-- counts: local_recipients
WITH cells AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM area_months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    activated_days * 100000000 / covered_days AS value_micro,
    activated_days AS numerator,
    covered_days AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE covered_days > 0
