-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: persons
-- why: how many persons are on a benefit, from payments that arrive daily
-- danish: Antal personer (egne udbetalinger)
-- source: contracts, measure recipients; people who move are counted in both municipalities
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: 19 to 21 days, jobindsats.dk tables a02 (y01a02, y60a02, y28a02)
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM area_months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    recipients * 1000000 AS value_micro,
    recipients AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    recipients AS persons
FROM cells
