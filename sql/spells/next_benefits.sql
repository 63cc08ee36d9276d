-- layer: L
-- grain: person, benefit, spell
-- unit: days since 1970
-- why: which other benefit covers the day after a spell's last day; of several the one with the lowest number
-- danish: Overgang mellem ydelser
-- source: ours (pipeline/docs/decisions, spells published, 2)
-- local: person
WITH spells AS (
    SELECT * FROM spells WHERE is_ended
),
runs AS (
    SELECT * FROM day_runs
),
codes AS (
    SELECT CAST("number" AS BIGINT) AS benefit, min(code) AS code FROM ref_benefits GROUP BY "number"
),
following AS (
    SELECT spells.person, spells.benefit, spells.spell, min(runs.benefit) AS next_number
    FROM spells
    INNER JOIN runs
        ON spells.person = runs.person AND runs.from_day <= spells.last_day + 1 AND runs.to_day > spells.last_day
    WHERE runs.benefit <> spells.benefit
    GROUP BY spells.person, spells.benefit, spells.spell
)
SELECT
    spells.person,
    spells.benefit,
    spells.spell,
    spells.last_municipality AS municipality,
    month_of(spells.last_day) AS end_month,
    coalesce(codes.code, 'none') AS next_benefit
FROM spells
LEFT JOIN following
    ON spells.person = following.person AND spells.benefit = following.benefit AND spells.spell = following.spell
LEFT JOIN codes ON following.next_number = codes.benefit
