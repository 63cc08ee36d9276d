-- layer: A
-- grain: area_kind, area, month, monday
-- unit: øre, persons
-- why: the refund of each municipality and of each week that is over, as far as it is shown
-- danish: Forventet og bogført refusion pr. kommune og uge
-- source: ours; a running week is left out, because of its first few persons nothing could be shown, then or later
-- derived: yes
WITH weeks AS (
    SELECT * FROM refund_weeks
),
areas AS (
    SELECT * FROM month_areas WHERE area_kind = 'municipality'
),
as_of_date AS (
    SELECT * FROM as_of
)
SELECT
    areas.area_kind,
    areas.area,
    weeks."month",
    weeks.monday,
    sum(weeks.refund_expected_oere) AS refund_expected_oere,
    sum(weeks.refund_oere) AS refund_oere,
    sum(weeks.persons) AS persons,
    sum(weeks.booked_persons) AS booked_persons
FROM weeks
INNER JOIN areas ON weeks.municipality = areas.municipality AND weeks."month" = areas."month"
CROSS JOIN as_of_date
WHERE weeks.monday + 6 <= as_of_date.as_of_day
GROUP BY areas.area_kind, areas.area, weeks."month", weeks.monday
