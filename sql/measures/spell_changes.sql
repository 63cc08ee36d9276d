-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: spells; first days as days since 1970
-- why: what enters and leaves the stock of open spells in each month, so that a stock is a sum over months and a new month touches nobody
-- danish: Bevægelser i løbende forløb
-- source: ours; spell_stocks and long_sickness are made of it
WITH moves AS (
    SELECT
        last_municipality AS municipality, benefit, first_month AS "month", age_group, sex, origin,
        1 AS entered, first_day AS entered_days, 0 AS left_stock, 0 AS left_days, 0 AS long_entered, 0 AS long_left
    FROM spell_groups
    UNION ALL
    SELECT
        last_municipality, benefit, last_month, age_group, sex, origin,
        0, 0, 1, first_day, 0, 0
    FROM spell_groups WHERE is_ended
    UNION ALL
    -- Longer than 182 days at a month's end, from the month in which day 183 lies.
    SELECT
        last_municipality, benefit, month_of(first_day + 182), age_group, sex, origin,
        0, 0, 0, 0, 1, 0
    FROM spell_groups WHERE benefit = 5 AND (NOT is_ended OR month_of(first_day + 182) < last_month)
    UNION ALL
    SELECT
        last_municipality, benefit, last_month, age_group, sex, origin,
        0, 0, 0, 0, 0, 1
    FROM spell_groups WHERE benefit = 5 AND is_ended AND month_of(first_day + 182) < last_month
)
SELECT
    municipality, benefit, "month", 'total' AS breakdown, 'total' AS breakdown_value,
    sum(entered) AS entered, sum(entered_days) AS entered_days, sum(left_stock) AS left_stock, sum(left_days) AS left_days,
    sum(long_entered) AS long_entered, sum(long_left) AS long_left
FROM moves GROUP BY municipality, benefit, "month"
UNION ALL
SELECT
    municipality, benefit, "month", 'age' AS breakdown, age_group AS breakdown_value,
    sum(entered) AS entered, sum(entered_days) AS entered_days, sum(left_stock) AS left_stock, sum(left_days) AS left_days,
    0 AS long_entered, 0 AS long_left
FROM moves GROUP BY municipality, benefit, "month", age_group
UNION ALL
SELECT
    municipality, benefit, "month", 'sex' AS breakdown, sex AS breakdown_value,
    sum(entered) AS entered, sum(entered_days) AS entered_days, sum(left_stock) AS left_stock, sum(left_days) AS left_days,
    0 AS long_entered, 0 AS long_left
FROM moves GROUP BY municipality, benefit, "month", sex
UNION ALL
SELECT
    municipality, benefit, "month", 'origin' AS breakdown, origin AS breakdown_value,
    sum(entered) AS entered, sum(entered_days) AS entered_days, sum(left_stock) AS left_stock, sum(left_days) AS left_days,
    0 AS long_entered, 0 AS long_left
FROM moves GROUP BY municipality, benefit, "month", origin
