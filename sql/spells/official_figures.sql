-- layer: L
-- grain: publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value, known_from
-- unit: value_micro in millionths of the measure's unit
-- why: one row for each time that a published figure became known with another content; a re-delivery of the same content adds nothing
-- danish: Offentliggjorte tal og deres revisioner
-- source: ours; the revision order is (published_at, retrieved_at), known from the moment of retrieval
-- local: publisher, period
WITH official AS (
    SELECT * FROM official
),
-- Most figures never change: they are known since their first retrieval, and need no ordering.
figures AS (
    SELECT
        publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value,
        period_start,
        period_end,
        min(value_micro) AS value_micro,
        min(status) AS status,
        min(retrieved_at) AS known_from,
        min(status) = max(status)
            AND count(value_micro) IN (0, count(*))
            AND (count(value_micro) = 0 OR min(value_micro) = max(value_micro)) AS is_constant
    FROM official
    GROUP BY publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value, period_start, period_end
),
changing AS (
    SELECT official.*
    FROM official
    INNER JOIN figures
        ON official.publisher = figures.publisher
        AND official.table_id = figures.table_id
        AND official.measure = figures.measure
        AND official.area = figures.area
        AND official.benefit = figures.benefit
        AND official.period = figures.period
        AND official.breakdown = figures.breakdown
        AND official.breakdown_value = figures.breakdown_value
    WHERE NOT figures.is_constant
),
-- A revision that was already superseded when it was learned was never the newest one known.
current_when_learned AS (
    SELECT
        *,
        min(retrieved_at) OVER (
            PARTITION BY publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value
            ORDER BY published_at, retrieved_at
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS superseded_at
    FROM changing
),
in_order AS (
    SELECT
        *,
        row_number() OVER figure AS place,
        lag(value_micro) OVER figure AS value_before,
        lag(status) OVER figure AS status_before
    FROM current_when_learned
    WHERE superseded_at IS NULL OR superseded_at > retrieved_at
    WINDOW figure AS (PARTITION BY publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value ORDER BY published_at, retrieved_at)
),
changes AS (
    SELECT * FROM in_order
    WHERE place = 1 OR (value_micro IS DISTINCT FROM value_before) OR status <> status_before
)
SELECT
    publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value,
    period_start,
    period_end,
    value_micro,
    status,
    known_from,
    CASE WHEN false THEN known_from END AS known_to,
    true AS is_first
FROM figures
WHERE is_constant
UNION ALL
SELECT
    publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value,
    period_start,
    period_end,
    value_micro,
    status,
    retrieved_at AS known_from,
    lead(retrieved_at) OVER (PARTITION BY publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value ORDER BY retrieved_at) AS known_to,
    place = 1 AS is_first
FROM changes
