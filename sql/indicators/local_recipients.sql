-- layer: P
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: persons
-- why: how many persons are on a benefit, from payments that arrive daily
-- danish: Antal personer (egne udbetalinger)
-- source: contracts, measure recipients; people who move are counted in both municipalities
-- feeds: local-persons
-- areas: sum
-- adds_over: breakdown
-- better: down
-- lag_today: 19 to 21 days, jobindsats.dk tables a02 (y01a02, y60a02, y28a02)
-- lag_here: seconds after the delivery
WITH totals AS (
    SELECT * FROM area_months
),
groups AS (
    SELECT * FROM area_groups
),
cells AS (
    SELECT area_kind, area, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, covered_days, recipients FROM totals
    UNION ALL
    SELECT area_kind, area, benefit, "month", breakdown, breakdown_value, covered_days, recipients FROM groups
    WHERE area_kind IN ('region', 'country')
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    breakdown,
    breakdown_value,
    recipients * 1000000 AS value_micro,
    recipients AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    recipients AS persons
FROM cells
