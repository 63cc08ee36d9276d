-- layer: A
-- grain: area_kind, area, benefit, month, breakdown, breakdown_value
-- unit: spells
-- why: of the spells that began in a quarter, after how many weeks they ended; of a band of weeks only when it is over for all of them
-- danish: Overlevelse: forløb efter startkvartal og varighed
-- source: ours (pipeline/docs/decisions, spells published, 3); month is the first month of the quarter
-- derived: yes
WITH curve AS (
    SELECT *, start_quarter * 3 AS "month" FROM survival
),
areas AS (
    SELECT area_kind, area, "month" FROM month_areas WHERE area_kind = 'country' GROUP BY area_kind, area, "month"
),
as_of_date AS (
    SELECT * FROM as_of
),
bands AS (
    SELECT * FROM (
        VALUES ('0-4', 0, 4), ('5-13', 5, 13), ('14-26', 14, 26), ('27-52', 27, 52), ('53-104', 53, 104)
    ) AS bands (band, from_week, to_week)
),
started AS (
    SELECT areas.area_kind, areas.area, curve.benefit, curve."month", curve.at_risk AS spells
    FROM curve
    INNER JOIN areas ON curve."month" = areas."month"
    WHERE curve."week" = 0
),
-- The last that can end in a band began on the quarter's last day; ends of a month are known when the next one is over.
settled AS (
    SELECT
        started.area_kind,
        started.area,
        started.benefit,
        started."month",
        bands.band,
        sum(CASE WHEN curve."week" BETWEEN bands.from_week AND bands.to_week THEN curve.ended ELSE 0 END) AS spells
    FROM started
    INNER JOIN curve ON started.benefit = curve.benefit AND started."month" = curve."month"
    CROSS JOIN bands
    CROSS JOIN as_of_date
    WHERE month_last(month_of(month_last(started."month" + 2) + 7 * bands.to_week + 5) + 1) <= as_of_date.as_of_day
    GROUP BY started.area_kind, started.area, started.benefit, started."month", bands.band
),
rest AS (
    SELECT
        started.area_kind, started.area, started.benefit, started."month", started.spells - sum(settled.spells) AS spells
    FROM started
    INNER JOIN settled ON started.benefit = settled.benefit AND started."month" = settled."month"
    GROUP BY started.area_kind, started.area, started.benefit, started."month", started.spells
)
SELECT area_kind, area, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value, spells FROM started
UNION ALL
SELECT area_kind, area, benefit, "month", 'weeks' AS breakdown, band AS breakdown_value, spells FROM settled
UNION ALL
SELECT area_kind, area, benefit, "month", 'weeks' AS breakdown, 'longer' AS breakdown_value, spells FROM rest
