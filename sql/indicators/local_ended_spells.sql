-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: spells
-- why: how many spells end; known only when the gap rule can no longer be bridged
-- danish: Afsluttede forløb (egne udbetalinger)
-- source: contracts, measure ended
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: up
-- lag_today: not found
-- lag_here: seconds after the delivery; an end is known when a whole calendar month without the benefit is over, 4 to 9 weeks after it
WITH cells AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM area_months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    ended * 1000000 AS value_micro,
    ended AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    ended AS persons
FROM cells
