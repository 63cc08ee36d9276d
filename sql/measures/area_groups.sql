-- layer: A
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: days, persons
-- why: who is on a benefit by age, sex and origin, in the country and its regions; smaller areas would have to be hidden
-- danish: Ydelser efter alder, køn og herkomst pr. område og måned
-- source: ours; membership of sql/reference/areas.csv at the month's end
-- derived: yes
-- breakdowns: yes
WITH covered AS (
    SELECT * FROM covered WHERE breakdown <> 'total'
),
areas AS (
    SELECT * FROM month_areas WHERE area_kind IN ('region', 'country')
),
-- Nobody is a number, too: without it the others could be told from their sum.
groups AS (
    SELECT * FROM (
        VALUES
        ('age', '16-24'), ('age', '25-29'), ('age', '30-49'), ('age', '50-59'), ('age', '60+'), ('age', 'unknown'),
        ('sex', 'female'), ('sex', 'male'), ('sex', 'unknown'),
        ('origin', 'danish'), ('origin', 'western'), ('origin', 'non_western'), ('origin', 'unknown')
    ) AS groups (breakdown, breakdown_value)
),
sums AS (
    SELECT
        areas.area_kind,
        areas.area,
        covered.benefit,
        covered."month",
        covered.breakdown,
        covered.breakdown_value,
        sum(covered.covered_days) AS covered_days,
        sum(covered.recipients) AS recipients
    FROM covered
    INNER JOIN areas ON covered.municipality = areas.municipality AND covered."month" = areas."month"
    GROUP BY areas.area_kind, areas.area, covered.benefit, covered."month", covered.breakdown, covered.breakdown_value
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
    coalesce(sums.covered_days, 0) AS covered_days,
    coalesce(sums.recipients, 0) AS recipients
FROM series
CROSS JOIN groups
LEFT JOIN sums
    ON series.area_kind = sums.area_kind
    AND series.area = sums.area
    AND series.benefit = sums.benefit
    AND series."month" = sums."month"
    AND groups.breakdown = sums.breakdown
    AND groups.breakdown_value = sums.breakdown_value
