-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: spells; running_days days
-- why: how many spells are open before and at the end of a month, and how long they have run
-- danish: Igangværende forløb og deres varighed
-- source: contracts, measures open_start, open_end, running_days, running_spells
-- derived: yes
WITH changes AS (
    SELECT * FROM spell_changes
),
as_of_date AS (
    SELECT * FROM as_of
),
series AS (
    SELECT municipality, benefit, breakdown, breakdown_value, min("month") AS first_month
    FROM changes GROUP BY municipality, benefit, breakdown, breakdown_value
),
every_month AS (
    SELECT
        series.municipality, series.benefit, series.breakdown, series.breakdown_value,
        unnest(range(series.first_month, month_of(as_of_date.as_of_day) + 1)) AS "month"
    FROM series CROSS JOIN as_of_date
),
filled AS (
    SELECT
        every_month.*,
        coalesce(changes.entered - changes.left_stock, 0) AS more,
        coalesce(changes.entered_days - changes.left_days, 0) AS more_days
    FROM every_month
    LEFT JOIN changes
        ON every_month.municipality = changes.municipality
        AND every_month.benefit = changes.benefit
        AND every_month.breakdown = changes.breakdown
        AND every_month.breakdown_value = changes.breakdown_value
        AND every_month."month" = changes."month"
),
stocks AS (
    SELECT
        *,
        sum(more) OVER series AS open_end,
        sum(more_days) OVER series AS first_days
    FROM filled
    WINDOW series AS (
        PARTITION BY municipality, benefit, breakdown, breakdown_value ORDER BY "month"
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
SELECT
    municipality, benefit, "month", breakdown, breakdown_value,
    open_end - more AS open_start,
    open_end,
    open_end * (month_last("month") + 1) - first_days AS running_days,
    open_end AS running_spells
FROM stocks
WHERE open_end <> 0 OR more <> 0 OR first_days <> 0
