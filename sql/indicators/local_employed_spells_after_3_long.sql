-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many people are in wage employment 3 months after more than a year on a benefit; hidden if those who are counted or those who are not are few
-- danish: Beskæftigede 3 måneder efter afsluttet forløb over 1 år (antal)
-- source: ours (pipeline/docs/decisions, steering model, 4), as status_after of the contracts
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: up
-- lag_today: by quarter, jobindsats.dk tables b15: 144 to 234 days for unemployment benefit (y01b15), 415 to 506 for cash benefit (y60b15); not divided by duration
-- lag_here: seconds after the delivery of the wages of the month 3 months after the end
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    employed_3_long * 1000000 AS value_micro,
    employed_3_long AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN employed_3_long > 0 AND (known_3_long - employed_3_long) > 0 THEN least(employed_3_long, (known_3_long - employed_3_long)) ELSE greatest(employed_3_long, (known_3_long - employed_3_long)) END AS persons
FROM cells
WHERE known_3_long > 0
