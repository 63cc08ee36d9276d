-- layer: L
-- grain: person, benefit, spell, breakdown
-- unit: days since 1970, months since January 1970
-- why: spells under the age group, sex and origin at their start, which they keep
-- danish: Forløb efter alder, køn og herkomst
-- source: ours (pipeline/docs/decisions, person-level measures, 11)
-- local: person
WITH spells AS (
    SELECT * FROM spells
),
breakdowns AS (
    SELECT * FROM breakdowns
)
SELECT
    spells.*,
    month_of(spells.first_day) AS first_month,
    month_of(spells.last_day) AS last_month,
    breakdowns.breakdown,
    breakdowns.breakdown_value
FROM spells
INNER JOIN breakdowns ON spells.person = breakdowns.person AND breakdowns."month" = month_of(spells.first_day)
