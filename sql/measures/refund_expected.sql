-- layer: A
-- grain: municipality, benefit, month
-- unit: øre
-- why: the refund that the ladder promises; beside the booked one it shows what is not yet booked
-- danish: Forventet refusion
-- source: contracts, measure refund_expected_oere
WITH refunds AS (
    SELECT * FROM refunds
)
SELECT municipality, benefit, "month", sum(refund_expected_oere) AS refund_expected_oere
FROM refunds
GROUP BY municipality, benefit, "month"
