-- layer: P
-- grain: area_kind, area, month
-- unit: interviews
-- why: how many of the interviews due were held in time; hidden if those who are counted or those who are not are few
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
    CASE WHEN persons_on_time > 0 AND persons_late > 0 THEN least(persons_on_time, persons_late) ELSE greatest(persons_on_time, persons_late) END AS persons
FROM cells
WHERE contacts_due > 0
