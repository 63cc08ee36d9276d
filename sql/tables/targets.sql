-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicator, ratios and probabilities as fractions
-- why: where each area stands on the path from its zero point to its target, how likely it is to get there, and whether it drifts
-- danish: Resultatmål og afvigelse
-- source: realised ratio as in KL's scorecard, (value - zero) / (target - zero); the rest ours (pipeline/docs/decisions, drift)
WITH targets AS (
    SELECT * FROM ref_targets
),
comparisons AS (
    SELECT * FROM comparisons WHERE breakdown = 'total'
),
catalogue AS (
    SELECT * FROM indicator_catalogue
),
freshness AS (
    SELECT * FROM freshness
),
seasons AS (
    SELECT * FROM seasons
),
adjusted AS (
    SELECT * FROM adjusted
),
-- How many times a count spreads more than chance alone; 0.4549 is the median of the square of a standard normal.
dispersions AS (
    SELECT area_kind, area, indicator, benefit, greatest(median(jump) / 0.4549, 1.0) AS dispersion
    FROM adjusted
    GROUP BY area_kind, area, indicator, benefit
    HAVING count(jump) >= 12
),
on_path AS (
    SELECT
        targets.*,
        comparisons.period,
        comparisons.value,
        comparisons.status,
        comparisons.unit,
        -- the newest month is judged by what it is expected to settle at
        coalesce(comparisons.settled_estimate, comparisons.value) AS judged,
        CAST(CAST(last_day.period_end AS INT) - CAST(targets.zero_date AS INT) AS DOUBLE)
            / CAST(CAST(targets.target_date AS INT) - CAST(targets.zero_date AS INT) AS DOUBLE) AS way,
        (date_part('year', targets.target_date) - date_part('year', last_day.period_end)) * 12
            + date_part('month', targets.target_date) - date_part('month', last_day.period_end) AS months_left,
        date_part('month', targets.zero_date) AS zero_month,
        date_part('month', targets.target_date) AS target_month,
        last_day.newest,
        coalesce(freshness.late, false) AS late
    FROM targets
    INNER JOIN comparisons
        ON targets.area_kind = comparisons.area_kind
        AND targets.area = comparisons.area
        AND targets.indicator = comparisons.indicator
        AND targets.benefit = comparisons.benefit
    INNER JOIN (
        SELECT indicator, period, period_end, period_end = max(period_end) OVER (PARTITION BY indicator) AS newest
        FROM (SELECT indicator, period, period_end FROM disclosed GROUP BY indicator, period, period_end)
    ) AS last_day
        ON comparisons.indicator = last_day.indicator AND comparisons.period = last_day.period
    INNER JOIN catalogue ON targets.indicator = catalogue.indicator
    LEFT JOIN freshness ON catalogue.feeds = freshness.source
    WHERE last_day.period_end >= targets.zero_date AND last_day.period_end <= targets.target_date
),
-- The path is straight without the season, and meets zero point and target as they were written, with theirs.
in_season AS (
    SELECT
        on_path.*,
        on_path.zero_value + (on_path.target_value - on_path.zero_value) * on_path.way AS expected,
        coalesce(adjusted.factor, 1.0) * (
            on_path.zero_value / coalesce(at_zero.factor, 1.0)
            + (on_path.target_value / coalesce(at_target.factor, 1.0) - on_path.zero_value / coalesce(at_zero.factor, 1.0)) * on_path.way
        ) AS expected_in_season,
        on_path.target_value / coalesce(at_target.factor, 1.0) AS adjusted_target,
        adjusted.adjusted,
        adjusted.growth,
        adjusted.spread,
        dispersions.dispersion
    FROM on_path
    LEFT JOIN adjusted
        ON on_path.area_kind = adjusted.area_kind
        AND on_path.area = adjusted.area
        AND on_path.indicator = adjusted.indicator
        AND on_path.benefit = adjusted.benefit
        AND on_path.period = adjusted.period
    LEFT JOIN seasons AS at_zero
        ON on_path.area_kind = at_zero.area_kind
        AND on_path.area = at_zero.area
        AND on_path.indicator = at_zero.indicator
        AND on_path.benefit = at_zero.benefit
        AND on_path.zero_month = at_zero.month_of_year
    LEFT JOIN seasons AS at_target
        ON on_path.area_kind = at_target.area_kind
        AND on_path.area = at_target.area
        AND on_path.indicator = at_target.indicator
        AND on_path.benefit = at_target.benefit
        AND on_path.target_month = at_target.month_of_year
    LEFT JOIN dispersions
        ON on_path.area_kind = dispersions.area_kind
        AND on_path.area = dispersions.area
        AND on_path.indicator = dispersions.indicator
        AND on_path.benefit = dispersions.benefit
),
-- How likely chance alone takes somebody who is on the path as far to the wrong side.
tested AS (
    SELECT
        *,
        CASE
            WHEN unit = 'percent' OR judged IS NULL OR dispersion IS NULL OR expected_in_season <= 0.0 THEN NULL
            WHEN direction = 'down' THEN poisson_at_least(judged / dispersion, expected_in_season / dispersion)
            ELSE poisson_at_most(judged / dispersion, expected_in_season / dispersion)
        END AS p_value
    FROM in_season
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY period ORDER BY p_value, area_kind, area, indicator, benefit) AS place,
        count(*) OVER (PARTITION BY period) AS places
    FROM tested
    WHERE p_value IS NOT NULL AND status <> 'incomplete' AND NOT (late AND newest)
),
-- Of all that is found in a period at once, one in twenty may be found by chance (Benjamini and Hochberg).
found AS (
    SELECT
        *,
        p_value <= coalesce(max(CASE WHEN p_value * places <= 0.05 * place THEN p_value END) OVER (PARTITION BY period), -1.0) AS is_off
    FROM ranked
),
-- A state changes only when two periods after one another say the same.
twice AS (
    SELECT
        *,
        CASE
            WHEN is_off = lag(is_off) OVER (PARTITION BY area_kind, area, indicator, benefit ORDER BY period) THEN is_off
        END AS said_twice
    FROM found
),
held AS (
    SELECT
        area_kind,
        area,
        indicator,
        benefit,
        period,
        last_value(said_twice) IGNORE NULLS OVER (
            PARTITION BY area_kind, area, indicator, benefit ORDER BY period ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS is_drifting
    FROM twice
)
SELECT
    tested.area_kind,
    tested.area,
    tested.indicator,
    tested.benefit,
    tested.period,
    tested.zero_value,
    tested.zero_date,
    tested.target_value,
    tested.target_date,
    tested.direction,
    tested.value,
    tested.status,
    tested.expected,
    tested.expected_in_season,
    CASE
        WHEN tested.target_value <> tested.zero_value
            THEN (tested.value - tested.zero_value) / (tested.target_value - tested.zero_value)
    END AS realised_ratio,
    tested.value - tested.expected AS deviation,
    tested.dispersion,
    tested.dispersion * poisson_quantile(0.025, tested.expected_in_season / tested.dispersion) AS lower_limit,
    tested.dispersion * poisson_quantile(0.975, tested.expected_in_season / tested.dispersion) AS upper_limit,
    tested.p_value,
    CASE
        WHEN tested.judged IS NULL THEN NULL
        WHEN tested.months_left = 0 THEN
            CASE WHEN (tested.direction = 'down') = (tested.judged <= tested.target_value) OR tested.judged = tested.target_value THEN 1.0 ELSE 0.0 END
        WHEN tested.spread > 0.0 AND tested.adjusted_target > 0.0 THEN
            normal_cdf(
                CASE WHEN tested.direction = 'down' THEN 1.0 ELSE -1.0 END
                * (ln(tested.adjusted_target / tested.adjusted) - tested.months_left * tested.growth)
                / (tested.spread * sqrt(tested.months_left + tested.months_left * tested.months_left / 12.0))
            )
    END AS probability,
    tested.newest,
    CASE
        WHEN tested.late AND tested.newest THEN 'source_late'
        WHEN tested.status = 'incomplete' THEN 'incomplete'
        WHEN held.is_drifting THEN 'drifting'
        WHEN NOT held.is_drifting THEN 'on_track'
        ELSE 'insufficient'
    END AS state
FROM tested
LEFT JOIN held
    ON tested.area_kind = held.area_kind
    AND tested.area = held.area
    AND tested.indicator = held.indicator
    AND tested.benefit = held.benefit
    AND tested.period = held.period
