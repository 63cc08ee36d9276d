-- layer: T
-- grain: school, round
-- unit: tests, percent, percentage points
-- why: what share of the Danish tests was passed at each language school in each test round, beside the goal
-- danish: Beståelsesprocent pr. sprogcenter og prøvetermin
-- source: contracts, measures tests and tests_passed; the goal is in sql/reference/language_goals.csv; rounds are ours
WITH figures AS (
    SELECT * FROM local_indicators WHERE area_kind = 'country' AND breakdown IN ('total', 'school')
),
goals AS (
    SELECT * FROM ref_language_goals
),
as_of_date AS (
    SELECT * FROM as_of
),
tests AS (
    SELECT * FROM figures WHERE indicator = 'local_school_tests'
),
rates AS (
    SELECT * FROM figures WHERE indicator = 'local_school_pass_rate'
),
rounds AS (
    SELECT
        tests.breakdown_value AS school,
        substr(tests.period, 1, 5) || CASE WHEN substr(tests.period, 6, 2) = '01' THEN 'H1' ELSE 'H2' END AS round,
        month_last(period_month(tests.period) + 5) AS last_day,
        tests.numerator AS tests,
        rates.numerator AS passed,
        rates.value AS pass_rate,
        CASE WHEN tests.status = 'hidden' OR rates.status = 'hidden' THEN 'hidden' ELSE rates.status END AS status
    FROM tests
    INNER JOIN rates ON tests.period = rates.period AND tests.breakdown_value = rates.breakdown_value
)
SELECT
    rounds.school,
    rounds.round,
    rounds.tests,
    rounds.passed,
    rounds.pass_rate,
    CAST(goals.pass_percent AS DOUBLE) AS goal,
    rounds.pass_rate - goals.pass_percent AS above_goal,
    rounds.pass_rate >= goals.pass_percent AS is_reached,
    -- Until a month after the round its tests are still being delivered.
    CASE WHEN rounds.status = 'final' AND rounds.last_day >= as_of_date.as_of_day - 31 THEN 'provisional' ELSE rounds.status END AS status
FROM rounds
CROSS JOIN as_of_date
LEFT JOIN goals
    ON CAST(CAST(rounds.last_day AS INT) AS DATE) >= goals.valid_from
    AND (goals.valid_to IS NULL OR CAST(CAST(rounds.last_day AS INT) AS DATE) <= goals.valid_to)
