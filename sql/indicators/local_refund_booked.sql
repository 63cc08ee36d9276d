-- layer: P
-- grain: area_kind, area, benefit, month
-- unit: kr.
-- why: the state refund that was booked, corrections included
-- danish: Bogført refusion
-- source: contracts, measure refund_oere
-- feeds: local-persons
-- areas: sum
-- adds_over: none
-- better: none
-- lag_today: not found; Ydelsesrefusion of January 2020 was delivered in the middle of February
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
    refund_oere * 10000 AS value_micro,
    refund_oere AS numerator,
    100 AS denominator,
    CAST(NULL AS BIGINT) AS persons
FROM cells
