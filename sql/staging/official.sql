-- layer: S
-- grain: publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value, published_at, retrieved_at
-- unit: value_micro in millionths of the measure's unit
-- why: the events of publishers under the names that the rest of the model uses
-- danish: Officielle tal
-- source: topic rettidig.official
SELECT
    publisher,
    table_id,
    measure,
    lpad(CAST(area AS VARCHAR), 4, '0') AS area,
    CASE WHEN breakdown = 'benefit' THEN breakdown_value ELSE 'total' END AS benefit,
    period,
    period_start,
    period_end,
    CASE WHEN breakdown = 'benefit' THEN 'total' ELSE breakdown END AS breakdown,
    CASE WHEN breakdown = 'benefit' THEN 'total' ELSE breakdown_value END AS breakdown_value,
    value_micro,
    status,
    published_at,
    retrieved_at
FROM event_official
