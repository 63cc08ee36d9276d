-- layer: P
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: how many spells are open at the month's end, and for how many weeks they have run
-- danish: Igangværende forløb (egne udbetalinger)
-- source: contracts, measures open_end and duration_band
-- feeds: local-persons
-- areas: sum
-- adds_over: breakdown
-- better: down
-- lag_today: not found
-- lag_here: seconds after the delivery
WITH totals AS (
    SELECT * FROM area_months
),
groups AS (
    SELECT * FROM area_open_groups
),
cells AS (
    SELECT area_kind, area, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, open_end AS spells FROM totals
    UNION ALL
    SELECT area_kind, area, benefit, "month", breakdown, breakdown_value, spells FROM groups
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    breakdown,
    breakdown_value,
    spells * 1000000 AS value_micro,
    spells AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    spells AS persons
FROM cells
