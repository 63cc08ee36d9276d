-- layer: L
-- grain: person, municipality, benefit, month
-- unit: øre
-- why: a person's money by month; an interval over several months is spread by days
-- danish: Udbetalt ydelse og refusion
-- source: ours (pipeline/docs/decisions, person-level measures, 5)
-- local: person
WITH intervals AS (
    SELECT *, unnest(range(month_of(from_day), month_of(to_day) + 1)) AS "month" FROM intervals
)
SELECT
    person,
    municipality,
    benefit,
    "month",
    sum(month_share(amount_oere, from_day, to_day, "month")) AS amount_oere,
    sum(month_share(refund_oere, from_day, to_day, "month")) AS refund_oere,
    sum(CASE WHEN is_counting THEN month_share(amount_oere, from_day, to_day, "month") ELSE 0 END) AS counting_oere
FROM intervals
GROUP BY person, municipality, benefit, "month"
