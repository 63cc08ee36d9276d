-- layer: T
-- grain: node, period
-- unit: values and deviation in the column unit, change_1y in percent (points for percentages)
-- why: what feeds the theory of change, period by period: how each figure has moved in a year, and whether an activity was delivered
-- danish: Forandringsteoriens tal
-- source: ours; thresholds in sql/reference/theory_of_change.yaml (pipeline/docs/decisions, theory of change)
WITH nodes AS (
    SELECT * FROM ref_theory_nodes WHERE indicator IS NOT NULL
),
thresholds AS (
    SELECT * FROM ref_theory_thresholds
),
as_of_date AS (
    SELECT month_of(as_of_day) AS this_month FROM as_of
),
official AS (
    SELECT * FROM indicators WHERE area_kind = 'country'
),
own AS (
    SELECT * FROM local_indicators WHERE area_kind = 'country'
),
published AS (
    SELECT indicator, benefit, breakdown, breakdown_value, period, value, denominator, unit, status FROM official
    UNION ALL
    SELECT indicator, benefit, breakdown, breakdown_value, period, value, denominator, unit, status FROM own
),
-- Months are counted since January 1970; a period is told by its last one.
figures AS (
    SELECT
        nodes.node,
        nodes.kind,
        nodes.better,
        nodes.delivered_from,
        nodes.known_after_months,
        published.period,
        published.value,
        published.denominator,
        published.unit,
        published.status,
        month_of(period_last(published.period)) AS last_month
    FROM published
    INNER JOIN nodes
        ON published.indicator = nodes.indicator
        AND published.benefit = nodes.benefit
        AND published.breakdown = nodes.breakdown
        AND published.breakdown_value = nodes.breakdown_value
),
-- The newest months of a source still grow, what is incomplete is lower for want of data, and what becomes of somebody half a
-- year later is known of a part first: only what is settled moves. What is hidden is settled, and nothing is known of it.
dated AS (
    SELECT
        figures.*,
        figures.status IN ('final', 'hidden') AND as_of_date.this_month - figures.last_month >= figures.known_after_months AS settled
    FROM figures
    CROSS JOIN as_of_date
),
compared AS (
    SELECT
        dated.*,
        before.value AS last_year,
        CASE
            WHEN dated.unit = 'percent' THEN dated.value - before.value
            WHEN before.value > 0.0 THEN (dated.value / before.value - 1.0) * 100.0
        END AS change_1y,
        -- Standard deviation of the difference of two figures that differ by chance alone: counts as Poisson, shares as binomial.
        CASE
            WHEN dated.unit = 'percent'
                THEN sqrt(
                    greatest(dated.value * (100.0 - dated.value), 0.0) / dated.denominator
                    + greatest(before.value * (100.0 - before.value), 0.0) / before.denominator
                )
            WHEN dated.unit IN ('persons', 'full-time persons', 'spells', 'tests', 'interviews', 'decisions')
                THEN sqrt(dated.value + before.value)
        END AS deviation
    FROM dated
    LEFT JOIN dated AS before
        ON dated.node = before.node
        AND dated.last_month - 12 = before.last_month
        AND dated.settled
        AND before.settled
),
moved AS (
    SELECT
        compared.*,
        CASE
            WHEN compared.change_1y IS NULL OR compared.better = 'none' THEN NULL
            -- in whole millionths: 8.1 - 7.1 is a little less than 1
            WHEN round(abs(compared.change_1y) * 1000000.0) < thresholds.moved * 1000000.0 THEN 0
            WHEN abs(compared.value - compared.last_year) < thresholds.deviations * coalesce(compared.deviation, 0.0) THEN 0
            WHEN (compared.change_1y > 0.0) = (compared.better = 'up') THEN 1
            ELSE -1
        END AS direction
    FROM compared
    CROSS JOIN thresholds
)
SELECT
    node,
    period,
    CAST(CAST(month_last(last_month) AS INT) AS DATE) AS period_end,
    value,
    unit,
    status,
    settled,
    last_year,
    change_1y,
    deviation,
    direction,
    CASE
        WHEN kind <> 'activity' OR NOT settled THEN NULL
        WHEN delivered_from IS NOT NULL THEN value >= delivered_from
        ELSE direction >= 0
    END AS delivered
FROM moved
