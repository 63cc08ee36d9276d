-- layer: L
-- grain: person, municipality, benefit, month
-- unit: øre
-- why: the state refund to be expected by the refund ladder, from the weeks that the person has been covered
-- danish: Forventet refusion (refusionstrappe)
-- source: Act 994 of 30 August 2015 § 3; pipeline/docs/decisions, person-level measures, 18; sql/reference/refund_ladder.csv
-- local: person
WITH pieces AS (
    SELECT * FROM day_pieces
),
money AS (
    SELECT * FROM interval_months
),
rules AS (
    SELECT benefit, in_refund_ladder FROM gap_rules WHERE is_newest
),
steps AS (
    SELECT
        CAST(CAST(valid_from AS INT) AS BIGINT) AS valid_from,
        CAST(first_day AS BIGINT) AS first_day,
        CAST(last_day AS BIGINT) AS last_day,
        CAST(percent AS BIGINT) AS percent
    FROM ref_refund_ladder
),
begin AS (
    SELECT min(valid_from) AS first_day FROM steps
),
on_ladder AS (
    SELECT
        pieces.person,
        pieces.municipality,
        pieces.benefit,
        pieces."month",
        greatest(pieces.from_day, begin.first_day) AS from_day,
        pieces.to_day
    FROM pieces
    CROSS JOIN begin
    INNER JOIN rules ON pieces.benefit = rules.benefit AND rules.in_refund_ladder
    WHERE pieces.to_day >= begin.first_day
),
unions AS (
    SELECT person, union_of_intervals(from_day, to_day, CAST(0 AS BIGINT), CAST(0 AS BIGINT)) AS runs FROM on_ladder GROUP BY person
),
runs AS (
    SELECT person, run['from_day'] AS from_day, run['to_day'] AS to_day
    FROM (SELECT person, unnest(runs) AS run FROM unions)
),
-- Covered days before each run: what the ladder counts.
counted AS (
    SELECT
        *,
        sum(to_day - from_day + 1) OVER (PARTITION BY person ORDER BY from_day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        - (to_day - from_day + 1) AS days_before
    FROM runs
),
numbered AS (
    SELECT
        on_ladder.*,
        counted.days_before + on_ladder.from_day - counted.from_day + 1 AS first_number,
        counted.days_before + on_ladder.to_day - counted.from_day + 1 AS last_number
    FROM on_ladder
    INNER JOIN counted
        ON on_ladder.person = counted.person
        AND on_ladder.from_day >= counted.from_day
        AND on_ladder.to_day <= counted.to_day
),
rates AS (
    SELECT
        numbered.person,
        numbered.municipality,
        numbered.benefit,
        numbered."month",
        sum(
            steps.percent * greatest(
                0, least(numbered.last_number, coalesce(steps.last_day, numbered.last_number)) - greatest(numbered.first_number, steps.first_day) + 1
            )
        ) AS percent_days
    FROM numbered
    CROSS JOIN steps
    GROUP BY numbered.person, numbered.municipality, numbered.benefit, numbered."month"
),
days AS (
    SELECT person, municipality, benefit, "month", sum(to_day - from_day + 1) AS covered_days
    FROM on_ladder
    GROUP BY person, municipality, benefit, "month"
)
SELECT
    rates.person,
    rates.municipality,
    rates.benefit,
    rates."month",
    money.counting_oere * rates.percent_days / (100 * days.covered_days) AS refund_expected_oere
FROM rates
INNER JOIN days
    ON rates.person = days.person
    AND rates.municipality = days.municipality
    AND rates.benefit = days.benefit
    AND rates."month" = days."month"
INNER JOIN money
    ON rates.person = money.person
    AND rates.municipality = money.municipality
    AND rates.benefit = money.benefit
    AND rates."month" = money."month"
