-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: full-time persons
-- why: how many full-time persons under 30 are on a benefit
-- danish: Unge under 30 år (fuldtidspersoner)
-- source: contracts, measure under_30_days
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: 19 to 21 days, jobindsats.dk tables a02 (y01a02, y60a02, y28a02), by age
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM area_months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    young_days * 1000000 / days AS value_micro,
    young_days AS numerator,
    days AS denominator,
    young_recipients AS persons
FROM cells
