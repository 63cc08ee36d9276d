-- layer: A
-- grain: municipality, month
-- unit: interviews
-- why: of the interviews due in a month, how many were held in time
-- danish: Rettidighed af samtaler
-- source: contracts, measures contacts_due and contacts_on_time
WITH contacts AS (
    SELECT * FROM due_contacts
)
SELECT
    municipality,
    "month",
    count(*) AS contacts_due,
    sum(CASE WHEN is_on_time THEN 1 ELSE 0 END) AS contacts_on_time
FROM contacts
GROUP BY municipality, "month"
