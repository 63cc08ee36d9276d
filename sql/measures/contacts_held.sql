-- layer: A
-- grain: municipality, month
-- unit: interviews; persons
-- why: of the interviews due in a month, how many were held in time, and how many persons are behind each
-- danish: Rettidighed af samtaler
-- source: contracts, measures contacts_due and contacts_on_time
WITH contacts AS (
    SELECT * FROM due_contacts
)
SELECT
    municipality,
    "month",
    count(*) AS contacts_due,
    sum(CASE WHEN is_on_time THEN 1 ELSE 0 END) AS contacts_on_time,
    sum(CASE WHEN is_first THEN 1 ELSE 0 END) AS persons,
    sum(CASE WHEN is_first_of_kind AND is_on_time THEN 1 ELSE 0 END) AS persons_on_time,
    sum(CASE WHEN is_first_of_kind AND NOT is_on_time THEN 1 ELSE 0 END) AS persons_late
FROM contacts
GROUP BY municipality, "month"
