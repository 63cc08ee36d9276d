-- layer: A
-- grain: area_kind, area, benefit, month
-- unit: spells; days
-- why: what has become of the spells that ended in a month, by area; of a window only where all of it is over
-- danish: Afsluttede forløb og hvad der siden er sket
-- source: ours; membership of sql/reference/areas.csv at the month's end
-- derived: yes
WITH durations AS (
    SELECT * FROM ended_durations
),
statuses AS (
    SELECT *, employed + other_benefit + neither AS known FROM status_after
),
long AS (
    SELECT *, employed + other_benefit + neither AS known FROM status_after_long WHERE months_after = 3
),
relapses AS (
    SELECT * FROM relapse
),
areas AS (
    SELECT * FROM month_areas
),
as_of_date AS (
    SELECT * FROM as_of
),
cells AS (
    SELECT
        municipality, benefit, "month", spells AS ended, days AS ended_days, 0 AS relapse_26, 0 AS relapse_52,
        0 AS employed_1, 0 AS known_1, 0 AS employed_3, 0 AS known_3, 0 AS employed_6, 0 AS known_6, 0 AS employed_12, 0 AS known_12,
        0 AS employed_3_long, 0 AS known_3_long
    FROM durations
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, relapse_26, relapse_52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM relapses
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, employed, known FROM long
    UNION ALL
    SELECT
        municipality, benefit, "month", 0, 0, 0, 0,
        CASE months_after WHEN 1 THEN employed ELSE 0 END, CASE months_after WHEN 1 THEN known ELSE 0 END,
        CASE months_after WHEN 3 THEN employed ELSE 0 END, CASE months_after WHEN 3 THEN known ELSE 0 END,
        CASE months_after WHEN 6 THEN employed ELSE 0 END, CASE months_after WHEN 6 THEN known ELSE 0 END,
        CASE months_after WHEN 12 THEN employed ELSE 0 END, CASE months_after WHEN 12 THEN known ELSE 0 END, 0, 0
    FROM statuses
),
sums AS (
    SELECT
        areas.area_kind,
        areas.area,
        cells.benefit,
        cells."month",
        sum(cells.ended) AS ended,
        sum(cells.ended_days) AS ended_days,
        sum(cells.relapse_26) AS relapse_26,
        sum(cells.relapse_52) AS relapse_52,
        sum(cells.employed_1) AS employed_1,
        sum(cells.known_1) AS known_1,
        sum(cells.employed_3) AS employed_3,
        sum(cells.known_3) AS known_3,
        sum(cells.employed_6) AS employed_6,
        sum(cells.known_6) AS known_6,
        sum(cells.employed_12) AS employed_12,
        sum(cells.known_12) AS known_12,
        sum(cells.employed_3_long) AS employed_3_long,
        sum(cells.known_3_long) AS known_3_long
    FROM cells
    INNER JOIN areas ON cells.municipality = areas.municipality AND cells."month" = areas."month"
    GROUP BY areas.area_kind, areas.area, cells.benefit, cells."month"
)
SELECT
    sums.area_kind,
    sums.area,
    sums.benefit,
    sums."month",
    sums.ended,
    sums.ended_days,
    sums.relapse_26,
    CASE WHEN month_last(sums."month") + 182 <= as_of_date.as_of_day THEN sums.ended ELSE 0 END AS relapse_26_of,
    sums.relapse_52,
    CASE WHEN month_last(sums."month") + 364 <= as_of_date.as_of_day THEN sums.ended ELSE 0 END AS relapse_52_of,
    sums.employed_1,
    sums.known_1,
    sums.employed_3,
    sums.known_3,
    sums.employed_6,
    sums.known_6,
    sums.employed_12,
    sums.known_12,
    sums.employed_3_long,
    sums.known_3_long
FROM sums
CROSS JOIN as_of_date
