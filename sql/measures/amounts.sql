-- layer: A
-- grain: municipality, benefit, month
-- unit: øre
-- why: what was paid and what refund was booked
-- danish: Udbetalt ydelse og bogført refusion
-- source: contracts, measures amount_oere and refund_oere
WITH money AS (
    SELECT * FROM interval_months
)
SELECT municipality, benefit, "month", sum(amount_oere) AS amount_oere, sum(refund_oere) AS refund_oere
FROM money
GROUP BY municipality, benefit, "month"
