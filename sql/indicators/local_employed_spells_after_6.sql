-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many people are in wage employment 6 months after a benefit; hidden if those who are counted or those who are not are few
-- danish: Beskæftigede 6 måneder efter afsluttet forløb (antal)
-- source: contracts, measure status_after
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: up
-- lag_today: as after 3 months: by quarter, jobindsats.dk tables b15: 144 to 234 days for unemployment benefit (y01b15), 415 to 506 for cash benefit (y60b15)
-- lag_here: seconds after the delivery of the wages of the month 6 months after the end
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    employed_6 * 1000000 AS value_micro,
    employed_6 AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN employed_6 > 0 AND (known_6 - employed_6) > 0 THEN least(employed_6, (known_6 - employed_6)) ELSE greatest(employed_6, (known_6 - employed_6)) END AS persons
FROM cells
WHERE known_6 > 0
