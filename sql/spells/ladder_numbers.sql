-- layer: L
-- grain: person, benefit, from_day
-- unit: days since 1970, months since January 1970; days
-- why: which place on the refund ladder the covered days have: a day's number, from 1, is the day plus the shift
-- danish: Dagenes nummer på refusionstrappen
-- source: pipeline/docs/decisions, person-level measures, 18
-- local: person
WITH pieces AS (
    SELECT * FROM ladder_pieces
),
runs AS (
    SELECT * FROM ladder_runs
)
SELECT pieces.*, runs.days_before - runs.from_day + 1 AS shift
FROM pieces
INNER JOIN runs
    ON pieces.person = runs.person AND pieces.from_day >= runs.from_day AND pieces.to_day <= runs.to_day
