-- layer: A
-- grain: area_kind, area, benefit, month
-- unit: øre
-- why: what was paid, what refund was booked and what refund the ladder promises, by area
-- danish: Udbetalt ydelse og refusion pr. område og måned
-- source: ours; membership of sql/reference/areas.csv at the month's end
-- derived: yes
WITH money AS (
    SELECT * FROM amounts
),
expected AS (
    SELECT * FROM refund_expected
),
areas AS (
    SELECT * FROM month_areas
),
cells AS (
    SELECT municipality, benefit, "month", amount_oere, refund_oere, 0 AS refund_expected_oere FROM money
    UNION ALL
    SELECT municipality, benefit, "month", 0, 0, refund_expected_oere FROM expected
)
SELECT
    areas.area_kind,
    areas.area,
    cells.benefit,
    cells."month",
    sum(cells.amount_oere) AS amount_oere,
    sum(cells.refund_oere) AS refund_oere,
    sum(cells.refund_expected_oere) AS refund_expected_oere
FROM cells
INNER JOIN areas ON cells.municipality = areas.municipality AND cells."month" = areas."month"
GROUP BY areas.area_kind, areas.area, cells.benefit, cells."month"
