-- layer: L
-- grain: person, municipality, benefit, month
-- unit: days
-- why: on how many days of a month a person is covered, by municipality and benefit
-- danish: Dage med ydelse pr. person og måned
-- source: ours
-- local: person
WITH pieces AS (
    SELECT * FROM day_pieces
)
SELECT person, municipality, benefit, "month", sum(to_day - from_day + 1) AS days
FROM pieces
GROUP BY person, municipality, benefit, "month"
