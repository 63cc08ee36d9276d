-- layer: A
-- grain: municipality, benefit, month, duration_band
-- unit: spells
-- why: how long the spells have run that are open at a month's end
-- danish: Varighed af igangværende forløb
-- source: contracts, measures open_end and duration_band (in whole weeks)
-- derived: yes
WITH spells AS (
    SELECT municipality, benefit, "month", entered - left_stock AS more FROM spell_changes WHERE breakdown = 'total'
),
longer AS (
    SELECT municipality, benefit, "month", weeks, entered - left_stock AS more FROM duration_changes
),
as_of_date AS (
    SELECT * FROM as_of
),
bands AS (
    SELECT *
    FROM (
        VALUES (5, '5-13', '0-4'), (14, '14-26', '5-13'), (27, '27-52', '14-26'), (53, '53-104', '27-52'), (105, '105+', '53-104')
    ) AS bands (weeks, band, before)
),
-- Whoever comes into a band leaves the one before.
changes AS (
    SELECT municipality, benefit, "month", '0-4' AS duration_band, more FROM spells
    UNION ALL
    SELECT longer.municipality, longer.benefit, longer."month", bands.band, longer.more
    FROM longer INNER JOIN bands ON longer.weeks = bands.weeks
    UNION ALL
    SELECT longer.municipality, longer.benefit, longer."month", bands.before, -longer.more
    FROM longer INNER JOIN bands ON longer.weeks = bands.weeks
),
monthly AS (
    SELECT municipality, benefit, duration_band, "month", sum(more) AS more
    FROM changes
    GROUP BY municipality, benefit, duration_band, "month"
),
series AS (
    SELECT municipality, benefit, duration_band, min("month") AS first_month
    FROM monthly
    GROUP BY municipality, benefit, duration_band
),
every_month AS (
    SELECT
        series.municipality, series.benefit, series.duration_band,
        unnest(range(series.first_month, month_of(as_of_date.as_of_day) + 1)) AS "month"
    FROM series CROSS JOIN as_of_date
),
stocks AS (
    SELECT
        every_month.*,
        sum(coalesce(monthly.more, 0)) OVER (
            PARTITION BY every_month.municipality, every_month.benefit, every_month.duration_band ORDER BY every_month."month"
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS spells
    FROM every_month
    LEFT JOIN monthly
        ON every_month.municipality = monthly.municipality
        AND every_month.benefit = monthly.benefit
        AND every_month.duration_band = monthly.duration_band
        AND every_month."month" = monthly."month"
)
SELECT municipality, benefit, "month", duration_band, spells FROM stocks WHERE spells <> 0
