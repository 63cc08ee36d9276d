-- layer: S
-- grain: person, rank
-- unit: months since January 1970
-- why: what each row says of the person, superseded and deleted rows included
-- danish: Personoplysninger
-- source: topics rettidig.payments, rettidig.cases, rettidig.income
SELECT person, "rank", birth_month, sex
FROM event_person
WHERE birth_month IS NOT NULL OR sex IS NOT NULL
