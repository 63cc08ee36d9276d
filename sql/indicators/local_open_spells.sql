-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many spells are open at the month's end
-- danish: Igangværende forløb (egne udbetalinger)
-- source: contracts, measure open_end
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: not found
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM area_months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    open_end * 1000000 AS value_micro,
    open_end AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    open_end AS persons
FROM cells
