-- layer: P
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: full-time persons
-- why: how many full-time persons are on a benefit, from payments that arrive daily
-- danish: Fuldtidspersoner (egne udbetalinger)
-- source: contracts, measure covered_days: covered days divided by the days of the month
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
),
dated AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM cells
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    breakdown,
    breakdown_value,
    covered_days * 1000000 / days AS value_micro,
    covered_days AS numerator,
    days AS denominator,
    recipients AS persons
FROM dated
