-- layer: A
-- grain: municipality, month
-- unit: spells
-- why: sickness spells that have run for more than half a year
-- danish: Sygedagpengeforløb over 26 uger
-- source: contracts, measure long_sickness
-- derived: yes
WITH changes AS (
    SELECT * FROM spell_changes WHERE breakdown = 'total' AND (long_entered <> 0 OR long_left <> 0)
),
as_of_date AS (
    SELECT * FROM as_of
),
series AS (
    SELECT municipality, min("month") AS first_month FROM changes GROUP BY municipality
),
every_month AS (
    SELECT series.municipality, unnest(range(series.first_month, month_of(as_of_date.as_of_day) + 1)) AS "month"
    FROM series CROSS JOIN as_of_date
),
stocks AS (
    SELECT
        every_month.municipality,
        every_month."month",
        sum(coalesce(changes.long_entered - changes.long_left, 0)) OVER (
            PARTITION BY every_month.municipality ORDER BY every_month."month"
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS long_sickness
    FROM every_month
    LEFT JOIN changes
        ON every_month.municipality = changes.municipality AND every_month."month" = changes."month"
)
SELECT municipality, "month", long_sickness FROM stocks WHERE long_sickness <> 0
