-- layer: A
-- grain: area_kind, area, benefit, month
-- unit: days, persons, spells
-- why: who is on a benefit, by municipality, jobcentre, cluster, region and country
-- danish: Ydelser pr. område og måned
-- source: ours; membership of sql/reference/areas.csv at the month's end
-- derived: yes
WITH covered AS (
    SELECT * FROM covered WHERE breakdown = 'total'
),
flows AS (
    SELECT * FROM spell_flows WHERE breakdown = 'total'
),
stocks AS (
    SELECT * FROM spell_stocks WHERE breakdown = 'total'
),
activated AS (
    SELECT * FROM activated WHERE breakdown = 'total'
),
areas AS (
    SELECT * FROM month_areas
),
cells AS (
    SELECT
        municipality, benefit, "month", covered_days, recipients, 0 AS started, 0 AS ended, 0 AS open_end, 0 AS running_days,
        0 AS activated_days
    FROM covered
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, started, ended, 0, 0, 0 FROM flows
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, 0, 0, open_end, running_days, 0 FROM stocks
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, 0, 0, 0, 0, activated_days FROM activated
)
SELECT
    areas.area_kind,
    areas.area,
    cells.benefit,
    cells."month",
    sum(cells.covered_days) AS covered_days,
    sum(cells.recipients) AS recipients,
    sum(cells.started) AS started,
    sum(cells.ended) AS ended,
    sum(cells.open_end) AS open_end,
    sum(cells.running_days) AS running_days,
    sum(cells.activated_days) AS activated_days
FROM cells
INNER JOIN areas ON cells.municipality = areas.municipality AND cells."month" = areas."month"
GROUP BY areas.area_kind, areas.area, cells.benefit, cells."month"
