-- layer: T
-- grain: source, area, period
-- unit: expected and received as counts of figures
-- why: how much of what a source delivered for the period before, or sent but unusable, has arrived; missing is never zero
-- danish: Fuldstændighed
-- source: ours
WITH arrivals AS (
    SELECT * FROM official_arrivals
),
put_aside AS (
    SELECT * FROM official_put_aside
),
sources AS (
    SELECT * FROM ref_sources
),
evaluation AS (
    SELECT * FROM evaluation
),
-- What a message claims that could not be used is expected of a source that is known, for a period that is over.
claimed AS (
    SELECT put_aside.source, put_aside.area, put_aside.period, put_aside.period_end, put_aside.figures
    FROM put_aside
    CROSS JOIN evaluation
    WHERE
        put_aside.period_end <= evaluation.as_of
        AND put_aside.source IN (SELECT source FROM sources UNION SELECT source FROM arrivals)
),
-- A publisher's table has the same figures each period unless it says otherwise: expect what the last two had at most.
periods AS (
    SELECT source, period, period_end FROM arrivals
    UNION
    SELECT source, period, period_end FROM claimed
),
ordered AS (
    SELECT
        source,
        period,
        period_end,
        lag(period, 1) OVER (PARTITION BY source ORDER BY period_end) AS before_1,
        lag(period, 2) OVER (PARTITION BY source ORDER BY period_end) AS before_2
    FROM periods
),
areas AS (
    SELECT source, area FROM arrivals
    UNION
    SELECT source, area FROM claimed
),
counted AS (
    SELECT
        ordered.source,
        areas.area,
        ordered.period,
        coalesce(here.figures, 0) AS received,
        greatest(
            coalesce(here.figures, 0) + coalesce(claimed.figures, 0), coalesce(one.figures, 0), coalesce(two.figures, 0)
        ) AS expected
    FROM ordered
    INNER JOIN areas ON ordered.source = areas.source
    CROSS JOIN evaluation
    LEFT JOIN arrivals AS here ON ordered.source = here.source AND areas.area = here.area AND ordered.period = here.period
    LEFT JOIN claimed ON ordered.source = claimed.source AND areas.area = claimed.area AND ordered.period = claimed.period
    LEFT JOIN arrivals AS one ON ordered.source = one.source AND areas.area = one.area AND ordered.before_1 = one.period
    LEFT JOIN arrivals AS two ON ordered.source = two.source AND areas.area = two.area AND ordered.before_2 = two.period
    WHERE ordered.period_end > evaluation.as_of - INTERVAL '400 days'
)
SELECT
    source,
    area,
    period,
    expected,
    received,
    CAST(received AS DOUBLE) / CAST(expected AS DOUBLE) AS ratio,
    CASE WHEN received = expected THEN 'complete' ELSE 'incomplete' END AS state
FROM counted
WHERE expected > 0
