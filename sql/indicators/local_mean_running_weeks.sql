-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: weeks
-- why: how long open spells have run on average, the scorecard's second result
-- danish: Gennemsnitlig varighed af løbende forløb
-- source: contracts, measures running_days and running_spells
-- feeds: local-persons
-- areas: none
-- adds_over: none
-- better: down
-- lag_today: not found
-- lag_here: seconds after the delivery
-- counts: local_open_spells
WITH cells AS (
    SELECT *, month_last("month") - month_first("month") + 1 AS days FROM area_months
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    running_days * 1000000 / (open_end * 7) AS value_micro,
    running_days AS numerator,
    open_end * 7 AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
WHERE open_end > 0
