-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many people are in wage employment 3 months after more than a year on a benefit; none or some of few are hidden alike
-- danish: Beskæftigede 3 måneder efter afsluttet forløb over 1 år (antal)
-- source: ours (pipeline/docs/decisions, steering model, 4), as status_after of the contracts
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: up
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
    CASE WHEN employed_3_long > 0 THEN employed_3_long ELSE known_3_long END AS persons
FROM cells
WHERE known_3_long > 0
