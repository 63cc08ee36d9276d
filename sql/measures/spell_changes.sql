-- layer: A
-- grain: municipality, benefit, month, breakdown, breakdown_value
-- unit: spells; first days as days since 1970
-- why: what enters and leaves the stock of open spells in each month, so that a stock is a sum over months and a new month touches nobody
-- danish: Bevægelser i løbende forløb
-- source: ours; spell_stocks, long_sickness and labour_reserve are made of it
-- accumulates: yes
WITH spells AS (
    -- The months in which a spell has lasted 92 and 183 days: from their ends on it belongs to the reserve, and is a long one.
    SELECT *, month_of(first_day + 91) AS reserve_month, month_of(first_day + 182) AS long_month FROM spell_groups
),
sickness AS (
    SELECT "number" AS benefit FROM ref_benefits WHERE code = 'sickness' GROUP BY "number"
),
unemployed AS (
    SELECT "number" AS benefit FROM ref_benefits WHERE code IN ('unemployment', 'cash') GROUP BY "number"
),
reserve AS (
    SELECT spells.*
    FROM spells
    INNER JOIN unemployed ON spells.benefit = unemployed.benefit
    WHERE NOT spells.is_ended OR spells.reserve_month < spells.last_month
),
long_spells AS (
    SELECT spells.*
    FROM spells
    INNER JOIN sickness ON spells.benefit = sickness.benefit
    WHERE NOT spells.is_ended OR spells.long_month < spells.last_month
),
moves AS (
    SELECT
        last_municipality AS municipality, benefit, first_month AS "month", breakdown, breakdown_value,
        1 AS entered, first_day AS entered_days, 0 AS left_stock, 0 AS left_days, 0 AS long_entered, 0 AS long_left,
        0 AS reserve_entered, 0 AS reserve_left
    FROM spells
    UNION ALL
    SELECT last_municipality, benefit, last_month, breakdown, breakdown_value, 0, 0, 1, first_day, 0, 0, 0, 0
    FROM spells WHERE is_ended
    UNION ALL
    SELECT last_municipality, benefit, long_month, breakdown, breakdown_value, 0, 0, 0, 0, 1, 0, 0, 0
    FROM long_spells
    UNION ALL
    SELECT last_municipality, benefit, last_month, breakdown, breakdown_value, 0, 0, 0, 0, 0, 1, 0, 0
    FROM long_spells WHERE is_ended
    UNION ALL
    SELECT last_municipality, benefit, reserve_month, breakdown, breakdown_value, 0, 0, 0, 0, 0, 0, 1, 0
    FROM reserve
    UNION ALL
    SELECT last_municipality, benefit, last_month, breakdown, breakdown_value, 0, 0, 0, 0, 0, 0, 0, 1
    FROM reserve WHERE is_ended
)
SELECT
    municipality,
    benefit,
    "month",
    breakdown,
    breakdown_value,
    sum(entered) AS entered,
    sum(entered_days) AS entered_days,
    sum(left_stock) AS left_stock,
    sum(left_days) AS left_days,
    sum(long_entered) AS long_entered,
    sum(long_left) AS long_left,
    sum(reserve_entered) AS reserve_entered,
    sum(reserve_left) AS reserve_left
FROM moves
GROUP BY municipality, benefit, "month", breakdown, breakdown_value
