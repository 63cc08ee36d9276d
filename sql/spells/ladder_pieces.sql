-- layer: L
-- grain: person, benefit, from_day
-- unit: days since 1970, months since January 1970
-- why: the covered days that count on the refund ladder
-- danish: Dage på refusionstrappen
-- source: Act 994 of 30 August 2015 § 3; pipeline/docs/decisions, person-level measures, 18
-- local: person
WITH pieces AS (
    SELECT * FROM day_pieces
),
rules AS (
    SELECT benefit FROM gap_rules WHERE is_newest AND in_refund_ladder
),
begin AS (
    SELECT min(CAST(CAST(valid_from AS INT) AS BIGINT)) AS first_day FROM ref_refund_ladder
)
SELECT
    pieces.person,
    pieces.municipality,
    pieces.benefit,
    pieces."month",
    greatest(pieces.from_day, begin.first_day) AS from_day,
    pieces.to_day
FROM pieces
INNER JOIN rules ON pieces.benefit = rules.benefit
CROSS JOIN begin
WHERE pieces.to_day >= begin.first_day
