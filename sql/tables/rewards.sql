-- layer: T
-- grain: area_kind, area, period
-- unit: full-time persons, øre
-- why: whether an area has fewer on benefits than the rest of Sjælland would lead to expect, and the reward that follows
-- danish: Belønning pr. helårsmodtager ud over det forventede
-- source: seed (5,000 kr. per full-year recipient); ours: expected is last year's own number times the rest's development
WITH local_values AS (
    SELECT * FROM local_indicators WHERE breakdown = 'total' AND indicator = 'local_full_time_persons'
),
rules AS (
    SELECT
        *,
        length(rest_regions) - length(replace(rest_regions, ' ', '')) + 1 AS regions,
        CAST(CAST(valid_from AS INT) AS BIGINT) AS first_day,
        CAST(CAST(valid_to AS INT) AS BIGINT) AS last_day
    FROM ref_rewards
),
as_of_date AS (
    SELECT * FROM as_of
),
ranks AS (
    SELECT * FROM (VALUES (0, 'final'), (1, 'provisional'), (2, 'incomplete'), (3, 'hidden'), (4, 'missing')) AS ranks ("rank", status)
),
-- Covered days of the benefits together; a benefit without a row is one that nobody was on.
areas AS (
    SELECT
        rules.area_kind,
        rules.area,
        rules.valid_from,
        local_values.area_kind = 'region' AS is_region,
        local_values.area AS summed_area,
        local_values.period,
        CASE WHEN count(*) = count(local_values.numerator) THEN sum(local_values.numerator) END AS covered_days,
        max(local_values.denominator) AS days,
        max(ranks."rank") AS "rank"
    FROM rules
    INNER JOIN local_values
        ON strpos(' ' || rules.benefits || ' ', ' ' || local_values.benefit || ' ') > 0
        AND (
            (rules.area_kind = local_values.area_kind AND rules.area = local_values.area)
            OR (local_values.area_kind = 'region' AND strpos(' ' || rules.rest_regions || ' ', ' ' || local_values.area || ' ') > 0)
        )
    INNER JOIN ranks ON local_values.status = ranks.status
    GROUP BY rules.area_kind, rules.area, rules.valid_from, local_values.area_kind, local_values.area, local_values.period
),
own AS (
    SELECT * FROM areas WHERE NOT is_region
),
-- The regions without the area itself, so only of shown figures; all of the regions must be there.
around AS (
    SELECT area_kind, area, valid_from, period, sum(covered_days) AS covered_days, count(covered_days) AS known, count(*) AS regions, max("rank") AS "rank"
    FROM areas
    WHERE is_region
    GROUP BY area_kind, area, valid_from, period
),
months AS (
    SELECT
        own.area_kind,
        own.area,
        own.valid_from,
        own.period,
        CAST(substr(own.period, 1, 4) AS BIGINT) AS "year",
        CAST(substr(own.period, 6, 2) AS BIGINT) AS month_of_year,
        own.covered_days AS own_days,
        CASE WHEN around.known = rules.regions THEN around.covered_days - own.covered_days END AS rest_days,
        own.days,
        greatest(own."rank", around."rank", CASE WHEN around.regions = rules.regions THEN 0 ELSE 4 END) AS "rank",
        rules.amount_oere,
        rules.first_day,
        month_of(rules.first_day) AS rule_month,
        rules.last_day
    FROM own
    INNER JOIN around
        ON own.area_kind = around.area_kind
        AND own.area = around.area
        AND own.valid_from = around.valid_from
        AND own.period = around.period
    INNER JOIN rules ON own.area_kind = rules.area_kind AND own.area = rules.area AND own.valid_from = rules.valid_from
),
-- Months that are over, beside the same month last year.
compared AS (
    SELECT
        months.area_kind,
        months.area,
        months.valid_from,
        months.period,
        months."year",
        months.month_of_year,
        -- of a rule that begins within a year, the first month that ends in it
        greatest(months.rule_month - (months."year" - 1970) * 12, 0) AS months_before,
        months.days,
        months.amount_oere,
        months.own_days,
        months.rest_days,
        before.own_days AS own_days_before,
        before.rest_days AS rest_days_before,
        before.days AS days_before,
        greatest(months."rank", before."rank") AS "rank",
        month_last((months."year" - 1970) * 12 + 11) - month_first((months."year" - 1970) * 12) + 1 AS days_of_year
    FROM months
    INNER JOIN months AS before
        ON months.area_kind = before.area_kind
        AND months.area = before.area
        AND months.valid_from = before.valid_from
        AND months."year" - 1 = before."year"
        AND months.month_of_year = before.month_of_year
    CROSS JOIN as_of_date
    WHERE
        month_last((months."year" - 1970) * 12 + months.month_of_year - 1) <= as_of_date.as_of_day
        AND month_last((months."year" - 1970) * 12 + months.month_of_year - 1) >= months.first_day
        AND (months.last_day IS NULL OR month_last((months."year" - 1970) * 12 + months.month_of_year - 1) <= months.last_day)
),
to_date AS (
    SELECT
        *,
        max("rank") OVER from_january AS rank_to_date,
        count(*) OVER from_january = month_of_year - months_before AS is_whole,
        sum(days) OVER from_january AS days_sum,
        sum(own_days) OVER from_january AS own_sum,
        sum(rest_days) OVER from_january AS rest_sum,
        sum(own_days_before) OVER from_january AS own_sum_before,
        sum(rest_days_before) OVER from_january AS rest_sum_before
    FROM compared
    WINDOW from_january AS (PARTITION BY area_kind, area, valid_from, "year" ORDER BY month_of_year ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
expected AS (
    SELECT
        *,
        CASE
            WHEN rest_days_before > 0 THEN CAST(own_days_before AS DOUBLE) * rest_days / rest_days_before
        END AS expected_days,
        CASE
            WHEN is_whole AND rank_to_date <= 1 AND rest_sum_before > 0 THEN CAST(own_sum_before AS DOUBLE) * rest_sum / rest_sum_before
        END AS expected_sum
    FROM to_date
)
SELECT
    expected.area_kind,
    expected.area,
    expected.period,
    CAST(own_days AS DOUBLE) / days AS own,
    CAST(own_days_before AS DOUBLE) / days_before AS own_last_year,
    CAST(rest_days AS DOUBLE) / days AS rest,
    CAST(rest_days_before AS DOUBLE) / days_before AS rest_last_year,
    expected_days / days AS expected,
    ranks.status,
    CASE WHEN expected_sum IS NOT NULL THEN CAST(own_sum AS DOUBLE) / days_sum END AS own_to_date,
    expected_sum / days_sum AS expected_to_date,
    (expected_sum - own_sum) / days_of_year AS full_year_recipients,
    CASE
        WHEN expected_sum > own_sum THEN CAST(round(amount_oere * (expected_sum - own_sum) / days_of_year) AS BIGINT)
        WHEN expected_sum <= own_sum THEN 0
    END AS bonus_oere,
    CASE
        WHEN NOT is_whole THEN 'missing'
        WHEN rank_to_date > 1 THEN ranks_to_date.status
        WHEN month_of_year = 12 AND rank_to_date = 0 THEN 'final'
        ELSE 'provisional'
    END AS state
FROM expected
INNER JOIN ranks ON expected."rank" = ranks."rank"
INNER JOIN ranks AS ranks_to_date ON expected.rank_to_date = ranks_to_date."rank"
