-- layer: T
-- grain: source
-- unit: usual_days in days
-- why: when each source delivered last, and when its next delivery is overdue by its own habit
-- danish: Leverancerytme
-- source: ours (pipeline/docs/decisions, completeness)
WITH all_deliveries AS (
    SELECT * FROM deliveries
),
as_of_date AS (
    SELECT * FROM as_of
),
-- A clock that runs fast by days is not believed.
told AS (
    SELECT all_deliveries.*, CAST(CAST(CAST(all_deliveries.delivered_at AS DATE) AS INT) AS BIGINT) AS told_day
    FROM all_deliveries
    CROSS JOIN as_of_date
    WHERE CAST(CAST(CAST(all_deliveries.delivered_at AS DATE) AS INT) AS BIGINT) <= as_of_date.as_of_day + 1
),
days AS (
    SELECT told.source, told.told_day
    FROM told
    CROSS JOIN as_of_date
    WHERE told.told_day > as_of_date.as_of_day - 400
    GROUP BY told.source, told.told_day
),
gaps AS (
    SELECT source, told_day - lag(told_day) OVER (PARTITION BY source ORDER BY told_day) AS gap FROM days
),
ranked AS (
    SELECT
        source,
        gap,
        row_number() OVER (PARTITION BY source ORDER BY gap) AS place,
        count(*) OVER (PARTITION BY source) AS places
    FROM gaps
    WHERE gap IS NOT NULL
),
-- Nearest rank of the 95th percentile.
habits AS (
    SELECT source, min(gap) AS usual_days FROM ranked WHERE places >= 5 AND place * 20 >= places * 19 GROUP BY source
),
newest AS (
    SELECT source, max(delivered_at) AS newest_delivery, max(period_end) AS newest_period_end, max(told_day) AS newest_day
    FROM told
    GROUP BY source
)
SELECT
    newest.source,
    newest.newest_delivery,
    newest.newest_period_end,
    habits.usual_days,
    -- Who delivers when there is something, without a rhythm, stays silent for longer than this once in ten thousand times.
    CAST(CAST(newest.newest_day + 3 * habits.usual_days AS INT) AS DATE) AS next_due
FROM newest
LEFT JOIN habits ON newest.source = habits.source
