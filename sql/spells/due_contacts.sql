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
)
SELECT
    contacts.person,
    contacts."rank",
    contacts.municipality,
    month_of(contacts.due_day) AS "month",
    coalesce(contacts.held_day <= contacts.due_day, false) AS is_on_time
FROM contacts
CROSS JOIN as_of_date
WHERE contacts.due_day <= as_of_date.as_of_day
