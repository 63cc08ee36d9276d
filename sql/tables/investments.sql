-- layer: T
-- grain: investment, scenario, area_kind, area, benefit
-- unit: øre, full-time years
-- why: what a change of effort costs and what it gives back, if its assumptions hold, and how large the effect must be to pay
-- danish: Investeringsregnestykke (merudgift til indsats mod mindre forsørgelse)
-- source: ours, after KL's calculus of investments; assumptions of sql/reference/investments.csv
WITH budgets AS (
    SELECT * FROM base_budgets
),
-- Those of areas that anything is known of.
assumptions AS (
    SELECT ref_investments.*
    FROM ref_investments
    INNER JOIN (SELECT DISTINCT area FROM base_budgets) AS areas ON ref_investments.area = areas.area
),
-- The newest year with figures; what a full-time year costs is taken from its months.
newest AS (
    SELECT area, benefit, max("year") AS "year" FROM budgets GROUP BY area, benefit
),
bases AS (
    SELECT budgets.*
    FROM budgets
    INNER JOIN newest ON budgets.area = newest.area AND budgets.benefit = newest.benefit AND budgets."year" = newest."year"
),
-- The refund that the ladder promises is nearer to what is lost in the end than what has been booked so far.
dated AS (
    SELECT
        *,
        CAST(month_last((CAST("year" AS BIGINT) - 1970) * 12 + 11) - month_first((CAST("year" AS BIGINT) - 1970) * 12) + 1 AS DOUBLE) AS days_of_year,
        CAST(month_last((CAST("year" AS BIGINT) - 1970) * 12 + months - 1) - month_first((CAST("year" AS BIGINT) - 1970) * 12) + 1 AS DOUBLE) AS days_of_months
    FROM bases
),
units AS (
    SELECT
        *,
        full_time_years * days_of_year / days_of_months AS clients,
        CASE WHEN full_time_years > 0.0 THEN support_oere / full_time_years END AS support_per_year_oere,
        CASE WHEN full_time_years > 0.0 THEN coalesce(refund_expected_oere, refund_booked_oere) / full_time_years END AS refund_per_year_oere,
        CASE WHEN full_time_years > 0.0 THEN (administration_oere + activity_oere) / full_time_years END AS effort_per_year_oere
    FROM dated
),
computed AS (
    SELECT
        assumptions.*,
        units."year",
        units.months AS base_months,
        units.clients,
        units.clients * assumptions.extra_activity_per_1000_clients / 1000.0 * assumptions.effort_months * assumptions.price_oere AS cost_oere,
        units.clients * assumptions.effect_permille / 1000.0 * assumptions.effect_months / 12.0 AS full_time_years_saved,
        units.clients * assumptions.effect_months / 12.0
        * (units.support_per_year_oere - units.refund_per_year_oere + units.effort_per_year_oere) AS whole_return_oere,
        units.support_per_year_oere,
        units.refund_per_year_oere,
        units.effort_per_year_oere
    FROM assumptions
    LEFT JOIN units
        ON assumptions.area_kind = 'municipality' AND assumptions.area = units.area AND assumptions.benefit = units.benefit
),
amounts AS (
    SELECT
        *,
        CAST(round(cost_oere) AS BIGINT) AS effort_cost_oere,
        CAST(round(full_time_years_saved * support_per_year_oere) AS BIGINT) AS support_saved_oere,
        CAST(round(full_time_years_saved * refund_per_year_oere) AS BIGINT) AS refund_lost_oere,
        CAST(round(full_time_years_saved * effort_per_year_oere) AS BIGINT) AS effort_saved_oere
    FROM computed
)
SELECT
    investment,
    scenario,
    area_kind,
    area,
    benefit,
    danish,
    "year" AS base_year,
    base_months,
    clients,
    effort_cost_oere,
    full_time_years_saved,
    support_saved_oere,
    refund_lost_oere,
    effort_saved_oere,
    support_saved_oere - refund_lost_oere + effort_saved_oere AS saved_oere,
    support_saved_oere - refund_lost_oere + effort_saved_oere - effort_cost_oere AS net_oere,
    CASE WHEN whole_return_oere > 0.0 THEN cost_oere / whole_return_oere * 1000.0 END AS break_even_permille,
    -- the saving comes evenly over the months of the effect; paid back is the whole cost
    CASE
        WHEN support_saved_oere - refund_lost_oere + effort_saved_oere >= effort_cost_oere AND effort_cost_oere > 0
            THEN delay_months + CAST(ceil(cost_oere * effect_months / (support_saved_oere - refund_lost_oere + effort_saved_oere)) AS BIGINT)
    END AS paid_back_months,
    CASE WHEN clients IS NULL THEN 'missing' ELSE 'computed' END AS state
FROM amounts
