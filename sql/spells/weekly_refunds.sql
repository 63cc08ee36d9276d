-- layer: L
-- grain: person, municipality, monday
-- unit: øre; days since 1970
-- why: a person's booked refund by week and the one that the refund ladder promises, so that what is not yet booked shows in the week it belongs to
-- danish: Refusion pr. uge, bogført og forventet
-- source: Act 994 of 30 August 2015 § 3; pipeline/docs/decisions, person-level measures, 20; sql/reference/refund_ladder.csv
-- local: person
WITH intervals AS (
    -- records of benefit periods tell no refund: none is to be looked for
    SELECT *, unnest(range(monday_of(from_day), monday_of(to_day) + 1, 7)) AS monday FROM intervals WHERE is_ledger
),
pieces AS (
    SELECT *, unnest(range(monday_of(from_day), monday_of(to_day) + 1, 7)) AS monday FROM ladder_numbers
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
money AS (
    SELECT
        person,
        municipality,
        benefit,
        monday,
        sum(CASE WHEN is_counting THEN week_share(amount_oere, from_day, to_day, monday) ELSE 0 END) AS counting_oere,
        sum(week_share(refund_oere, from_day, to_day, monday)) AS refund_oere
    FROM intervals
    GROUP BY person, municipality, benefit, monday
),
weeks AS (
    SELECT
        person,
        municipality,
        benefit,
        monday,
        greatest(from_day, monday) AS from_day,
        greatest(from_day, monday) + shift AS first_number,
        least(to_day, monday + 6) + shift AS last_number
    FROM pieces
),
-- Ladders change at months' beginnings, so one ladder holds for the whole of a piece.
rates AS (
    SELECT
        weeks.person,
        weeks.municipality,
        weeks.benefit,
        weeks.monday,
        sum(
            steps.percent
            * (least(weeks.last_number, coalesce(steps.last_day, weeks.last_number)) - greatest(weeks.first_number, steps.first_day) + 1)
        ) AS percent_days,
        sum(least(weeks.last_number, coalesce(steps.last_day, weeks.last_number)) - greatest(weeks.first_number, steps.first_day) + 1)
            AS covered_days
    FROM weeks
    INNER JOIN steps
        ON weeks.from_day >= steps.valid_from
        AND (steps.valid_to IS NULL OR weeks.from_day <= steps.valid_to)
        AND weeks.last_number >= steps.first_day
        AND (steps.last_day IS NULL OR weeks.first_number <= steps.last_day)
    GROUP BY weeks.person, weeks.municipality, weeks.benefit, weeks.monday
)
SELECT
    money.person,
    money.municipality,
    money.monday,
    sum(coalesce(money.counting_oere * rates.percent_days / (100 * rates.covered_days), 0)) AS refund_expected_oere,
    sum(money.refund_oere) AS refund_oere
FROM money
LEFT JOIN rates
    ON money.person = rates.person
    AND money.municipality = rates.municipality
    AND money.benefit = rates.benefit
    AND money.monday = rates.monday
GROUP BY money.person, money.municipality, money.monday
