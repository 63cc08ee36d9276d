-- layer: L
-- grain: person, benefit, from_day
-- unit: days since 1970
-- why: the covered days of a person and benefit up to the as-of date, as runs within one municipality
-- danish: Dage med ydelse
-- source: ours (pipeline/docs/decisions, person-level measures, 4)
-- local: person
WITH intervals AS (
    SELECT * FROM intervals
),
as_of_date AS (
    SELECT * FROM as_of
),
unions AS (
    SELECT
        intervals.person,
        intervals.benefit,
        union_of_intervals(intervals.from_day, least(intervals.to_day, as_of_date.as_of_day), intervals."rank", intervals.municipality) AS runs
    FROM intervals
    CROSS JOIN as_of_date
    WHERE intervals.is_counting AND intervals.from_day <= as_of_date.as_of_day
    GROUP BY intervals.person, intervals.benefit
),
runs AS (
    SELECT person, benefit, unnest(runs) AS run FROM unions
)
SELECT person, benefit, run['label'] AS municipality, run['from_day'] AS from_day, run['to_day'] AS to_day
FROM runs
