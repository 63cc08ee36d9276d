-- layer: L
-- grain: person, benefit, spell
-- unit: days since 1970, months since January 1970
-- why: spells with the age group, sex and origin at their start, which they keep
-- danish: Forløb efter alder, køn og herkomst
-- source: ours (pipeline/docs/decisions, person-level measures, 11)
-- local: person
WITH spells AS (
    SELECT * FROM spells
),
attributes AS (
    SELECT * FROM attributes
)
SELECT
    spells.*,
    month_of(spells.first_day) AS first_month,
    month_of(spells.last_day) AS last_month,
    attributes.age_group,
    attributes.sex,
    attributes.origin
FROM spells
INNER JOIN attributes ON spells.person = attributes.person AND attributes."month" = month_of(spells.first_day)
