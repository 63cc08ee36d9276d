-- layer: S
-- grain: person, rank
-- unit: days since 1970, minutes a week
-- why: the offers that are not deleted, in their newest revision
-- danish: Tilbud (aktivering)
-- source: topic rettidig.cases
SELECT person, "rank", from_day, to_day, detail AS offer, minutes AS minutes_per_week
FROM event_person
WHERE kind = 3 AND is_current AND op <> 2
