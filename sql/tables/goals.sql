-- layer: T
-- grain: node
-- unit: indicators and activities as counts, movement -1, 0 or 1
-- why: whether each goal moves, and if not, whether what is done for it was not done, or was done and does not show
-- danish: Måls bevægelse og diagnose
-- source: equal weights and majority as in the integration barometer; the diagnosis ours (pipeline/docs/decisions, theory of change)
WITH tree AS (
    SELECT * FROM theory_of_change
),
figures AS (
    SELECT node, month_of(CAST(CAST(period_end AS INT) AS BIGINT)) AS last_month, delivered FROM theory_figures
),
goals AS (
    SELECT * FROM tree WHERE kind IN ('goal', 'sub_goal')
),
results AS (
    SELECT *, month_of(CAST(CAST(period_end AS INT) AS BIGINT)) AS last_month FROM tree WHERE kind = 'indicator'
),
activities AS (
    SELECT * FROM tree WHERE kind = 'activity'
),
movements AS (
    SELECT
        parent,
        count(*) AS indicators,
        count(CASE WHEN state = 'not_fed' THEN 1 END) AS not_fed,
        count(direction) AS known,
        count(CASE WHEN direction = 1 THEN 1 END) AS improved,
        count(CASE WHEN direction = 0 THEN 1 END) AS unchanged,
        count(CASE WHEN direction = -1 THEN 1 END) AS worsened
    FROM results
    GROUP BY parent
),
deliveries AS (
    SELECT
        parent,
        count(*) AS activities,
        count(delivered) AS known,
        count(CASE WHEN delivered THEN 1 END) AS delivered
    FROM activities
    GROUP BY parent
),
-- A result is set beside what was done so long before that it could show: of the newest activity it may know nothing yet.
before_results AS (
    SELECT
        results.parent,
        count(figures.delivered) AS known,
        count(CASE WHEN figures.delivered THEN 1 END) AS delivered
    FROM results
    INNER JOIN activities ON results.parent = activities.parent
    LEFT JOIN figures
        ON activities.node = figures.node AND results.last_month - activities.shows_after_months = figures.last_month
    WHERE results.direction IS NOT NULL
    GROUP BY results.parent
),
-- More than half of what is known decides; half and half decides nothing.
decided AS (
    SELECT
        goals.node,
        goals.parent,
        goals.kind,
        goals.danish,
        goals.english,
        movements.indicators,
        movements.not_fed,
        movements.known,
        movements.improved,
        movements.unchanged,
        movements.worsened,
        CASE
            WHEN movements.known = 0 THEN NULL
            WHEN movements.improved * 2 > movements.known THEN 1
            WHEN movements.worsened * 2 > movements.known THEN -1
            ELSE 0
        END AS movement,
        coalesce(deliveries.activities, 0) AS activities,
        coalesce(deliveries.known, 0) AS activities_known,
        coalesce(deliveries.delivered, 0) AS activities_delivered,
        CASE
            WHEN deliveries.delivered * 2 > deliveries.known THEN true
            WHEN deliveries.delivered * 2 < deliveries.known THEN false
        END AS delivered,
        CASE
            WHEN before_results.delivered * 2 > before_results.known THEN true
            WHEN before_results.delivered * 2 < before_results.known THEN false
        END AS delivered_before
    FROM goals
    INNER JOIN movements ON goals.node = movements.parent
    LEFT JOIN deliveries ON goals.node = deliveries.parent
    LEFT JOIN before_results ON goals.node = before_results.parent
)
SELECT
    *,
    CASE
        WHEN NOT delivered THEN 'implementation'
        WHEN movement IS NULL OR delivered IS NULL OR delivered_before IS NULL OR NOT delivered_before THEN 'not_yet_knowable'
        WHEN movement = 1 THEN 'as_intended'
        ELSE 'theory'
    END AS diagnosis,
    CASE
        WHEN NOT delivered THEN NULL
        WHEN movement IS NULL THEN 'indicator'
        WHEN delivered IS NULL THEN 'activity'
        WHEN delivered_before IS NULL OR NOT delivered_before THEN 'time'
    END AS waits_for
FROM decided
