-- layer: A
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: open spells by the weeks that they have run, in the country and its regions
-- danish: Igangværende forløb efter varighed
-- source: ours (pipeline/docs/decisions, spells published, 1); membership of sql/reference/areas.csv at the month's end
-- derived: yes
WITH durations AS (
    SELECT * FROM running_durations
),
areas AS (
    SELECT * FROM month_areas WHERE area_kind IN ('region', 'country')
),
-- Nobody is a number, too: without it the others could be told from their sum.
bands AS (
    SELECT band FROM (VALUES ('0-4'), ('5-13'), ('14-26'), ('27-52'), ('53-104'), ('105+')) AS bands (band)
),
sums AS (
    SELECT areas.area_kind, areas.area, durations.benefit, durations."month", durations.duration_band, sum(durations.spells) AS spells
    FROM durations
    INNER JOIN areas ON durations.municipality = areas.municipality AND durations."month" = areas."month"
    GROUP BY areas.area_kind, areas.area, durations.benefit, durations."month", durations.duration_band
),
series AS (
    SELECT area_kind, area, benefit, "month" FROM sums GROUP BY area_kind, area, benefit, "month"
)
SELECT
    series.area_kind,
    series.area,
    series.benefit,
    series."month",
    'weeks' AS breakdown,
    bands.band AS breakdown_value,
    coalesce(sums.spells, 0) AS spells
FROM series
CROSS JOIN bands
LEFT JOIN sums
    ON series.area_kind = sums.area_kind
    AND series.area = sums.area
    AND series.benefit = sums.benefit
    AND series."month" = sums."month"
    AND bands.band = sums.duration_band
