-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicator, ratios as fractions
-- why: where each area stands on the straight path from its zero point to its target, and whether it drifts from it
-- danish: Resultatmål og afvigelse
-- source: ours; realised ratio as in KL's scorecard, (value - zero) / (target - zero)
WITH targets AS (
    SELECT * FROM ref_targets
),
comparisons AS (
    SELECT * FROM comparisons WHERE breakdown = 'total'
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
freshness AS (
    SELECT * FROM freshness
),
on_path AS (
    SELECT
        targets.*,
        comparisons.period,
        comparisons.value,
        comparisons.status,
        comparisons.unit,
        -- the newest month is judged by what it is expected to settle at
        coalesce(comparisons.settled_estimate, comparisons.value) AS judged,
        targets.zero_value + (targets.target_value - targets.zero_value)
            * CAST(CAST(last_day.period_end AS INT) - CAST(targets.zero_date AS INT) AS DOUBLE)
            / CAST(CAST(targets.target_date AS INT) - CAST(targets.zero_date AS INT) AS DOUBLE) AS expected,
        last_day.newest,
        coalesce(freshness.late, false) AS late
    FROM targets
    INNER JOIN comparisons
        ON targets.area_kind = comparisons.area_kind
        AND targets.area = comparisons.area
        AND targets.indicator = comparisons.indicator
        AND targets.benefit = comparisons.benefit
    INNER JOIN (
        SELECT indicator, period, period_end, period_end = max(period_end) OVER (PARTITION BY indicator) AS newest
        FROM (SELECT indicator, period, period_end FROM disclosed GROUP BY indicator, period, period_end)
    ) AS last_day
        ON comparisons.indicator = last_day.indicator AND comparisons.period = last_day.period
    INNER JOIN catalogue ON targets.indicator = catalogue.indicator
    LEFT JOIN freshness ON catalogue.feeds = freshness.source
    WHERE last_day.period_end >= targets.zero_date AND last_day.period_end <= targets.target_date
),
limits AS (
    SELECT
        *,
        -- First cut: the spread of a count around its expectation is taken as its square root (Poisson).
        CASE WHEN unit <> 'percent' AND expected > 0 THEN 1.96 * sqrt(expected) END AS spread
    FROM on_path
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    period,
    zero_value,
    zero_date,
    target_value,
    target_date,
    direction,
    value,
    status,
    expected,
    CASE WHEN target_value <> zero_value THEN (value - zero_value) / (target_value - zero_value) END AS realised_ratio,
    value - expected AS deviation,
    expected - spread AS lower_limit,
    expected + spread AS upper_limit,
    CAST(NULL AS DOUBLE) AS probability,
    newest,
    CASE
        WHEN late AND newest THEN 'source_late'
        WHEN status = 'incomplete' THEN 'incomplete'
        WHEN judged IS NULL OR spread IS NULL THEN 'insufficient'
        WHEN direction = 'down' AND judged > expected + spread THEN 'drifting'
        WHEN direction = 'up' AND judged < expected - spread THEN 'drifting'
        ELSE 'on_track'
    END AS state
FROM limits
