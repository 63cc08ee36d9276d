-- layer: T
-- grain: indicator, area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: value in the unit of the indicator
-- why: everything that was ever published, with the time in which it was the newest known; any table as known at an instant starts here
-- danish: Offentliggjorte værdier over tid
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
    CAST(value_micro AS DOUBLE) / 1000000.0 AS value,
    numerator,
    denominator,
    status,
    known_at,
    known_to,
    epoch
FROM disclosed
