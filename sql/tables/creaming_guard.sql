-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicators, change_1y in percent, of percentages in points
-- why: beside every target its hardest group's result: who reaches a target with the easiest cases alone is seen
-- danish: Målopfyldelse og de svageste gruppers resultat
-- source: ours (pipeline/docs/decisions, steering model, 4), after Mødrehjælpen's and KORA's warnings about creaming
WITH targets AS (
    SELECT * FROM targets WHERE newest
),
groups AS (
    SELECT * FROM ref_hardest_groups
),
official AS (
    SELECT area_kind, area, indicator, benefit, period, unit, value, last_year, change_1y, status
    FROM comparisons
    WHERE breakdown = 'total'
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
        official.value AS hardest_value,
        official.last_year AS hardest_last_year,
        official.change_1y AS hardest_change_1y,
        coalesce(official.status, 'missing') AS hardest_status,
        CASE catalogue.better WHEN 'down' THEN -1.0 WHEN 'up' THEN 1.0 END AS sign
    FROM targets
    INNER JOIN groups ON targets.indicator = groups.indicator
    INNER JOIN catalogue ON groups.hardest = catalogue.indicator
    LEFT JOIN official
        ON groups.hardest = official.indicator
        AND targets.area_kind = official.area_kind
        AND targets.area = official.area
        AND targets.benefit = official.benefit
        AND targets.period = official.period
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
