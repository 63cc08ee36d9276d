-- layer: A
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: ended spells by the weeks that they had lasted, in the country and its regions, and by the next benefit, in the country
-- danish: Afsluttede forløb efter varighed og næste ydelse
-- source: ours (pipeline/docs/decisions, spells published, 1 and 2); membership of sql/reference/areas.csv at the month's end
-- derived: yes
WITH durations AS (
    SELECT * FROM ended_durations
),
moves AS (
    SELECT * FROM benefit_moves
),
areas AS (
    SELECT * FROM month_areas WHERE area_kind IN ('region', 'country')
),
benefits AS (
    SELECT code FROM ref_benefits GROUP BY code
),
-- Nobody is a number, too: without it the others could be told from their sum.
groups AS (
    SELECT 'weeks' AS breakdown, band AS breakdown_value
    FROM (VALUES ('0-4'), ('5-13'), ('14-26'), ('27-52'), ('53-104'), ('105+')) AS bands (band)
    UNION ALL
    SELECT 'next_benefit' AS breakdown, 'none' AS breakdown_value
    UNION ALL
    SELECT 'next_benefit' AS breakdown, code AS breakdown_value FROM benefits
),
cells AS (
    SELECT municipality, benefit, "month", 'weeks' AS breakdown, duration_band AS breakdown_value, spells FROM durations
    UNION ALL
    SELECT municipality, benefit, "month", 'next_benefit' AS breakdown, next_benefit AS breakdown_value, spells FROM moves
),
sums AS (
    SELECT areas.area_kind, areas.area, cells.benefit, cells."month", cells.breakdown, cells.breakdown_value, sum(cells.spells) AS spells
    FROM cells
    INNER JOIN areas ON cells.municipality = areas.municipality AND cells."month" = areas."month"
    GROUP BY areas.area_kind, areas.area, cells.benefit, cells."month", cells.breakdown, cells.breakdown_value
),
series AS (
    SELECT area_kind, area, benefit, "month" FROM sums GROUP BY area_kind, area, benefit, "month"
)
SELECT
    series.area_kind,
    series.area,
    series.benefit,
    series."month",
    groups.breakdown,
    groups.breakdown_value,
    coalesce(sums.spells, 0) AS spells
FROM series
CROSS JOIN groups
LEFT JOIN sums
    ON series.area_kind = sums.area_kind
    AND series.area = sums.area
    AND series.benefit = sums.benefit
    AND series."month" = sums."month"
    AND groups.breakdown = sums.breakdown
    AND groups.breakdown_value = sums.breakdown_value
WHERE groups.breakdown = 'weeks' OR series.area_kind = 'country'
