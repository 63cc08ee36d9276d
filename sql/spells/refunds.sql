-- layer: L
-- grain: person, municipality, benefit, month
-- unit: øre
-- why: the state refund to be expected by the refund ladder, from the weeks that the person has been covered
-- danish: Forventet refusion (refusionstrappe)
-- source: Act 994 of 30 August 2015 § 3; pipeline/docs/decisions, person-level measures, 18; sql/reference/refund_ladder.csv
-- local: person
WITH pieces AS (
    SELECT *, from_day + shift AS first_number, to_day + shift AS last_number FROM ladder_numbers
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
-- Ladders change at months' beginnings, so one ladder holds for the whole of a piece.
rated AS (
    SELECT
        pieces.person,
        pieces.municipality,
        pieces.benefit,
        pieces."month",
        steps.percent,
        least(pieces.last_number, coalesce(steps.last_day, pieces.last_number)) - greatest(pieces.first_number, steps.first_day) + 1 AS days
    FROM pieces
    INNER JOIN steps
        ON pieces.from_day >= steps.valid_from
        AND (steps.valid_to IS NULL OR pieces.from_day <= steps.valid_to)
        AND pieces.last_number >= steps.first_day
        AND (steps.last_day IS NULL OR pieces.first_number <= steps.last_day)
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
