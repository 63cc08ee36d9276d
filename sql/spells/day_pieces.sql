-- layer: L
-- grain: person, benefit, from_day
-- unit: days since 1970, months since January 1970
-- why: the covered days cut at the ends of months
-- danish: Dage med ydelse pr. måned
-- source: ours
-- local: person
WITH runs AS (
    SELECT *, unnest(range(month_of(from_day), month_of(to_day) + 1)) AS "month" FROM day_runs
)
SELECT
    person,
    benefit,
    municipality,
    "month",
    greatest(from_day, month_first("month")) AS from_day,
    least(to_day, month_last("month")) AS to_day
FROM runs
