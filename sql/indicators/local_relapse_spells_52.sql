-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many ended spells were followed by a new one of the same benefit within a year
-- danish: Tilbagefald inden for 52 uger (antal)
-- source: contracts, measure relapse; only where the whole window is over
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: not found; the window of jobindsats.dk is not known
-- lag_here: 52 weeks after the end of the month of the end, then seconds after the delivery
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    relapse_52 * 1000000 AS value_micro,
    relapse_52 AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    CASE WHEN relapse_52 > 0 AND (relapse_52_of - relapse_52) > 0 THEN least(relapse_52, (relapse_52_of - relapse_52)) ELSE greatest(relapse_52, (relapse_52_of - relapse_52)) END AS persons
FROM cells
WHERE relapse_52_of > 0
