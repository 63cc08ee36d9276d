-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicators, received_ratio as a fraction
-- why: what an incomplete value will be when the rest has come, with how sure that is, so that nobody waits or guesses
-- danish: Forventet tal for ufuldstændige perioder
-- source: ours (pipeline/docs/decisions, completeness of person records)
WITH completeness AS (
    SELECT * FROM completeness
),
sources AS (
    SELECT * FROM ref_sources
),
areas AS (
    SELECT * FROM ref_areas
),
own AS (
    SELECT
        *,
        -- Shares and means do not add up: what is missing weighs in with its usual denominator.
        unit IN ('percent', 'weeks') AS is_mean,
        period_month(period) AS "month"
    FROM local_indicators
    WHERE breakdown = 'total' AND value IS NOT NULL
),
complete AS (
    SELECT * FROM own WHERE status = 'final'
),
-- Deliveries of payments and cases, as they make a figure incomplete in local_indicators.
arrivals AS (
    SELECT
        area AS municipality,
        period,
        greatest(expected, 1) AS expected,
        CASE WHEN state = 'incomplete' THEN greatest(expected, 1) - least(received, greatest(expected, 1)) ELSE 0 END AS missing
    FROM completeness
    WHERE source NOT IN (SELECT source FROM sources) AND source NOT LIKE 'income-%'
),
members AS (
    SELECT arrivals.*, 'municipality' AS area_kind, arrivals.municipality AS area FROM arrivals
    UNION ALL
    SELECT arrivals.*, 'country' AS area_kind, '0000' AS area FROM arrivals
    UNION ALL
    SELECT
        arrivals.*,
        kinds.area_kind,
        CASE kinds.area_kind WHEN 'jobcentre' THEN areas.jobcentre WHEN 'cluster' THEN areas.cluster ELSE areas.region END AS area
    FROM arrivals
    INNER JOIN areas ON arrivals.municipality = areas.municipality
    CROSS JOIN (VALUES ('jobcentre'), ('cluster'), ('region')) AS kinds (area_kind)
    WHERE
        areas.valid_from <= CAST(arrivals.period || '-28' AS DATE)
        AND (areas.valid_to IS NULL OR areas.valid_to >= CAST(arrivals.period || '-28' AS DATE))
),
shares AS (
    SELECT area_kind, area, period, 1.0 - CAST(sum(missing) AS DOUBLE) / CAST(sum(expected) AS DOUBLE) AS received_ratio
    FROM members
    GROUP BY area_kind, area, period
),
incomplete AS (
    SELECT own.*, shares.received_ratio
    FROM own
    INNER JOIN shares ON own.area_kind = shares.area_kind AND own.area = shares.area AND own.period = shares.period
    WHERE own.status = 'incomplete'
),
usual AS (
    SELECT
        incomplete.area_kind,
        incomplete.area,
        incomplete.indicator,
        incomplete.benefit,
        incomplete.period,
        count(*) AS months,
        median(complete.value) AS value,
        min(complete.value) AS value_low,
        max(complete.value) AS value_high,
        median(CAST(complete.denominator AS DOUBLE)) AS weight
    FROM incomplete
    INNER JOIN complete
        ON incomplete.area_kind = complete.area_kind
        AND incomplete.area = complete.area
        AND incomplete.indicator = complete.indicator
        AND incomplete.benefit = complete.benefit
        AND complete."month" BETWEEN incomplete."month" - 12 AND incomplete."month" - 1
    GROUP BY incomplete.area_kind, incomplete.area, incomplete.indicator, incomplete.benefit, incomplete.period
    HAVING count(*) >= 6
),
weighed AS (
    SELECT
        incomplete.area_kind,
        incomplete.area,
        incomplete.indicator,
        incomplete.benefit,
        incomplete.period,
        incomplete.is_mean,
        incomplete.value,
        incomplete.received_ratio,
        usual.months,
        usual.value AS usual,
        usual.value_low,
        usual.value_high,
        CAST(incomplete.denominator AS DOUBLE) AS weight,
        (1.0 - incomplete.received_ratio) * usual.weight AS missing_weight,
        1.0 - incomplete.received_ratio AS missing_ratio
    FROM incomplete
    INNER JOIN usual
        ON incomplete.area_kind = usual.area_kind
        AND incomplete.area = usual.area
        AND incomplete.indicator = usual.indicator
        AND incomplete.benefit = usual.benefit
        AND incomplete.period = usual.period
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    period,
    value,
    received_ratio,
    months,
    CASE
        WHEN is_mean THEN (weight * value + missing_weight * usual) / (weight + missing_weight)
        -- More than ever in these months is not told: what is missing may belong to other figures.
        ELSE least(value + missing_ratio * usual, greatest(value, value_high))
    END AS nowcast,
    CASE
        WHEN is_mean THEN least(value, (weight * value + missing_weight * value_low) / (weight + missing_weight))
        ELSE value
    END AS nowcast_low,
    CASE
        WHEN is_mean THEN greatest(value, (weight * value + missing_weight * value_high) / (weight + missing_weight))
        ELSE value + missing_ratio * value_high
    END AS nowcast_high
FROM weighed
WHERE NOT is_mean OR weight + missing_weight > 0.0
