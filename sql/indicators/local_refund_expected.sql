-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: kr.
-- why: the state refund that the ladder promises, corrections included
-- danish: Forventet refusion efter refusionstrappen
-- source: contracts, measure refund_expected_oere
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: none
-- lag_today: there is no official figure of this definition
-- lag_here: seconds after the delivery
-- counts: local_recipients
WITH cells AS (
    SELECT * FROM area_money
)
SELECT
    area_kind,
    area,
    benefit,
    "month",
    refund_expected_oere * 10000 AS value_micro,
    refund_expected_oere AS numerator,
    100 AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
