-- layer: L
-- grain: source, area, period
-- unit: figures as a count
-- why: what has arrived of each source, without any value, for freshness and completeness
-- danish: Modtagne tal
-- source: ours
-- local: publisher, period
-- public: yes
WITH official AS (
    SELECT * FROM official
),
figures AS (
    SELECT
        publisher, table_id, measure, area, benefit, period, period_end, breakdown, breakdown_value,
        max(published_at) AS published_at,
        max(retrieved_at) AS retrieved_at
    FROM official
    WHERE status <> 'missing'
    GROUP BY publisher, table_id, measure, area, benefit, period, period_end, breakdown, breakdown_value
)
SELECT
    publisher,
    publisher || '-' || table_id AS source,
    area,
    period,
    period_end,
    count(*) AS figures,
    max(published_at) AS published_at,
    max(retrieved_at) AS retrieved_at
FROM figures
GROUP BY publisher, table_id, area, period, period_end
