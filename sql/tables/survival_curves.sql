-- layer: T
-- grain: benefit, quarter, weeks
-- unit: spells, percent
-- why: how many of the spells that began in a quarter were still running after so many weeks (Kaplan-Meier)
-- danish: Overlevelseskurver
-- source: contracts, measure survival; a point is shown when no spell of the quarter can be censored before it
WITH spells AS (
    SELECT * FROM local_indicators WHERE indicator = 'local_survival_spells' AND area_kind = 'country'
),
bands AS (
    SELECT * FROM (VALUES ('0-4', 5), ('5-13', 14), ('14-26', 27), ('27-52', 53), ('53-104', 105)) AS bands (band, weeks)
),
started AS (
    SELECT benefit, period, numerator AS spells FROM spells WHERE breakdown = 'total'
),
points AS (
    SELECT spells.benefit, spells.period, bands.weeks, spells.numerator AS ended, spells.status
    FROM spells
    INNER JOIN bands ON spells.breakdown_value = bands.band
    WHERE spells.breakdown = 'weeks'
),
-- What is hidden leaves the curve unknown from there on.
curve AS (
    SELECT
        *,
        sum(ended) OVER from_start AS ended_so_far,
        count(ended) OVER from_start = count(*) OVER from_start AS is_known
    FROM points
    WINDOW from_start AS (PARTITION BY benefit, period ORDER BY weeks ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
SELECT
    curve.benefit,
    substr(curve.period, 1, 5) || 'Q' || CAST((CAST(substr(curve.period, 6, 2) AS BIGINT) + 2) / 3 AS VARCHAR) AS quarter,
    curve.weeks,
    started.spells AS started,
    CASE WHEN curve.is_known THEN started.spells - curve.ended_so_far + curve.ended END AS at_risk,
    curve.ended,
    CASE WHEN curve.is_known AND started.spells > 0
        THEN CAST(started.spells - curve.ended_so_far AS DOUBLE) * 100.0 / started.spells
    END AS survival,
    CASE WHEN curve.is_known AND started.spells IS NOT NULL THEN curve.status ELSE 'hidden' END AS status
FROM curve
INNER JOIN started ON curve.benefit = started.benefit AND curve.period = started.period
