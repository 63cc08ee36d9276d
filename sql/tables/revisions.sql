-- layer: T
-- grain: indicator, area_kind, area, benefit, period, breakdown, breakdown_value, new_known_at
-- unit: old and new in the unit of the indicator
-- why: every change of a published value: what it was, what it became, when and why
-- danish: Revisioner
-- source: ours
WITH disclosed AS (
    SELECT * FROM disclosed
)
SELECT
    indicator,
    area_kind,
    area,
    benefit,
    period,
    breakdown,
    breakdown_value,
    CAST(old_value_micro AS DOUBLE) / 1000000.0 AS old,
    CAST(value_micro AS DOUBLE) / 1000000.0 AS new,
    old_known_at,
    known_at AS new_known_at,
    epoch,
    CASE WHEN old_known_at IS NULL THEN 'first' ELSE 'official_release' END AS cause
FROM disclosed
WHERE old_value_micro IS DISTINCT FROM value_micro
