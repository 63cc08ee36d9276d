-- layer: L
-- grain: person, municipality, benefit, month
-- unit: øre
-- why: the state refund to be expected by the refund ladder, from the weeks that the person has been covered
-- danish: Forventet refusion (refusionstrappe)
-- source: Act 994 of 30 August 2015 § 3; pipeline/docs/decisions, person-level measures, 18; sql/reference/refund_ladder.csv
-- local: person
WITH pieces AS (
    SELECT * FROM ladder_pieces
),
runs AS (
    SELECT * FROM ladder_runs
),
money AS (
    SELECT * FROM interval_months
),
steps AS (
    SELECT
        CAST(CAST(valid_from AS INT) AS BIGINT) AS valid_from,
        CAST(CAST(valid_to AS INT) AS BIGINT) AS valid_to,
        CAST(first_day AS BIGINT) AS first_day,
        CAST(last_day AS BIGINT) AS last_day,
        CAST(percent AS BIGINT) AS percent
    FROM ref_refund_ladder
),
-- The numbers of a piece's days on the ladder, counted from 1.
numbered AS (
    SELECT
        pieces.*,
        runs.days_before + pieces.from_day - runs.from_day + 1 AS first_number,
        runs.days_before + pieces.to_day - runs.from_day + 1 AS last_number
    FROM pieces
    INNER JOIN runs
        ON pieces.person = runs.person AND pieces.from_day >= runs.from_day AND pieces.to_day <= runs.to_day
),
-- Ladders change at months' beginnings, so one ladder holds for the whole of a piece.
rated AS (
    SELECT
        numbered.person,
        numbered.municipality,
        numbered.benefit,
        numbered."month",
        steps.percent,
        greatest(
            0, least(numbered.last_number, coalesce(steps.last_day, numbered.last_number)) - greatest(numbered.first_number, steps.first_day) + 1
        ) AS days
    FROM numbered
    INNER JOIN steps
        ON numbered.from_day >= steps.valid_from AND (steps.valid_to IS NULL OR numbered.from_day <= steps.valid_to)
),
rates AS (
    SELECT person, municipality, benefit, "month", sum(percent * days) AS percent_days, sum(days) AS covered_days
    FROM rated
    GROUP BY person, municipality, benefit, "month"
)
SELECT
    rates.person,
    rates.municipality,
    rates.benefit,
    rates."month",
    money.counting_oere * rates.percent_days / (100 * rates.covered_days) AS refund_expected_oere
FROM rates
INNER JOIN money
    ON rates.person = money.person
    AND rates.municipality = money.municipality
    AND rates.benefit = money.benefit
    AND rates."month" = money."month"
