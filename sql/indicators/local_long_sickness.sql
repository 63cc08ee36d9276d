-- layer: P
-- grain: area_kind, area, month
-- unit: spells
-- why: how many open sickness spells have run for more than half a year
-- danish: Sygedagpengeforløb over 26 uger
-- source: contracts, measure long_sickness
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: not found
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    long_sickness * 1000000 AS value_micro,
    long_sickness AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    long_sickness AS persons
FROM cells
