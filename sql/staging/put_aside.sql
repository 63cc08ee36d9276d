-- layer: S
-- grain: publisher, table_id, measure, area, benefit, period, breakdown, breakdown_value
-- unit: none; a row is a figure whose message could not be used
-- why: figures that were sent but put aside, under the names that the rest of the model uses
-- danish: Frasorterede tal
-- source: dead letters of topic rettidig.official
SELECT
    publisher,
    table_id,
    measure,
    lpad(CAST(area AS VARCHAR), 4, '0') AS area,
    CASE WHEN breakdown = 'benefit' THEN breakdown_value ELSE 'total' END AS benefit,
    period,
    period_end,
    CASE WHEN breakdown = 'benefit' THEN 'total' ELSE breakdown END AS breakdown,
    CASE WHEN breakdown = 'benefit' THEN 'total' ELSE breakdown_value END AS breakdown_value
FROM event_put_aside
