-- layer: A
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: days, persons
-- why: who is on a benefit by age, sex and origin, in the country and its regions; in smaller areas only who is under 30
-- danish: Ydelser efter alder, køn og herkomst pr. område og måned
-- source: ours; membership of sql/reference/areas.csv at the month's end
-- derived: yes
-- breakdowns: yes
WITH covered AS (
    SELECT
        municipality,
        benefit,
        "month",
        breakdown,
        CASE WHEN breakdown_value IN ('16-24', '25-29') THEN '16-29' ELSE breakdown_value END AS breakdown_value,
        sum(covered_days) AS covered_days,
        sum(recipients) AS recipients
    FROM covered
    WHERE breakdown <> 'total'
    GROUP BY 1, 2, 3, 4, 5
),
areas AS (
    SELECT *, area_kind IN ('region', 'country') AS is_large FROM month_areas
),
-- Nobody is a number, too: without it the others could be told from their sum.
groups AS (
    -- Under 30 is one group: a split that only some areas have would be given away by the sums of the others.
    SELECT * FROM (
        VALUES
        (true, 'age', '16-29'), (true, 'age', '30-49'), (true, 'age', '50-59'), (true, 'age', '60+'), (true, 'age', 'unknown'),
        (true, 'sex', 'female'), (true, 'sex', 'male'), (true, 'sex', 'unknown'),
        (true, 'origin', 'danish'), (true, 'origin', 'western'), (true, 'origin', 'non_western'), (true, 'origin', 'unknown'),
        (false, 'age', '16-29'), (false, 'age', 'others')
    ) AS groups (is_large, breakdown, breakdown_value)
),
sums AS (
    SELECT
        areas.area_kind,
        areas.area,
        areas.is_large,
        covered.benefit,
        covered."month",
        covered.breakdown,
        CASE WHEN areas.is_large OR covered.breakdown_value = '16-29' THEN covered.breakdown_value ELSE 'others' END AS breakdown_value,
        sum(covered.covered_days) AS covered_days,
        sum(covered.recipients) AS recipients
    FROM covered
    INNER JOIN areas ON covered.municipality = areas.municipality AND covered."month" = areas."month"
    WHERE areas.is_large OR covered.breakdown = 'age'
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
series AS (
    SELECT area_kind, area, is_large, benefit, "month" FROM sums GROUP BY area_kind, area, is_large, benefit, "month"
)
SELECT
    series.area_kind,
    series.area,
    series.benefit,
    series."month",
    groups.breakdown,
    groups.breakdown_value,
    coalesce(sums.covered_days, 0) AS covered_days,
    coalesce(sums.recipients, 0) AS recipients
FROM series
INNER JOIN groups ON series.is_large = groups.is_large
LEFT JOIN sums
    ON series.area_kind = sums.area_kind
    AND series.area = sums.area
    AND series.benefit = sums.benefit
    AND series."month" = sums."month"
    AND groups.breakdown = sums.breakdown
    AND groups.breakdown_value = sums.breakdown_value
