-- layer: A
-- grain: municipality, benefit, month, months_after
-- unit: spells
-- why: the same as status_after of spells that had lasted more than a year: the group that is hardest to help
-- danish: Arbejdsmarkedsstatus efter afsluttet forløb over 1 år
-- source: ours (pipeline/docs/decisions, steering model, 4): more than 364 days
WITH statuses AS (
    SELECT * FROM ended_statuses WHERE days > 364
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
