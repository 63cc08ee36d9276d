-- layer: L
-- grain: person, benefit, from_day, to_day, record
-- unit: øre, days since 1970
-- why: what is left of each paid interval when all corrections are added up
-- danish: Nettede ydelsesperioder
-- source: ours; the netting is that of Ydelsesrefusion (rows are summed by week, person and benefit)
-- local: person
WITH payments AS (
    SELECT * FROM payments
),
netted AS (
    SELECT
        person,
        benefit,
        from_day,
        to_day,
        record,
        sum(amount_oere) AS amount_oere,
        sum(refund_oere) AS refund_oere,
        -- rank and municipality of the latest row in one number
        max("rank" * 1000 + municipality) AS latest
    FROM payments
    GROUP BY person, benefit, from_day, to_day, record
)
SELECT
    person,
    benefit,
    from_day,
    to_day,
    record,
    amount_oere,
    refund_oere,
    record = 0 AS is_ledger,
    amount_oere > 0 AS is_counting,
    latest / 1000 AS "rank",
    latest % 1000 AS municipality
FROM netted
