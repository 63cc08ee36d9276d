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
rhythms AS (
    SELECT * FROM rhythms
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
        rhythms.newest_delivery,
        -- last day of the period after the newest one
        CASE sources.cadence
            WHEN 'M' THEN CAST(date_trunc('month', arrivals.newest_end) + INTERVAL '2 months' - INTERVAL '1 day' AS DATE)
            WHEN 'Q' THEN CAST(date_trunc('quarter', arrivals.newest_end) + INTERVAL '6 months' - INTERVAL '1 day' AS DATE)
            ELSE CAST(date_trunc('year', arrivals.newest_end) + INTERVAL '2 years' - INTERVAL '1 day' AS DATE)
        END AS next_end
    FROM sources
    INNER JOIN arrivals ON sources.source = arrivals.source
    LEFT JOIN rhythms ON sources.source = rhythms.source
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
    rhythms.source,
    rhythms.newest_delivery AS newest_event,
    rhythms.newest_delivery,
    NULL AS published,
    (CAST(evaluation.evaluated_at AS BIGINT) - CAST(rhythms.newest_delivery AS BIGINT)) / 1000000 AS age_seconds,
    NULL AS official_lag_days,
    rhythms.newest_period_end,
    rhythms.next_due,
    coalesce(evaluation.as_of > rhythms.next_due, false) AS late
FROM rhythms
CROSS JOIN evaluation
WHERE rhythms.source NOT IN (SELECT source FROM sources UNION SELECT source FROM arrivals)
