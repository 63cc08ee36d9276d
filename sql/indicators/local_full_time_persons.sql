-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: full-time persons
-- why: how many full-time persons are on a benefit, from payments that arrive daily
-- danish: Fuldtidspersoner (egne udbetalinger)
-- source: contracts, measure covered_days: covered days divided by the days of the month
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
    covered_days * 1000000 / days AS value_micro,
    covered_days AS numerator,
    days AS denominator,
    recipients AS persons
FROM cells
