-- layer: S
-- grain: person, rank
-- unit: days since 1970
-- why: the Danish tests that are not deleted, in their newest revision
-- danish: Danskprøver
-- source: topic rettidig.cases
SELECT person, "rank", municipality, from_day AS test_day, detail AS test_level, passed, school
FROM event_person
WHERE kind = 4 AND is_current AND op <> 2
