-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicators, change_1y in percent, of percentages in points
-- why: beside every target its hardest group's result: who reaches a target with the easiest cases alone is seen
-- danish: Målopfyldelse og de svageste gruppers resultat
-- source: ours (pipeline/docs/decisions, steering model, 4), after Mødrehjælpen's and KORA's warnings about creaming
WITH official_targets AS (
    SELECT * FROM targets WHERE newest
),
own_targets AS (
    SELECT * FROM local_targets WHERE newest
),
targets AS (
    SELECT area_kind, area, indicator, benefit, period, target_value, direction, value, status FROM official_targets
    UNION ALL
    SELECT area_kind, area, indicator, benefit, period, target_value, direction, value, status FROM own_targets
),
groups AS (
    SELECT * FROM ref_hardest_groups
),
own AS (
    SELECT *, period_month(period) AS "month"
    FROM local_indicators
    WHERE breakdown = 'total'
),
results AS (
    SELECT area_kind, area, indicator, benefit, period, value, last_year, change_1y, status
    FROM comparisons
    WHERE breakdown = 'total'
    UNION ALL
    SELECT
        own.area_kind,
        own.area,
        own.indicator,
        own.benefit,
        own.period,
        own.value,
        before.value AS last_year,
        CASE
            WHEN own.unit = 'percent' THEN own.value - before.value
            WHEN before.value > 0.0 THEN (own.value / before.value - 1.0) * 100.0
        END AS change_1y,
        own.status
    FROM own
    INNER JOIN groups ON own.indicator = groups.hardest
    LEFT JOIN own AS before
        ON own.indicator = before.indicator
        AND own.area_kind = before.area_kind
        AND own.area = before.area
        AND own.benefit = before.benefit
        AND own."month" - 12 = before."month"
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
compared AS (
    SELECT
        targets.area_kind,
        targets.area,
        targets.indicator,
        targets.benefit,
        targets.period,
        targets.target_value,
        targets.value,
        targets.status,
        CASE
            WHEN targets.value IS NULL THEN NULL
            WHEN targets.direction = 'down' THEN targets.value <= targets.target_value
            ELSE targets.value >= targets.target_value
        END AS reached,
        groups.hardest,
        results.value AS hardest_value,
        results.last_year AS hardest_last_year,
        results.change_1y AS hardest_change_1y,
        coalesce(results.status, 'missing') AS hardest_status,
        CASE catalogue.better WHEN 'down' THEN -1.0 WHEN 'up' THEN 1.0 END AS sign
    FROM targets
    INNER JOIN groups ON targets.indicator = groups.indicator
    INNER JOIN catalogue ON groups.hardest = catalogue.indicator
    LEFT JOIN results
        ON groups.hardest = results.indicator
        AND targets.area_kind = results.area_kind
        AND targets.area = results.area
        AND coalesce(groups.hardest_benefit, targets.benefit) = results.benefit
        AND targets.period = results.period
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    period,
    target_value,
    value,
    status,
    reached,
    hardest,
    hardest_value,
    hardest_last_year,
    hardest_change_1y,
    hardest_status,
    CASE
        WHEN reached IS NULL OR hardest_change_1y IS NULL THEN 'not_yet_knowable'
        WHEN NOT reached THEN 'not_reached'
        WHEN sign * hardest_change_1y < 0.0 THEN 'reached_without_hardest'
        ELSE 'reached'
    END AS state
FROM compared
