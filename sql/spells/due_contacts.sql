-- layer: L
-- grain: person, rank
-- unit: months since January 1970
-- why: interviews that were due by the as-of date, and whether they were held in time
-- danish: Rettidige samtaler
-- source: Arbejdsmarkedsstyrelsen, Vejledning om minimumskrav (due date: faldug)
-- local: person
WITH contacts AS (
    SELECT * FROM contacts
),
as_of_date AS (
    SELECT * FROM as_of
),
due AS (
    SELECT
        contacts.person,
        contacts."rank",
        contacts.municipality,
        month_of(contacts.due_day) AS "month",
        coalesce(contacts.held_day <= contacts.due_day, false) AS is_on_time
    FROM contacts
    CROSS JOIN as_of_date
    WHERE contacts.due_day <= as_of_date.as_of_day
)
SELECT
    *,
    row_number() OVER (PARTITION BY person, municipality, "month" ORDER BY "rank") = 1 AS is_first,
    row_number() OVER (PARTITION BY person, municipality, "month", is_on_time ORDER BY "rank") = 1 AS is_first_of_kind
FROM due
