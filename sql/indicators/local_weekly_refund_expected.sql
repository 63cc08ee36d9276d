-- layer: P
-- grain: area_kind, area, month, breakdown, breakdown_value
-- unit: kr.
-- why: the state refund that the ladder promises for each week; a month's weeks are shown together or not at all
-- danish: Forventet refusion pr. uge
-- source: ours (pipeline/docs/decisions, budgets, 6); measure refund_weeks
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: none
-- lag_today: there is no official figure of this definition
-- lag_here: seconds after the delivery, once the week is over
WITH cells AS (
    SELECT * FROM area_refund_weeks WHERE persons > 0
)
SELECT
    area_kind,
    area,
    "month",
    'week' AS breakdown,
    CAST(CAST(CAST(monday AS INT) AS DATE) AS VARCHAR) AS breakdown_value,
    refund_expected_oere * 10000 AS value_micro,
    refund_expected_oere AS numerator,
    100 AS denominator,
    -- Weeks add up to months, of which other figures are shown: one hidden week between shown ones could be worked out.
    min(CASE WHEN booked_persons > 0 THEN booked_persons ELSE persons END) OVER (PARTITION BY area_kind, area, "month") AS persons
FROM cells
