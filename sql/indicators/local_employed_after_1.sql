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
-- lag_today: as after 3 months: by quarter, jobindsats.dk tables b15: 144 to 234 days for unemployment benefit (y01b15), 415 to 506 for cash benefit (y60b15)
-- lag_here: seconds after the delivery of the wages of the month 1 month after the end
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
