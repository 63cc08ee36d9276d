-- layer: S
-- grain: person, rank
-- unit: days since 1970
-- why: the origin of a person and since when it is known
-- danish: Herkomst
-- source: topic rettidig.cases; the groups are those of Danmarks Statistik
SELECT
    person,
    "rank",
    from_day,
    CASE detail WHEN 'danish' THEN 1 WHEN 'western' THEN 2 WHEN 'non_western' THEN 3 END AS origin
FROM event_person
WHERE kind = 5 AND is_current AND op <> 2
