-- layer: A
-- grain: municipality, month
-- unit: spells
-- why: open spells on unemployment or cash benefit that have run for more than three months
-- danish: Arbejdskraftreserve
-- source: ours (pipeline/docs/decisions, steering model, 3); no official definition was found
-- derived: yes
WITH changes AS (
    SELECT * FROM spell_changes WHERE breakdown = 'total' AND (reserve_entered <> 0 OR reserve_left <> 0)
),
as_of_date AS (
    SELECT * FROM as_of
),
moves AS (
    SELECT municipality, "month", sum(reserve_entered - reserve_left) AS more FROM changes GROUP BY municipality, "month"
),
series AS (
    SELECT municipality, min("month") AS first_month FROM moves GROUP BY municipality
),
every_month AS (
    SELECT series.municipality, unnest(range(series.first_month, month_of(as_of_date.as_of_day) + 1)) AS "month"
    FROM series CROSS JOIN as_of_date
),
stocks AS (
    SELECT
        every_month.municipality,
        every_month."month",
        sum(coalesce(moves.more, 0)) OVER (
            PARTITION BY every_month.municipality ORDER BY every_month."month"
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS labour_reserve
    FROM every_month
    LEFT JOIN moves
        ON every_month.municipality = moves.municipality AND every_month."month" = moves."month"
)
SELECT municipality, "month", labour_reserve FROM stocks WHERE labour_reserve <> 0
