-- layer: S
-- grain: person, rank
-- unit: days since 1970
-- why: the interviews that are not deleted, in their newest revision
-- danish: Samtaler
-- source: topic rettidig.cases
SELECT person, "rank", municipality, from_day AS due_day, to_day AS held_day, detail AS form
FROM event_person
WHERE kind = 2 AND is_current AND op <> 2
