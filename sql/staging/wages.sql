-- layer: S
-- grain: person, rank
-- unit: øre, months since January 1970
-- why: the wages that count, by month
-- danish: Lønindkomst
-- source: topic rettidig.income
SELECT person, "rank", month_of(from_day) AS "month", amount_oere AS wage_oere
FROM event_person
WHERE kind = 6 AND is_current AND op <> 2
