-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: weeks
-- why: how long the spells that ended in a month had lasted on average; never to be mixed with the duration of open ones
-- danish: Gennemsnitlig varighed af afsluttede forløb
-- source: contracts, measure ended_days
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: down
-- lag_today: not found (jobindsats.dk tables a27)
-- lag_here: seconds after the delivery; an end is known when a whole calendar month without the benefit is over, 4 to 9 weeks after it
-- counts: local_ended_spells
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    ended_days * 1000000 / (ended * 7) AS value_micro,
    ended_days AS numerator,
    ended * 7 AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE ended > 0
