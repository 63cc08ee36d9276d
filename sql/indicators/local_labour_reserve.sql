-- layer: P
-- grain: area_kind, area, month
-- unit: spells
-- why: how many open spells on unemployment or cash benefit have run for more than three months
-- danish: Arbejdskraftreserven
-- source: ours (pipeline/docs/decisions, steering model, 3); no official definition was found
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: down
-- lag_today: there is no official figure of this definition
-- lag_here: seconds after the delivery
WITH cells AS (
    SELECT * FROM area_cases
)
SELECT
    area_kind,
    area,
    "month",
    labour_reserve * 1000000 AS value_micro,
    labour_reserve AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    labour_reserve AS persons
FROM cells
