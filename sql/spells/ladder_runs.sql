-- layer: L
-- grain: person, from_day
-- unit: days since 1970; days
-- why: how many days a person has used up on the refund ladder before each run of covered days
-- danish: Forbrugte dage på refusionstrappen
-- source: pipeline/docs/decisions, person-level measures, 18
-- local: person
WITH unions AS (
    SELECT person, union_of_intervals(from_day, to_day, CAST(0 AS BIGINT), CAST(0 AS BIGINT)) AS runs
    FROM ladder_pieces
    GROUP BY person
),
runs AS (
    SELECT person, run['from_day'] AS from_day, run['to_day'] AS to_day
    FROM (SELECT person, unnest(runs) AS run FROM unions)
)
SELECT
    *,
    sum(to_day - from_day + 1) OVER (PARTITION BY person ORDER BY from_day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    - (to_day - from_day + 1) AS days_before
FROM runs
