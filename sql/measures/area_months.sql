-- layer: A
-- grain: area_kind, area, benefit, month
-- unit: days, persons, spells
-- why: the newest months of the person-level measures by jobcentre, cluster, region and country
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
members AS (
    SELECT
        area_kind,
        area,
        municipality,
        CAST(CAST(valid_from AS INT) AS BIGINT) AS valid_from,
        CAST(CAST(valid_to AS INT) AS BIGINT) AS valid_to
    FROM area_members
),
as_of_date AS (
    SELECT * FROM as_of
),
cells AS (
    SELECT municipality, benefit, "month", covered_days, recipients, 0 AS started, 0 AS ended, 0 AS open_end, 0 AS running_days, 0 AS activated_days FROM covered
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, started, ended, 0, 0, 0 FROM flows
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, 0, 0, open_end, running_days, 0 FROM stocks
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, 0, 0, 0, 0, activated_days FROM activated
),
months AS (
    SELECT
        lpad(CAST(cells.municipality AS VARCHAR), 4, '0') AS municipality,
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
    CROSS JOIN as_of_date
    WHERE cells."month" BETWEEN as_of_date.first_local_month AND month_of(as_of_date.as_of_day)
    GROUP BY cells.municipality, cells.benefit, cells."month"
),
areas AS (
    SELECT members.area_kind, members.area, months.*
    FROM months
    INNER JOIN members
        ON months.municipality = members.municipality
        AND month_last(months."month") >= members.valid_from
        AND (members.valid_to IS NULL OR month_last(months."month") <= members.valid_to)
    UNION ALL
    SELECT 'country' AS area_kind, '0000' AS area, months.* FROM months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    sum(covered_days) AS covered_days,
    sum(recipients) AS recipients,
    sum(started) AS started,
    sum(ended) AS ended,
    sum(open_end) AS open_end,
    sum(running_days) AS running_days,
    sum(activated_days) AS activated_days
FROM areas
GROUP BY area_kind, area, benefit, "month"
