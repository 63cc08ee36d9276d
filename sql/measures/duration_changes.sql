-- layer: A
-- grain: municipality, benefit, month, weeks
-- unit: spells
-- why: how many spells reach a length in each month, and how many of those end, so that bands of running spells are sums over months
-- danish: Bevægelser i løbende forløb efter varighed
-- source: ours; running_durations is made of it
-- accumulates: yes
WITH spells AS (
    SELECT * FROM spell_groups WHERE breakdown = 'total'
),
-- The first whole week of each band but the first.
lengths AS (
    SELECT weeks FROM (VALUES (5), (14), (27), (53), (105)) AS lengths (weeks)
),
-- At the end of the month in which a spell has run for so many weeks it is in the band, if it still runs.
reached AS (
    SELECT spells.*, lengths.weeks, month_of(spells.first_day + lengths.weeks * 7 - 1) AS reached_month
    FROM spells
    CROSS JOIN lengths
),
long_spells AS (
    SELECT * FROM reached WHERE NOT is_ended OR reached_month < last_month
),
moves AS (
    SELECT last_municipality AS municipality, benefit, reached_month AS "month", weeks, 1 AS entered, 0 AS left_stock
    FROM long_spells
    UNION ALL
    SELECT last_municipality, benefit, last_month, weeks, 0, 1
    FROM long_spells WHERE is_ended
)
SELECT
    municipality,
    benefit,
    "month",
    weeks,
    sum(entered) AS entered,
    sum(left_stock) AS left_stock
FROM moves
GROUP BY municipality, benefit, "month", weeks
