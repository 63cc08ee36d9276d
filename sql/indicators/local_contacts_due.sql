-- layer: P
-- grain: area_kind, area, month
-- unit: interviews
-- why: how many interviews were due
-- danish: Samtaler med faldug i måneden
-- source: contracts, measure contacts_due
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: none
-- lag_today: not found; interviews in the unemployment funds 56 days (smt02)
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    contacts_due * 1000000 AS value_micro,
    contacts_due AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    persons_due AS persons
FROM cells
