-- layer: T
-- grain: source
-- unit: age_seconds in seconds at the moment of the evaluation, official_lag_days in days
-- why: how old each source is, and whether its next period, or of a municipality's own system its next delivery, is overdue
-- danish: Aktualitet
-- source: ours; official lags as in sql/reference/sources.csv
WITH arrivals AS (
    SELECT source, max(period_end) AS newest_end, max(retrieved_at) AS newest_event, max(published_at) AS published
    FROM official_arrivals
    GROUP BY source
),
all_deliveries AS (
    SELECT * FROM deliveries
),
deliveries AS (
    SELECT source, max(delivered_at) AS newest_delivery FROM all_deliveries GROUP BY source
),
sources AS (
    SELECT * FROM ref_sources
),
evaluation AS (
    SELECT * FROM evaluation
),
due AS (
    SELECT
        sources.source,
        sources.official_lag_days,
        sources.tolerance_days,
        arrivals.newest_end,
        arrivals.newest_event,
        arrivals.published,
        deliveries.newest_delivery,
        -- last day of the period after the newest one
        CASE sources.cadence
            WHEN 'M' THEN CAST(date_trunc('month', arrivals.newest_end) + INTERVAL '2 months' - INTERVAL '1 day' AS DATE)
            WHEN 'Q' THEN CAST(date_trunc('quarter', arrivals.newest_end) + INTERVAL '6 months' - INTERVAL '1 day' AS DATE)
            ELSE CAST(date_trunc('year', arrivals.newest_end) + INTERVAL '2 years' - INTERVAL '1 day' AS DATE)
        END AS next_end
    FROM sources
    INNER JOIN arrivals ON sources.source = arrivals.source
    LEFT JOIN deliveries ON sources.source = deliveries.source
),
-- Municipalities' own systems have no calendar but their habit: how many days usually lie between two deliveries.
own AS (
    SELECT all_deliveries.*, CAST(CAST(CAST(all_deliveries.delivered_at AS DATE) AS INT) AS BIGINT) AS told_day
    FROM all_deliveries
    CROSS JOIN evaluation
    WHERE
        all_deliveries.source NOT IN (SELECT source FROM sources UNION SELECT source FROM arrivals)
        AND CAST(all_deliveries.delivered_at AS DATE) <= evaluation.as_of + INTERVAL '1 day'
        AND CAST(all_deliveries.delivered_at AS DATE) > evaluation.as_of - INTERVAL '400 days'
),
days AS (
    SELECT source, told_day FROM own GROUP BY source, told_day
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
    SELECT source, min(gap) AS usual FROM ranked WHERE places >= 5 AND place * 20 >= places * 19 GROUP BY source
),
own_due AS (
    SELECT
        own.source,
        max(own.delivered_at) AS newest_delivery,
        max(own.period_end) AS newest_end,
        -- half as long again, and a weekend with a holiday at least
        max(own.told_day) + max(habits.usual) + greatest(3, max(habits.usual) / 2) AS next_day
    FROM own
    LEFT JOIN habits ON own.source = habits.source
    GROUP BY own.source
)
SELECT
    due.source,
    due.newest_event,
    due.newest_delivery,
    due.published,
    (CAST(evaluation.evaluated_at AS BIGINT) - CAST(due.newest_event AS BIGINT)) / 1000000 AS age_seconds,
    CAST(due.official_lag_days AS BIGINT) AS official_lag_days,
    due.newest_end AS newest_period_end,
    CAST(CAST(due.next_end AS INT) + due.official_lag_days + due.tolerance_days AS DATE) AS next_due,
    evaluation.as_of > CAST(CAST(due.next_end AS INT) + due.official_lag_days + due.tolerance_days AS DATE) AS late
FROM due
CROSS JOIN evaluation
UNION ALL
SELECT
    own_due.source,
    own_due.newest_delivery AS newest_event,
    own_due.newest_delivery,
    NULL AS published,
    (CAST(evaluation.evaluated_at AS BIGINT) - CAST(own_due.newest_delivery AS BIGINT)) / 1000000 AS age_seconds,
    NULL AS official_lag_days,
    own_due.newest_end AS newest_period_end,
    CAST(CAST(own_due.next_day AS INT) AS DATE) AS next_due,
    coalesce(CAST(CAST(evaluation.as_of AS INT) AS BIGINT) > own_due.next_day, false) AS late
FROM own_due
CROSS JOIN evaluation
