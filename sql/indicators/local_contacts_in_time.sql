-- layer: P
-- grain: area_kind, area, month
-- unit: percent
-- why: the share of the interviews due that were held in time
-- danish: Rettidighed af samtaler
-- source: contracts, measures contacts_due and contacts_on_time
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: up
-- lag_today: not found; interviews in the unemployment funds 56 days (smt02)
-- lag_here: seconds after the delivery
-- counts: local_contacts_held_in_time
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    contacts_on_time * 100000000 / contacts_due AS value_micro,
    contacts_on_time AS numerator,
    contacts_due AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE contacts_due > 0
