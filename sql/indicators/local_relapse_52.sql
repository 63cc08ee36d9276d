-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: percent
-- why: the share of ended spells that were followed by a new one of the same benefit within a year
-- danish: Andel med tilbagefald inden for 52 uger
-- source: contracts, measure relapse; only where the whole window is over
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: down
-- lag_today: not found; the window of jobindsats.dk is not known
-- lag_here: 52 weeks after the end of the month of the end, then seconds after the delivery
-- counts: local_relapse_spells_52
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    relapse_52 * 100000000 / relapse_52_of AS value_micro,
    relapse_52 AS numerator,
    relapse_52_of AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE relapse_52_of > 0
