-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many spells begin
-- danish: Påbegyndte forløb (egne udbetalinger)
-- source: contracts, measure started
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
    started * 1000000 AS value_micro,
    started AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    started AS persons
FROM cells
