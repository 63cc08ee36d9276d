-- layer: L
-- grain: person, benefit, spell
-- unit: days from the last day of the spell to the first of the next
-- why: how soon a person is back on the benefit that was left
-- danish: Tilbagefald
-- source: ours (pipeline/docs/decisions, person-level measures, 14)
-- local: person
WITH spells AS (
    SELECT * FROM spells
)
SELECT
    ended.person,
    ended.benefit,
    ended.spell,
    ended.last_municipality AS municipality,
    month_of(ended.last_day) AS end_month,
    following.first_day - ended.last_day AS days_until
FROM spells AS ended
INNER JOIN spells AS following
    ON ended.person = following.person AND ended.benefit = following.benefit AND following.spell = ended.spell + 1
WHERE ended.is_ended
