-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicator, ratios and probabilities as fractions
-- why: where each area stands on the path from its zero point to its target, how likely it is to get there, and whether it drifts
-- danish: Resultatmål og afvigelse
-- source: realised ratio as in KL's scorecard, (value - zero) / (target - zero); the rest ours (pipeline/docs/decisions, drift)
WITH targets AS (
    SELECT
        *,
        CAST(CAST(zero_date AS INT) AS BIGINT) AS zero_day,
        CAST(CAST(target_date AS INT) AS BIGINT) AS target_day
    FROM ref_targets
),
comparisons AS (
    SELECT *, period_last(period) AS last_day FROM comparisons WHERE breakdown = 'total'
),
newest AS (
    SELECT indicator, max(last_day) AS last_day FROM comparisons GROUP BY indicator
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
jumps AS (
    SELECT area_kind, area, indicator, benefit, median(jump) AS jump
    FROM adjusted
    GROUP BY area_kind, area, indicator, benefit
    HAVING count(jump) >= 12
),
known_years AS (
    SELECT area_kind, area, indicator, benefit, CAST(min(years) AS DOUBLE) AS years
    FROM seasons
    GROUP BY area_kind, area, indicator, benefit
),
-- How many times a figure spreads more than chance alone; 0.4549 is the median of the square of a standard normal. A season
-- learned from k years has taken a k-th of the chance in them for season, and errs by as much in any other year.
dispersions AS (
    SELECT
        jumps.area_kind,
        jumps.area,
        jumps.indicator,
        jumps.benefit,
        greatest(jumps.jump / 0.4549 * coalesce(known_years.years / (known_years.years - 1.0), 1.0), 1.0) AS dispersion,
        coalesce((known_years.years + 1.0) / known_years.years, 1.0) AS season_errs
    FROM jumps
    LEFT JOIN known_years
        ON jumps.area_kind = known_years.area_kind
        AND jumps.area = known_years.area
        AND jumps.indicator = known_years.indicator
        AND jumps.benefit = known_years.benefit
),
on_path AS (
    SELECT
        targets.*,
        comparisons.period,
        comparisons.value,
        comparisons.status,
        coalesce(comparisons.settled_estimate, comparisons.value) AS judged,
        CAST(comparisons.last_day - targets.zero_day AS DOUBLE) / CAST(targets.target_day - targets.zero_day AS DOUBLE) AS way,
        month_of(comparisons.last_day) AS "month",
        month_of(targets.target_day) - month_of(comparisons.last_day) AS months_left,
        month_text(month_of(targets.zero_day)) AS zero_period,
        comparisons.last_day = newest.last_day AS newest,
        coalesce(freshness.late, false) AS late
    FROM targets
    INNER JOIN comparisons
        ON targets.area_kind = comparisons.area_kind
        AND targets.area = comparisons.area
        AND targets.indicator = comparisons.indicator
        AND targets.benefit = comparisons.benefit
    INNER JOIN newest ON targets.indicator = newest.indicator
    INNER JOIN catalogue ON targets.indicator = catalogue.indicator
    LEFT JOIN freshness ON catalogue.feeds = freshness.source
    WHERE comparisons.last_day BETWEEN targets.zero_day AND targets.target_day
),
-- Without season and without the chance that lies in the zero point: the way is walked from where the area really stood.
underway AS (
    SELECT
        on_path.*,
        adjusted.factor,
        adjusted.adjusted,
        adjusted.growth,
        adjusted.spread,
        adjusted.out_of,
        at_zero.year_out_of,
        dispersions.dispersion,
        dispersions.season_errs,
        at_zero.factor AS zero_factor,
        CASE
            WHEN on_path.zero_value > 0.0 AND on_path.period <> on_path.zero_period
                THEN at_zero.underlying * (1.0 + (on_path.target_value / on_path.zero_value - 1.0) * on_path.way)
        END AS adjusted_expected
    FROM on_path
    LEFT JOIN adjusted
        ON on_path.area_kind = adjusted.area_kind
        AND on_path.area = adjusted.area
        AND on_path.indicator = adjusted.indicator
        AND on_path.benefit = adjusted.benefit
        AND on_path.period = adjusted.period
    LEFT JOIN adjusted AS at_zero
        ON on_path.area_kind = at_zero.area_kind
        AND on_path.area = at_zero.area
        AND on_path.indicator = at_zero.indicator
        AND on_path.benefit = at_zero.benefit
        AND on_path.zero_period = at_zero.period
    LEFT JOIN dispersions
        ON on_path.area_kind = dispersions.area_kind
        AND on_path.area = dispersions.area
        AND on_path.indicator = dispersions.indicator
        AND on_path.benefit = dispersions.benefit
),
-- The newest three months that count, each as much as it is of: a count 1, a percentage its denominator. In whole millionths.
sums AS (
    SELECT
        area_kind,
        area,
        indicator,
        benefit,
        period,
        out_of,
        sum(coalesce(out_of, 1)) OVER newest_three AS weight,
        sum(CAST(round(adjusted * 1000000.0) AS BIGINT) * coalesce(out_of, 1)) OVER newest_three AS adjusted_micro,
        sum(CAST(round(adjusted_expected * 1000000.0) AS BIGINT) * coalesce(out_of, 1)) OVER newest_three AS expected_micro
    FROM underway
    WHERE adjusted IS NOT NULL AND adjusted_expected > 0.0 AND dispersion IS NOT NULL AND status <> 'incomplete'
    WINDOW newest_three AS (
        PARTITION BY area_kind, area, indicator, benefit ORDER BY "month" RANGE BETWEEN 2 PRECEDING AND CURRENT ROW
    )
),
levels AS (
    SELECT
        *,
        adjusted_micro / 1000000.0 / weight AS adjusted_level,
        CASE
            WHEN out_of IS NULL THEN expected_micro / 1000000.0 / weight
            ELSE least(expected_micro / 1000000.0 / weight, 100.0)
        END AS adjusted_expected_level
    FROM sums
),
-- Their distance has the chance of so many months in it, and that of the straight line through the year before the zero point at
-- its end, which is 46 / 156 of a month's; and what the season errs by.
distances AS (
    SELECT
        underway.*,
        levels.adjusted_level,
        levels.adjusted_expected_level,
        underway.dispersion * underway.season_errs
            * (1.0 / levels.weight + 46.0 / 156.0 / CASE WHEN underway.out_of IS NULL THEN 1.0 ELSE underway.year_out_of END) AS distance_dispersion
    FROM underway
    LEFT JOIN levels
        ON underway.area_kind = levels.area_kind
        AND underway.area = levels.area
        AND underway.indicator = levels.indicator
        AND underway.benefit = levels.benefit
        AND underway.period = levels.period
),
-- What a percentage is taken to be of, and the share expected of it: never none and never all, which a year cannot tell.
shares AS (
    SELECT
        *,
        1.0 / distance_dispersion AS trials,
        CASE
            WHEN out_of IS NOT NULL AND distance_dispersion > 0.0
                THEN greatest(least(adjusted_expected_level / 100.0, 1.0 - 0.5 * distance_dispersion / (1.0 + distance_dispersion)),
                    0.5 * distance_dispersion / (1.0 + distance_dispersion))
        END AS share
    FROM distances
),
-- How likely chance alone takes somebody who is on the path as far to the wrong side.
tested AS (
    SELECT
        *,
        CASE
            WHEN out_of IS NOT NULL AND direction = 'down' THEN binomial_at_least(adjusted_level / 100.0 * trials, trials, share)
            WHEN out_of IS NOT NULL THEN binomial_at_most(adjusted_level / 100.0 * trials, trials, share)
            WHEN direction = 'down' THEN poisson_at_least(adjusted_level / distance_dispersion, adjusted_expected_level / distance_dispersion)
            ELSE poisson_at_most(adjusted_level / distance_dispersion, adjusted_expected_level / distance_dispersion)
        END AS p_value,
        CASE
            WHEN out_of IS NOT NULL THEN factor * 100.0 / trials * binomial_quantile(0.025, trials, share)
            ELSE factor * distance_dispersion * poisson_quantile(0.025, adjusted_expected_level / distance_dispersion)
        END AS lower_limit,
        CASE
            WHEN out_of IS NOT NULL THEN factor * 100.0 / trials * binomial_quantile(0.975, trials, share)
            ELSE factor * distance_dispersion * poisson_quantile(0.975, adjusted_expected_level / distance_dispersion)
        END AS upper_limit
    FROM shares
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY period ORDER BY p_value, area_kind, area, indicator, benefit) AS place,
        count(*) OVER (PARTITION BY period) AS places
    FROM tested
    WHERE p_value IS NOT NULL AND NOT (late AND newest)
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
    tested.zero_value + (tested.target_value - tested.zero_value) * tested.way AS expected,
    tested.factor * tested.adjusted_level AS level,
    tested.factor * tested.adjusted_expected_level AS expected_level,
    CASE
        WHEN tested.target_value <> tested.zero_value
            THEN (tested.value - tested.zero_value) / (tested.target_value - tested.zero_value)
    END AS realised_ratio,
    tested.value - (tested.zero_value + (tested.target_value - tested.zero_value) * tested.way) AS deviation,
    tested.dispersion,
    tested.lower_limit,
    tested.upper_limit,
    tested.p_value,
    CASE
        WHEN tested.judged IS NULL THEN NULL
        WHEN tested.months_left = 0 THEN
            CASE WHEN (tested.direction = 'down') = (tested.judged <= tested.target_value) OR tested.judged = tested.target_value THEN 1.0 ELSE 0.0 END
        WHEN tested.spread > 0.0 AND tested.target_value > 0.0 AND tested.zero_factor > 0.0 AND tested.adjusted > 0.0 THEN
            normal_cdf(
                CASE WHEN tested.direction = 'down' THEN 1.0 ELSE -1.0 END
                * (ln(tested.target_value / tested.zero_factor / tested.adjusted) - tested.months_left * tested.growth)
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
