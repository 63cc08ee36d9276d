-- layer: P
-- grain: area_kind, area, month
-- unit: interviews
-- why: how many of the interviews due were held in time; none or some of few are hidden alike
-- danish: Rettidige samtaler (antal)
-- source: contracts, measure contacts_on_time
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: up
-- lag_today: not found; interviews in the unemployment funds 56 days (smt02)
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    contacts_on_time * 1000000 AS value_micro,
    contacts_on_time AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN contacts_on_time > 0 THEN contacts_on_time ELSE contacts_due END AS persons
FROM cells
WHERE contacts_due > 0
