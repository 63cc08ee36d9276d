-- layer: A
-- grain: benefit, start_quarter, week
-- unit: spells
-- why: of the spells begun in a quarter, how many were still running after so many weeks, and how many ended then
-- danish: Overlevelseskurve
-- source: contracts, measure survival; open spells are censored at the as-of date
-- derived: yes
WITH starts AS (
    SELECT * FROM survival_starts
),
as_of_date AS (
    SELECT * FROM as_of
),
durations AS (
    SELECT
        starts.benefit,
        starts."month" / 3 AS start_quarter,
        CASE WHEN starts.ended_week >= 0 THEN starts.ended_week ELSE (as_of_date.as_of_day - starts.first_day + 1) / 7 END AS weeks,
        CASE WHEN starts.ended_week >= 0 THEN 1 ELSE 0 END AS is_ended,
        starts.spells
    FROM starts CROSS JOIN as_of_date
),
by_week AS (
    SELECT benefit, start_quarter, least(weeks, 105) AS weeks, sum(spells) AS spells, sum(spells * is_ended) AS ended
    FROM durations
    GROUP BY benefit, start_quarter, least(weeks, 105)
),
curve AS (
    SELECT
        by_week.benefit,
        by_week.start_quarter,
        weeks."week",
        sum(by_week.spells) AS at_risk,
        sum(CASE WHEN by_week.weeks = weeks."week" THEN by_week.ended ELSE 0 END) AS ended
    FROM by_week
    CROSS JOIN (SELECT unnest(range(0, 105)) AS "week") AS weeks
    WHERE by_week.weeks >= weeks."week"
    GROUP BY by_week.benefit, by_week.start_quarter, weeks."week"
)
SELECT benefit, start_quarter, "week", at_risk, ended FROM curve WHERE at_risk <> 0
