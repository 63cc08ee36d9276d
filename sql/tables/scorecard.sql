-- layer: T
-- grain: jobcentre, benefit, period
-- unit: full-time persons, weeks, percent, mio. kr.; developments in percent, of percentages in points
-- why: KL's three results and the savings potential of each jobcentre, beside its last year and its cluster, for 13 months
-- danish: KL's styringsværktøj: flere i job, hurtigere i job, fastholdelse i job, besparelsespotentiale
-- source: KL's scorecard of 2010; arrows, terciles and the potential are ours (pipeline/docs/decisions, steering model, 1)
WITH local AS (
    SELECT
        indicator, area_kind, area, benefit, period, value, status,
        period_month(period) AS "month"
    FROM local_indicators
    WHERE breakdown = 'total' AND area_kind IN ('jobcentre', 'cluster', 'country')
),
labour_force AS (
    SELECT * FROM labour_force
),
jobcentres AS (
    SELECT jobcentre, max(jobcentre_name) AS name, max("cluster") AS "cluster" FROM ref_areas WHERE valid_to IS NULL GROUP BY jobcentre
),
as_of_date AS (
    SELECT * FROM as_of
),
-- What a full-time year costs the municipalities when the ladder's refund is booked: the country's newest twelve months.
costs AS (
    SELECT
        benefit,
        "month",
        sum(CASE indicator
            WHEN 'local_benefits_paid' THEN CAST(round(value * 1000000.0) AS BIGINT)
            WHEN 'local_refund_expected' THEN -CAST(round(value * 1000000.0) AS BIGINT)
        END) AS net_micro,
        sum(CASE indicator WHEN 'local_full_time_persons' THEN CAST(round(value * 1000000.0) AS BIGINT) END) AS persons_micro,
        count(value) AS known
    FROM local
    WHERE area_kind = 'country' AND indicator IN ('local_benefits_paid', 'local_refund_expected', 'local_full_time_persons')
    GROUP BY benefit, "month"
),
years AS (
    SELECT
        benefit,
        "month",
        sum(net_micro) OVER newest_year AS net_micro,
        sum(persons_micro) OVER newest_year AS persons_micro,
        count(*) OVER newest_year AS months
    FROM costs
    WHERE known = 3
    WINDOW newest_year AS (PARTITION BY benefit ORDER BY "month" RANGE BETWEEN 11 PRECEDING AND CURRENT ROW)
),
prices AS (
    SELECT benefit, "month", CAST(net_micro AS DOUBLE) * 12.0 / CAST(persons_micro AS DOUBLE) AS net_yearly_cost
    FROM years
    WHERE months = 12 AND persons_micro > 0
),
results AS (
    SELECT
        local.area_kind,
        local.area,
        local.benefit,
        local.period,
        local."month",
        local.status,
        CASE local.indicator
            WHEN 'local_full_time_persons' THEN 'more'
            WHEN 'local_mean_running_weeks' THEN 'faster'
            WHEN 'local_employed_after_3' THEN 'staying'
            WHEN 'local_employed_after_6' THEN 'staying_6'
            ELSE 'staying_12'
        END AS result,
        local.value,
        -- Areas of different size are compared by what does not depend on it.
        CASE local.indicator
            WHEN 'local_full_time_persons' THEN local.value * 100.0 / CAST(labour_force.labour_force AS DOUBLE)
            ELSE local.value
        END AS level,
        labour_force.labour_force
    FROM local
    LEFT JOIN labour_force ON local.area_kind = labour_force.area_kind AND local.area = labour_force.area
    WHERE
        local.area_kind <> 'country'
        AND local.indicator IN (
            'local_full_time_persons', 'local_mean_running_weeks', 'local_employed_after_3', 'local_employed_after_6',
            'local_employed_after_12'
        )
),
with_last_year AS (
    SELECT
        *,
        max(value) OVER last_year AS last_value,
        max(level) OVER last_year AS last_level
    FROM results
    WINDOW last_year AS (
        PARTITION BY area_kind, area, benefit, result ORDER BY "month" RANGE BETWEEN 12 PRECEDING AND 12 PRECEDING
    )
),
beside_cluster AS (
    SELECT
        own.area AS jobcentre,
        jobcentres.name,
        jobcentres."cluster",
        own.benefit,
        own.period,
        own."month",
        own.result,
        own.status,
        clusters.status AS cluster_status,
        own.value,
        own.last_value,
        own.level,
        clusters.level AS cluster_level,
        clusters.value AS cluster_value,
        clusters.last_value AS cluster_last_value,
        CAST(own.labour_force AS DOUBLE) / 100.0 * prices.net_yearly_cost / 1000000.0 AS cost_of_point,
        CASE WHEN own.level > clusters.level THEN own.level - clusters.level WHEN own.level <= clusters.level THEN 0.0 END AS points_over,
        CASE
            WHEN own.last_level > clusters.last_level THEN own.last_level - clusters.last_level
            WHEN own.last_level <= clusters.last_level THEN 0.0
        END AS last_points_over
    FROM with_last_year AS own
    INNER JOIN jobcentres ON own.area = jobcentres.jobcentre
    CROSS JOIN as_of_date
    LEFT JOIN with_last_year AS clusters
        ON clusters.area_kind = 'cluster'
        AND jobcentres."cluster" = clusters.area
        AND own.benefit = clusters.benefit
        AND own."month" = clusters."month"
        AND own.result = clusters.result
    LEFT JOIN prices ON own.benefit = prices.benefit AND own."month" = prices."month"
    -- A month that still runs is no whole month to compare.
    WHERE own.area_kind = 'jobcentre'
        AND own."month" >= month_of(as_of_date.as_of_day + 1) - 13
        AND own."month" < month_of(as_of_date.as_of_day + 1)
),
-- The potential is what the jobcentre has above the level of its cluster, at what it costs.
four AS (
    SELECT
        jobcentre, name, "cluster", benefit, period, result, status, value, last_value, level, cluster_level,
        CASE
            WHEN result LIKE 'staying%' THEN cluster_value - cluster_last_value
            WHEN cluster_last_value > 0.0 THEN (cluster_value / cluster_last_value - 1.0) * 100.0
        END AS cluster_development
    FROM beside_cluster
    UNION ALL
    SELECT
        jobcentre, name, "cluster", benefit, period, 'potential' AS result,
        CASE
            WHEN points_over * cost_of_point IS NOT NULL THEN status
            WHEN 'hidden' IN (status, cluster_status) THEN 'hidden'
            ELSE 'missing'
        END AS status,
        points_over * cost_of_point AS value,
        last_points_over * cost_of_point AS last_value,
        points_over * cost_of_point AS level,
        CAST(NULL AS DOUBLE) AS cluster_level,
        CAST(NULL AS DOUBLE) AS cluster_development
    FROM beside_cluster
    WHERE result = 'more'
),
ranked AS (
    SELECT
        *,
        CASE WHEN result LIKE 'staying%' THEN level ELSE -level END AS good,
        count(level) OVER members AS known
    FROM four
    WINDOW members AS (PARTITION BY "cluster", benefit, period, result)
),
placed AS (
    SELECT
        *,
        max(good) OVER members AS best,
        min(good) OVER members AS worst,
        -- in whole kroner: sums of floats would depend on the order of rows
        CAST(sum(CAST(round(level * 1000000.0) AS BIGINT)) OVER members AS DOUBLE) / 1000000.0 / known AS mean_of_members,
        CASE
            WHEN good IS NOT NULL AND known >= 3
                THEN 1 + 3 * (CAST(rank() OVER (PARTITION BY "cluster", benefit, period, result ORDER BY good DESC NULLS LAST) AS BIGINT) - 1) / known
        END AS tercile,
        CASE WHEN result LIKE 'staying%' THEN 1.0 ELSE -1.0 END AS sign
    FROM ranked
    WINDOW members AS (PARTITION BY "cluster", benefit, period, result)
),
shown AS (
    SELECT
        *,
        CASE
            WHEN result LIKE 'staying%' THEN value - last_value
            WHEN last_value > 0.0 THEN (value / last_value - 1.0) * 100.0
        END AS development,
        -- Up is better; less than one percent, of percentages less than one point, is no change.
        CASE
            WHEN value IS NULL OR last_value IS NULL THEN NULL
            WHEN result LIKE 'staying%' AND abs(value - last_value) < 1.0 THEN 0
            WHEN result NOT LIKE 'staying%' AND abs(value - last_value) * 100.0 < last_value THEN 0
            WHEN value = last_value THEN 0
            WHEN (value - last_value) * sign > 0.0 THEN 1
            ELSE -1
        END AS arrow,
        CASE WHEN result = 'potential' THEN mean_of_members ELSE cluster_level END AS cluster_mean,
        sign * best AS cluster_best,
        sign * worst AS cluster_worst
    FROM placed
)
SELECT
    jobcentre,
    max(name) AS name,
    max("cluster") AS "cluster",
    benefit,
    period,
    max(CASE WHEN result = 'more' THEN value END) AS more_own,
    max(CASE WHEN result = 'more' THEN last_value END) AS more_last_year,
    max(CASE WHEN result = 'more' THEN development END) AS more_development,
    max(CASE WHEN result = 'more' THEN arrow END) AS more_arrow,
    max(CASE WHEN result = 'more' THEN level END) AS more_share,
    max(CASE WHEN result = 'more' THEN cluster_mean END) AS more_cluster_mean,
    max(CASE WHEN result = 'more' THEN cluster_best END) AS more_cluster_best,
    max(CASE WHEN result = 'more' THEN cluster_worst END) AS more_cluster_worst,
    max(CASE WHEN result = 'more' THEN cluster_development END) AS more_cluster_development,
    max(CASE WHEN result = 'more' THEN tercile END) AS more_tercile,
    coalesce(max(CASE WHEN result = 'more' THEN status END), 'missing') AS more_status,
    max(CASE WHEN result = 'faster' THEN value END) AS faster_own,
    max(CASE WHEN result = 'faster' THEN last_value END) AS faster_last_year,
    max(CASE WHEN result = 'faster' THEN development END) AS faster_development,
    max(CASE WHEN result = 'faster' THEN arrow END) AS faster_arrow,
    max(CASE WHEN result = 'faster' THEN cluster_mean END) AS faster_cluster_mean,
    max(CASE WHEN result = 'faster' THEN cluster_best END) AS faster_cluster_best,
    max(CASE WHEN result = 'faster' THEN cluster_worst END) AS faster_cluster_worst,
    max(CASE WHEN result = 'faster' THEN cluster_development END) AS faster_cluster_development,
    max(CASE WHEN result = 'faster' THEN tercile END) AS faster_tercile,
    coalesce(max(CASE WHEN result = 'faster' THEN status END), 'missing') AS faster_status,
    max(CASE WHEN result = 'staying' THEN value END) AS staying_own,
    max(CASE WHEN result = 'staying' THEN last_value END) AS staying_last_year,
    max(CASE WHEN result = 'staying' THEN development END) AS staying_development,
    max(CASE WHEN result = 'staying' THEN arrow END) AS staying_arrow,
    max(CASE WHEN result = 'staying' THEN cluster_mean END) AS staying_cluster_mean,
    max(CASE WHEN result = 'staying' THEN cluster_best END) AS staying_cluster_best,
    max(CASE WHEN result = 'staying' THEN cluster_worst END) AS staying_cluster_worst,
    max(CASE WHEN result = 'staying' THEN cluster_development END) AS staying_cluster_development,
    max(CASE WHEN result = 'staying' THEN tercile END) AS staying_tercile,
    max(CASE WHEN result = 'staying_6' THEN value END) AS staying_6_own,
    max(CASE WHEN result = 'staying_6' THEN cluster_level END) AS staying_6_cluster_mean,
    max(CASE WHEN result = 'staying_12' THEN value END) AS staying_12_own,
    max(CASE WHEN result = 'staying_12' THEN cluster_level END) AS staying_12_cluster_mean,
    coalesce(max(CASE WHEN result = 'staying' THEN status END), 'missing') AS staying_status,
    max(CASE WHEN result = 'potential' THEN value END) AS potential_own,
    max(CASE WHEN result = 'potential' THEN last_value END) AS potential_last_year,
    max(CASE WHEN result = 'potential' THEN development END) AS potential_development,
    max(CASE WHEN result = 'potential' THEN arrow END) AS potential_arrow,
    max(CASE WHEN result = 'potential' THEN cluster_mean END) AS potential_cluster_mean,
    max(CASE WHEN result = 'potential' THEN cluster_best END) AS potential_cluster_best,
    max(CASE WHEN result = 'potential' THEN cluster_worst END) AS potential_cluster_worst,
    max(CASE WHEN result = 'potential' THEN tercile END) AS potential_tercile,
    coalesce(max(CASE WHEN result = 'potential' THEN status END), 'missing') AS potential_status
FROM shown
GROUP BY jobcentre, benefit, period
