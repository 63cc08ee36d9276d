-- layer: P
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: how many spells end, after how many weeks and to which next benefit; known only when the gap rule can no longer be bridged
-- danish: Afsluttede forløb (egne udbetalinger)
-- source: contracts, measures ended and duration_band; next benefit: ours
-- feeds: local-persons
-- areas: sum
-- adds_over: breakdown
-- better: up
-- lag_today: not found
-- lag_here: seconds after the delivery; an end is known when a whole calendar month without the benefit is over, 4 to 9 weeks after it
WITH totals AS (
    SELECT * FROM area_months
),
groups AS (
    SELECT * FROM area_end_groups
),
cells AS (
    SELECT area_kind, area, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, ended AS spells FROM totals
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
