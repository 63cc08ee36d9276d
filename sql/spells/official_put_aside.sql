-- layer: L
-- grain: source, area, period
-- unit: figures as a count
-- why: what was sent of each source and put aside, unless it has arrived after all; completeness expects it
-- danish: Frasorterede tal, der mangler
-- source: ours
-- local: publisher, period
-- public: yes
WITH put_aside AS (
    SELECT * FROM put_aside
),
official AS (
    SELECT * FROM official
),
figures AS (
    SELECT publisher, table_id, measure, area, benefit, period, period_end, breakdown, breakdown_value
    FROM put_aside
    GROUP BY publisher, table_id, measure, area, benefit, period, period_end, breakdown, breakdown_value
)
SELECT
    figures.publisher,
    figures.publisher || '-' || figures.table_id AS source,
    figures.area,
    figures.period,
    figures.period_end,
    count(*) AS figures
FROM figures
WHERE NOT EXISTS (
    SELECT 1
    FROM official
    WHERE
        official.publisher = figures.publisher
        AND official.table_id = figures.table_id
        AND official.measure = figures.measure
        AND official.area = figures.area
        AND official.benefit = figures.benefit
        AND official.period = figures.period
        AND official.breakdown = figures.breakdown
        AND official.breakdown_value = figures.breakdown_value
)
GROUP BY figures.publisher, figures.table_id, figures.area, figures.period, figures.period_end
