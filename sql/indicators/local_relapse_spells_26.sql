-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many ended spells were followed by a new one of the same benefit within half a year
-- danish: Tilbagefald inden for 26 uger (antal)
-- source: contracts, measure relapse; only where the whole window is over
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: not found; the window of jobindsats.dk is not known
-- lag_here: 26 weeks after the end of the month of the end, then seconds after the delivery
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    relapse_26 * 1000000 AS value_micro,
    relapse_26 AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN relapse_26 > 0 AND (relapse_26_of - relapse_26) > 0 THEN least(relapse_26, (relapse_26_of - relapse_26)) ELSE greatest(relapse_26, (relapse_26_of - relapse_26)) END AS persons
FROM cells
WHERE relapse_26_of > 0
