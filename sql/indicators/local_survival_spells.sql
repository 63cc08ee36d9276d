-- layer: P
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: the spells that began in a quarter, by the weeks after which they ended; the period is the quarter's first month
-- danish: Overlevelse: forløb efter startkvartal og varighed
-- source: contracts, measure survival
-- feeds: local-persons
-- areas: none
-- adds_over: breakdown
-- better: none
-- lag_today: not found
-- lag_here: 4 to 9 weeks after a band of weeks is over for the last spell of the quarter
WITH cells AS (
    SELECT * FROM area_starts
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
