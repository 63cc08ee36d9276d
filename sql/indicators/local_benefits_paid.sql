-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: kr.
-- why: what was paid, corrections included
-- danish: Udbetalt ydelse
-- source: contracts, measure amount_oere
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: none
-- lag_today: not found (jobindsats.dk tables g01)
-- lag_here: seconds after the delivery
-- counts: local_recipients
WITH cells AS (
    SELECT * FROM area_money
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    amount_oere * 10000 AS value_micro,
    amount_oere AS numerator,
    100 AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
