-- layer: T
-- grain: area, benefit, year
-- unit: øre, full-time years
-- why: what a benefit costs a municipality in the months of the year that are known: support before and after refund, administration, activity
-- danish: Basisbudget pr. ydelse (forsørgelse før og efter refusion, administration, aktivitet)
-- source: ours, after the parts of KL's budget model; unit costs of sql/reference/benefit_costs.csv
WITH local_values AS (
    SELECT * FROM local_indicators WHERE breakdown = 'total' AND area_kind = 'municipality'
),
costs AS (
    SELECT
        *,
        CAST(CAST(valid_from AS INT) AS BIGINT) AS first_day,
        CAST(CAST(valid_to AS INT) AS BIGINT) AS last_day
    FROM ref_benefit_costs
),
as_of_date AS (
    SELECT * FROM as_of
),
ranks AS (
    SELECT * FROM (VALUES (0, 'final'), (1, 'provisional'), (2, 'incomplete'), (3, 'hidden'), (4, 'missing')) AS ranks ("rank", status)
),
-- One row for a municipality, benefit and month; kroner become øre again.
months AS (
    SELECT
        local_values.area,
        local_values.benefit,
        local_values.period,
        CAST(substr(local_values.period, 1, 4) AS BIGINT) AS "year",
        CAST(substr(local_values.period, 6, 2) AS BIGINT) AS month_of_year,
        max(CASE WHEN local_values.indicator = 'local_full_time_persons' THEN local_values.numerator END) AS covered_days,
        max(CASE WHEN local_values.indicator = 'local_recipients' THEN local_values.numerator END) AS recipients,
        max(CASE WHEN local_values.indicator = 'local_activation_degree' THEN local_values.numerator END) AS activated_days,
        max(CASE WHEN local_values.indicator = 'local_benefits_paid' THEN CAST(round(local_values.value * 100.0) AS BIGINT) END) AS paid_oere,
        max(CASE WHEN local_values.indicator = 'local_refund_booked' THEN CAST(round(local_values.value * 100.0) AS BIGINT) END) AS booked_oere,
        max(CASE WHEN local_values.indicator = 'local_refund_expected' THEN CAST(round(local_values.value * 100.0) AS BIGINT) END) AS expected_oere,
        -- a rate of nobody has no value, but what it counts is known to be none
        max(CASE WHEN local_values.status = 'missing' AND local_values.numerator IS NOT NULL THEN 0 ELSE ranks."rank" END) AS "rank"
    FROM local_values
    INNER JOIN ranks ON local_values.status = ranks.status
    WHERE
        local_values.indicator IN (
            'local_full_time_persons', 'local_recipients', 'local_activation_degree', 'local_benefits_paid', 'local_refund_booked',
            'local_refund_expected'
        )
    GROUP BY local_values.area, local_values.benefit, local_values.period
),
-- Months that are over; what a benefit's effort costs is only known where somebody has said it.
priced AS (
    SELECT
        months.*,
        month_last((months."year" - 1970) * 12 + 11) - month_first((months."year" - 1970) * 12) + 1 AS days_of_year,
        months.recipients * costs.administration_oere AS administration_oere,
        months.activated_days * costs.activity_oere AS activity_oere
    FROM months
    CROSS JOIN as_of_date
    LEFT JOIN costs
        ON months.benefit = costs.benefit
        AND costs.first_day <= month_last((months."year" - 1970) * 12 + months.month_of_year - 1)
        AND (costs.last_day IS NULL OR costs.last_day >= month_last((months."year" - 1970) * 12 + months.month_of_year - 1))
    WHERE month_last((months."year" - 1970) * 12 + months.month_of_year - 1) <= as_of_date.as_of_day
),
numbered AS (
    SELECT
        *,
        count(*) OVER from_january = month_of_year
        AND max("rank") OVER from_january <= 1
        AND count(covered_days) OVER from_january = month_of_year
        AND count(recipients) OVER from_january = month_of_year
        AND count(activated_days) OVER from_january = month_of_year
        AND count(paid_oere) OVER from_january = month_of_year
        AND count(booked_oere) OVER from_january = month_of_year AS is_known
    FROM priced
    WINDOW from_january AS (PARTITION BY area, benefit, "year" ORDER BY month_of_year ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
years AS (
    SELECT
        area,
        benefit,
        "year",
        count(*) AS months,
        CAST(sum(covered_days) AS DOUBLE) / max(days_of_year) AS full_time_years,
        sum(paid_oere) AS support_oere,
        sum(booked_oere) AS refund_booked_oere,
        CASE WHEN count(*) = count(expected_oere) THEN sum(expected_oere) END AS refund_expected_oere,
        CASE WHEN count(*) = count(administration_oere) THEN sum(administration_oere) END AS administration_oere,
        CASE WHEN count(*) = count(activity_oere) THEN sum(activity_oere) END AS activity_oere,
        max("rank") AS "rank"
    FROM numbered
    WHERE is_known
    GROUP BY area, benefit, "year"
)
SELECT
    years.area,
    years.benefit,
    CAST(years."year" AS VARCHAR) AS "year",
    years.months,
    years.full_time_years,
    years.support_oere,
    years.refund_booked_oere,
    years.support_oere - years.refund_booked_oere AS support_after_refund_oere,
    years.refund_expected_oere,
    years.administration_oere,
    years.activity_oere,
    years.support_oere - years.refund_booked_oere + years.administration_oere + years.activity_oere AS net_oere,
    CASE
        WHEN years.full_time_years > 0.0
            THEN CAST(round((years.support_oere - years.refund_booked_oere + years.administration_oere + years.activity_oere) / years.full_time_years) AS BIGINT)
    END AS net_per_full_time_year_oere,
    CASE WHEN years.months = 12 THEN ranks.status ELSE 'running' END AS state
FROM years
INNER JOIN ranks ON years."rank" = ranks."rank"
