-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: percent
-- why: the share of ended spells whose person is in wage employment a month later
-- danish: Fastholdelse i job: andel beskæftigede 1 måned efter afsluttet forløb
-- source: contracts, measure status_after; wage income in the month that holds the day, not employment on the day
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: up
-- counts: local_employed_spells_after_1
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    employed_1 * 100000000 / known_1 AS value_micro,
    employed_1 AS numerator,
    known_1 AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE known_1 > 0
