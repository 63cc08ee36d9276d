-- layer: T
-- grain: area, week
-- unit: øre
-- why: which weeks' state refund the ladder promises and the municipality has not booked, before anybody has to look for it
-- danish: Refusionsovervågning: forventet mod bogført refusion pr. uge
-- source: ours
WITH weeks AS (
    SELECT * FROM local_indicators WHERE breakdown = 'week' AND area_kind = 'municipality'
),
as_of_date AS (
    SELECT * FROM as_of
),
-- Ours: refund comes with the month's statement, in the middle of the next one, so eight weeks are no reason to ask; nor are two percent,
-- which the division of a payment over weeks may shift.
limits AS (
    SELECT * FROM (VALUES (8, 2)) AS limits (patience_weeks, tolerance_percent)
),
pairs AS (
    SELECT
        expected.area,
        expected.breakdown_value,
        CAST(expected.breakdown_value AS DATE) AS week,
        expected.numerator AS expected_oere,
        booked.numerator AS booked_oere,
        CASE
            WHEN expected.status = 'hidden' OR booked.status = 'hidden' THEN 'hidden'
            WHEN expected.status = 'incomplete' OR booked.status = 'incomplete' THEN 'incomplete'
            WHEN expected.numerator IS NULL OR booked.numerator IS NULL THEN 'missing'
            ELSE expected.status
        END AS status
    FROM weeks AS expected
    INNER JOIN weeks AS booked ON expected.area = booked.area AND expected.breakdown_value = booked.breakdown_value
    WHERE expected.indicator = 'local_weekly_refund_expected' AND booked.indicator = 'local_weekly_refund_booked'
),
aged AS (
    SELECT
        pairs.*,
        limits.patience_weeks,
        limits.tolerance_percent,
        (as_of_date.as_of_day - CAST(CAST(pairs.week AS INT) AS BIGINT) - 6) / 7 AS weeks_old
    FROM pairs
    CROSS JOIN as_of_date
    CROSS JOIN limits
)
SELECT
    area,
    week,
    expected_oere,
    booked_oere,
    expected_oere - booked_oere AS difference_oere,
    weeks_old,
    status,
    CASE
        WHEN status IN ('hidden', 'missing') THEN status
        WHEN abs(expected_oere - booked_oere) * 100 <= tolerance_percent * abs(expected_oere) THEN 'settled'
        WHEN status = 'incomplete' THEN status
        WHEN booked_oere > expected_oere THEN 'over_booked'
        WHEN weeks_old < patience_weeks THEN 'awaited'
        ELSE 'overdue'
    END AS state
FROM aged
