-- layer: L
-- grain: benefit, valid_from
-- unit: days; 0 stands for one whole calendar month
-- why: after how many uncovered days a spell of a benefit is over
-- danish: Forløbsregler
-- source: jobindsats.dk, notes of October 2017 and August 2019; sql/reference/benefits.csv
-- local: benefit
WITH benefits AS (
    SELECT * FROM ref_benefits
)
SELECT
    CAST("number" AS BIGINT) AS benefit,
    CASE
        WHEN gap_rule = 'full_calendar_month' THEN 0
        WHEN gap_rule = 'one_day' THEN 1
        ELSE CAST(substr(gap_rule, 6) AS BIGINT)
    END AS gap_days,
    in_refund_ladder,
    CAST(CAST(valid_from AS INT) AS BIGINT) AS valid_from,
    CAST(CAST(valid_to AS INT) AS BIGINT) AS valid_to,
    row_number() OVER (PARTITION BY "number" ORDER BY valid_from DESC) = 1 AS is_newest
FROM benefits
