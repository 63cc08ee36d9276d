-- layer: S
-- grain: person, record
-- unit: amounts in øre, days since 1970, minutes
-- why: the payments that count: rows of ledgers, and the newest revision of each record that is not deleted
-- danish: Ydelsesudbetalinger
-- source: topic rettidig.payments
SELECT
    person,
    -- 0 for rows of ledgers, which add up; a number of its own for each record
    CASE WHEN op = 0 THEN 0 ELSE "rank" + 1 END AS record,
    "rank",
    municipality,
    benefit,
    from_day,
    to_day,
    amount_oere,
    refund_oere
FROM event_person
WHERE kind = 0 AND is_current AND op <> 2
