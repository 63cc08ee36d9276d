-- layer: L
-- grain: person, municipality, benefit, month
-- unit: days
-- why: on how many covered days of a month an offer runs
-- danish: Aktiverede dage
-- source: ours (pipeline/docs/decisions, person-level measures, 16)
-- local: person
WITH activations AS (
    SELECT * FROM activations
),
pieces AS (
    SELECT * FROM day_pieces
),
as_of_date AS (
    SELECT * FROM as_of
),
unions AS (
    SELECT
        activations.person,
        union_of_intervals(
            activations.from_day, least(coalesce(activations.to_day, as_of_date.as_of_day), as_of_date.as_of_day), CAST(0 AS BIGINT), CAST(0 AS BIGINT)
        ) AS runs
    FROM activations
    CROSS JOIN as_of_date
    GROUP BY activations.person
),
runs AS (
    SELECT person, run['from_day'] AS from_day, run['to_day'] AS to_day
    FROM (SELECT person, unnest(runs) AS run FROM unions)
)
SELECT
    pieces.person,
    pieces.municipality,
    pieces.benefit,
    pieces."month",
    sum(least(pieces.to_day, runs.to_day) - greatest(pieces.from_day, runs.from_day) + 1) AS days
FROM pieces
INNER JOIN runs
    ON pieces.person = runs.person AND pieces.from_day <= runs.to_day AND pieces.to_day >= runs.from_day
GROUP BY pieces.person, pieces.municipality, pieces.benefit, pieces."month"
