-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: percent
-- why: the share of ended spells of more than a year whose person is in wage employment three months later: the group that is hardest to help
-- danish: Fastholdelse i job: andel beskæftigede 3 måneder efter afsluttet forløb over 1 år
-- source: ours (pipeline/docs/decisions, steering model, 4), as status_after of the contracts; wage income in the month that holds the day, not employment on the day
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: up
-- lag_today: by quarter, jobindsats.dk tables b15: 144 to 234 days for unemployment benefit (y01b15), 415 to 506 for cash benefit (y60b15); not divided by duration
-- lag_here: seconds after the delivery of the wages of the month 3 months after the end
-- counts: local_employed_spells_after_3_long
WITH cells AS (
    SELECT * FROM area_ends
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    employed_3_long * 100000000 / known_3_long AS value_micro,
    employed_3_long AS numerator,
    known_3_long AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE known_3_long > 0
