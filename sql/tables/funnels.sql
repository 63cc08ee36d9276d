-- layer: T
-- grain: indicator, benefit, area_kind, area
-- unit: values, country and limits in percent, p_value as a fraction, dispersion as a ratio
-- why: which jobcentres' shares differ from the country's by more than chance and the usual spread between jobcentres explain
-- danish: Tragtdiagram: jobcentre over for hele landet
-- source: D. J. Spiegelhalter, Funnel plots for comparing institutional performance (2005); limits and tails exact (pipeline/docs/decisions, drift)
WITH own AS (
    SELECT
        *,
        period_month(period) AS "month"
    FROM local_indicators
    WHERE
        breakdown = 'total'
        AND unit = 'percent'
        AND status = 'final'
        AND denominator > 0
        AND area_kind IN ('jobcentre', 'country')
),
-- The newest three months that are complete in the country.
newest AS (
    SELECT indicator, benefit, max("month") AS "month"
    FROM own
    WHERE area_kind = 'country'
    GROUP BY indicator, benefit
),
pooled AS (
    SELECT
        own.indicator,
        own.benefit,
        own.area_kind,
        own.area,
        min(own.period) AS period_first,
        max(own.period) AS period_last,
        CAST(sum(own.numerator) AS DOUBLE) AS numerator,
        CAST(sum(own.denominator) AS DOUBLE) AS denominator
    FROM own
    INNER JOIN newest ON own.indicator = newest.indicator AND own.benefit = newest.benefit
    WHERE own."month" BETWEEN newest."month" - 2 AND newest."month"
    GROUP BY own.indicator, own.benefit, own.area_kind, own.area
    HAVING count(*) = 3
),
beside AS (
    SELECT
        areas.*,
        country.numerator / country.denominator AS country,
        (areas.numerator / areas.denominator - country.numerator / country.denominator)
        / sqrt(country.numerator / country.denominator * (1.0 - country.numerator / country.denominator) / areas.denominator) AS z
    FROM pooled AS areas
    INNER JOIN pooled AS country ON areas.indicator = country.indicator AND areas.benefit = country.benefit
    WHERE
        areas.area_kind = 'jobcentre'
        AND country.area_kind = 'country'
        AND country.numerator > 0.0
        AND country.numerator < country.denominator
),
-- How many times the jobcentres spread more than chance alone; the tenth at either end counts as the next one does, so that those who
-- are to be found do not hide themselves.
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY indicator, benefit ORDER BY z, area) AS place,
        count(*) OVER (PARTITION BY indicator, benefit) AS places
    FROM beside
),
ends AS (
    SELECT
        indicator,
        benefit,
        min(CASE WHEN place * 10 > places THEN z END) AS z_low,
        max(CASE WHEN place * 10 <= places * 9 THEN z END) AS z_high
    FROM ranked
    GROUP BY indicator, benefit
),
dispersions AS (
    SELECT
        ranked.indicator,
        ranked.benefit,
        -- in whole millionths, whose sum does not depend on the order
        greatest(
            CAST(sum(CAST(round(power(least(greatest(ranked.z, ends.z_low), ends.z_high), 2) * 1000000.0) AS BIGINT)) AS DOUBLE)
            / 1000000.0 / CAST(count(*) AS DOUBLE),
            1.0
        ) AS dispersion
    FROM ranked
    INNER JOIN ends ON ranked.indicator = ends.indicator AND ranked.benefit = ends.benefit
    WHERE ranked.places >= 10
    GROUP BY ranked.indicator, ranked.benefit
),
tested AS (
    SELECT
        ranked.*,
        dispersions.dispersion,
        ranked.denominator / dispersions.dispersion AS n,
        -- least() leaves nulls out, so it is asked first.
        CASE
            WHEN dispersions.dispersion IS NOT NULL
                THEN least(
                    2.0 * binomial_at_least(
                        ranked.numerator / dispersions.dispersion, ranked.denominator / dispersions.dispersion, ranked.country
                    ),
                    2.0 * binomial_at_most(
                        ranked.numerator / dispersions.dispersion, ranked.denominator / dispersions.dispersion, ranked.country
                    ),
                    1.0
                )
        END AS p_value
    FROM ranked
    LEFT JOIN dispersions ON ranked.indicator = dispersions.indicator AND ranked.benefit = dispersions.benefit
),
ordered AS (
    SELECT
        *,
        row_number() OVER (ORDER BY p_value NULLS LAST, indicator, benefit, area) AS p_place,
        count(p_value) OVER () AS p_places
    FROM tested
),
-- Of all that is found at once, one in twenty may be found by chance (Benjamini and Hochberg).
found AS (
    SELECT
        *,
        p_value <= coalesce(
            max(CASE WHEN p_value * CAST(p_places AS DOUBLE) <= 0.05 * CAST(p_place AS DOUBLE) THEN p_value END) OVER (), -1.0
        ) AS is_apart
    FROM ordered
)
SELECT
    indicator,
    benefit,
    area_kind,
    area,
    period_first,
    period_last,
    CAST(numerator AS BIGINT) AS numerator,
    CAST(denominator AS BIGINT) AS denominator,
    100.0 * numerator / denominator AS value,
    100.0 * country AS country_value,
    dispersion,
    100.0 * binomial_quantile(0.025, n, country) / n AS lower_limit,
    CASE WHEN n IS NOT NULL THEN 100.0 * least(binomial_quantile(0.975, n, country) / n, 1.0) END AS upper_limit,
    p_value,
    CASE
        WHEN p_value IS NULL THEN 'insufficient'
        WHEN is_apart AND z > 0.0 THEN 'above'
        WHEN is_apart THEN 'below'
        ELSE 'within'
    END AS state
FROM found
