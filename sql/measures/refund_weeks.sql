-- layer: A
-- grain: municipality, month, monday
-- unit: øre, persons
-- why: by week the refund that the ladder promises, what is booked of it, and how many persons are behind them
-- danish: Forventet og bogført refusion pr. uge
-- source: ours; a week has the date of its Monday and lies in the Monday's month
WITH refunds AS (
    SELECT * FROM weekly_refunds WHERE refund_expected_oere <> 0 OR refund_oere <> 0
)
SELECT
    municipality,
    month_of(monday) AS "month",
    monday,
    sum(refund_expected_oere) AS refund_expected_oere,
    sum(refund_oere) AS refund_oere,
    count(*) AS persons,
    sum(CASE WHEN refund_oere <> 0 THEN 1 ELSE 0 END) AS booked_persons
FROM refunds
GROUP BY municipality, month_of(monday), monday
