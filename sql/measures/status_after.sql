-- layer: A
-- grain: municipality, benefit, month, months_after
-- unit: spells
-- why: where people are 1, 3, 6 and 12 months after a benefit; pending until the month's wages are there
-- danish: Arbejdsmarkedsstatus efter afsluttet forløb
-- source: contracts, measure status_after
WITH statuses AS (
    SELECT * FROM ended_statuses
)
SELECT
    municipality,
    benefit,
    end_month AS "month",
    months_after,
    sum(CASE WHEN status_after = 'employed' THEN 1 ELSE 0 END) AS employed,
    sum(CASE WHEN status_after = 'other_benefit' THEN 1 ELSE 0 END) AS other_benefit,
    sum(CASE WHEN status_after = 'neither' THEN 1 ELSE 0 END) AS neither,
    sum(CASE WHEN status_after = 'pending' THEN 1 ELSE 0 END) AS pending
FROM statuses
GROUP BY municipality, benefit, end_month, months_after
