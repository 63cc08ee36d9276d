-- layer: L
-- grain: person
-- unit: days since 1970, months since January 1970
-- why: when a person's cells change without an event: the first day on which time alone does it, and the first month whose wages are awaited
-- danish: Næste ændring
-- source: ours
-- local: person
WITH intervals AS (
    SELECT * FROM intervals WHERE is_counting
),
spells AS (
    SELECT * FROM spells WHERE NOT is_ended
),
statuses AS (
    SELECT * FROM ended_statuses WHERE status_after = 'pending'
),
contacts AS (
    SELECT * FROM contacts
),
tests AS (
    SELECT * FROM language_tests
),
as_of_date AS (
    SELECT * FROM as_of
),
changes AS (
    SELECT intervals.person, greatest(intervals.from_day, as_of_date.as_of_day + 1) AS wake_day, CAST(NULL AS BIGINT) AS awaited_month
    FROM intervals CROSS JOIN as_of_date WHERE intervals.to_day > as_of_date.as_of_day
    UNION ALL
    SELECT person, ends_on, CAST(NULL AS BIGINT) FROM spells
    UNION ALL
    SELECT
        person,
        CASE WHEN is_future THEN month_last(target_month) END,
        CASE WHEN NOT is_future THEN target_month END
    FROM statuses
    UNION ALL
    SELECT contacts.person, contacts.due_day, CAST(NULL AS BIGINT) FROM contacts CROSS JOIN as_of_date WHERE contacts.due_day > as_of_date.as_of_day
    UNION ALL
    SELECT tests.person, tests.test_day, CAST(NULL AS BIGINT) FROM tests CROSS JOIN as_of_date WHERE tests.test_day > as_of_date.as_of_day
)
SELECT person, min(wake_day) AS wake_day, min(awaited_month) AS awaited_month
FROM changes
GROUP BY person
