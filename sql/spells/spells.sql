-- layer: L
-- grain: person, benefit, spell
-- unit: days since 1970
-- why: covered days joined to spells by the benefit's gap rule, and whether a spell has ended at the as-of date
-- danish: Forløb
-- source: jobindsats.dk, notes of October 2017 and August 2019 (pipeline/docs/decisions, person-level measures, 8 to 10)
-- local: person
WITH runs AS (
    SELECT * FROM day_runs
),
rules AS (
    SELECT * FROM gap_rules
),
as_of_date AS (
    SELECT * FROM as_of
),
neighbours AS (
    SELECT *, lag(to_day) OVER (PARTITION BY person, benefit ORDER BY from_day) AS day_before FROM runs
),
joined AS (
    SELECT
        neighbours.*,
        CASE
            WHEN neighbours.day_before IS NULL THEN 1
            WHEN coalesce(valid.gap_days, newest.gap_days) = 0
                THEN CASE WHEN month_of(neighbours.from_day) - month_of(neighbours.day_before) >= 2 THEN 1 ELSE 0 END
            WHEN neighbours.from_day - neighbours.day_before - 1 >= coalesce(valid.gap_days, newest.gap_days) THEN 1
            ELSE 0
        END AS begins
    FROM neighbours
    LEFT JOIN rules AS valid
        ON neighbours.benefit = valid.benefit
        AND neighbours.day_before >= valid.valid_from
        AND (valid.valid_to IS NULL OR neighbours.day_before <= valid.valid_to)
    INNER JOIN rules AS newest ON neighbours.benefit = newest.benefit AND newest.is_newest
),
numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY person, benefit ORDER BY from_day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spell
    FROM joined
),
spans AS (
    SELECT
        person,
        benefit,
        spell,
        min(from_day) AS first_day,
        max(to_day) AS last_day,
        -- the municipality of the first and of the last day; days before 1970 are negative
        min((from_day + 1000000) * 1000 + municipality) % 1000 AS first_municipality,
        max((to_day + 1000000) * 1000 + municipality) % 1000 AS last_municipality
    FROM numbered
    GROUP BY person, benefit, spell
),
ends AS (
    SELECT
        spans.*,
        CASE
            WHEN coalesce(valid.gap_days, newest.gap_days) = 0 THEN month_last(month_of(spans.last_day) + 1)
            ELSE spans.last_day + coalesce(valid.gap_days, newest.gap_days)
        END AS ends_on
    FROM spans
    LEFT JOIN rules AS valid
        ON spans.benefit = valid.benefit
        AND spans.last_day >= valid.valid_from
        AND (valid.valid_to IS NULL OR spans.last_day <= valid.valid_to)
    INNER JOIN rules AS newest ON spans.benefit = newest.benefit AND newest.is_newest
)
SELECT
    ends.*,
    ends.ends_on <= as_of_date.as_of_day AS is_ended,
    CASE
        WHEN ends.ends_on <= as_of_date.as_of_day THEN 'ended'
        WHEN ends.last_day < as_of_date.as_of_day - 31 THEN 'provisionally_ended'
        ELSE 'open'
    END AS spell_state
FROM ends
CROSS JOIN as_of_date
