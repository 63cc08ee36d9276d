-- layer: T
-- grain: area_kind, area
-- unit: persons
-- why: how many belong to the labour force of an area, as the publisher's own rate implies; what levels are divided by
-- danish: Arbejdsstyrken, som de offentliggjorte ledighedsprocenter forudsætter
-- source: ours: sums of the count over sums of the rate of Jobindsats.dk / STAR, table y25i01, over the newest twelve months
WITH indicators AS (
    SELECT * FROM indicators
),
areas AS (
    SELECT * FROM ref_areas WHERE valid_to IS NULL
),
counts AS (
    SELECT area_kind, area, period, value
    FROM indicators
    WHERE indicator = 'full_time_unemployed' AND benefit = 'total' AND breakdown = 'total' AND value IS NOT NULL
),
rates AS (
    SELECT area_kind, area, period, value
    FROM indicators
    WHERE indicator = 'full_time_unemployed_rate' AND benefit = 'total' AND breakdown = 'total' AND value > 0.0
),
-- A rate is published with one decimal; over twelve months what rounding adds and takes away evens out.
ranked AS (
    SELECT
        counts.area_kind,
        counts.area,
        counts.period,
        CAST(round(counts.value * 1000000.0) AS BIGINT) AS count_micro,
        CAST(round(rates.value * 1000000.0) AS BIGINT) AS rate_micro,
        row_number() OVER (PARTITION BY counts.area_kind, counts.area ORDER BY counts.period DESC) AS place
    FROM counts
    INNER JOIN rates
        ON counts.area_kind = rates.area_kind AND counts.area = rates.area AND counts.period = rates.period
    WHERE counts.area_kind IN ('municipality', 'country')
),
implied AS (
    SELECT
        area_kind,
        area,
        max(period) AS newest_period,
        count(*) AS months,
        CAST(round(CAST(sum(count_micro) AS DOUBLE) * 100.0 / CAST(sum(rate_micro) AS DOUBLE)) AS BIGINT) AS labour_force
    FROM ranked
    WHERE place <= 12
    GROUP BY area_kind, area
),
members AS (
    SELECT municipality, 'jobcentre' AS area_kind, jobcentre AS area FROM areas
    UNION ALL
    SELECT municipality, 'cluster' AS area_kind, "cluster" AS area FROM areas
    UNION ALL
    SELECT municipality, 'region' AS area_kind, region AS area FROM areas
),
-- An area of which one municipality is not known has no sum.
sums AS (
    SELECT
        members.area_kind,
        members.area,
        min(implied.newest_period) AS newest_period,
        min(implied.months) AS months,
        sum(implied.labour_force) AS labour_force
    FROM members
    LEFT JOIN implied ON implied.area_kind = 'municipality' AND members.municipality = implied.area
    GROUP BY members.area_kind, members.area
    HAVING count(*) = count(implied.area)
)
SELECT area_kind, area, newest_period, months, labour_force FROM implied
UNION ALL
SELECT area_kind, area, newest_period, months, labour_force FROM sums
