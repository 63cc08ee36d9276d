-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicators, ratios as fractions
-- why: where an area stands on the way to a target for a figure made from payments, cases and wages
-- danish: Resultatmål på egne tal: nulpunkt, mål, status og realiseret andel
-- source: realised ratio as in KL's scorecard, (value - zero) / (target - zero)
WITH targets AS (
    SELECT
        *,
        CAST(CAST(zero_date AS INT) AS BIGINT) AS zero_day,
        CAST(CAST(target_date AS INT) AS BIGINT) AS target_day
    FROM ref_local_targets
),
own AS (
    SELECT
        *,
        period_last(period) AS last_day
    FROM local_indicators
    WHERE breakdown = 'total'
),
as_of_date AS (
    SELECT * FROM as_of
),
on_path AS (
    SELECT
        targets.area_kind,
        targets.area,
        targets.indicator,
        targets.benefit,
        own.period,
        targets.zero_value,
        targets.zero_date,
        targets.target_value,
        targets.target_date,
        targets.direction,
        targets.owner,
        own.value,
        own.status,
        own.unit,
        own.last_day = max(own.last_day) OVER (PARTITION BY targets.area_kind, targets.area, targets.indicator, targets.benefit) AS newest,
        targets.zero_value + (targets.target_value - targets.zero_value) * least(
            CAST(own.last_day - targets.zero_day AS DOUBLE) / CAST(greatest(targets.target_day - targets.zero_day, 1) AS DOUBLE), 1.0
        ) AS expected
    FROM targets
    INNER JOIN own
        ON targets.area_kind = own.area_kind
        AND targets.area = own.area
        AND targets.indicator = own.indicator
        AND targets.benefit = own.benefit
    CROSS JOIN as_of_date
    -- A month that still runs is not a month of the path.
    WHERE own.last_day >= targets.zero_day AND own.last_day <= as_of_date.as_of_day
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    period,
    zero_value,
    zero_date,
    target_value,
    target_date,
    direction,
    owner,
    value,
    status,
    expected,
    CASE WHEN target_value <> zero_value THEN (value - zero_value) / (target_value - zero_value) END AS realised_ratio,
    value - expected AS deviation,
    newest,
    CASE
        WHEN value IS NULL THEN 'not_known'
        WHEN status = 'incomplete' THEN 'incomplete'
        WHEN status = 'provisional' THEN 'provisional'
        WHEN direction = 'down' AND value <= target_value THEN 'reached'
        WHEN direction = 'up' AND value >= target_value THEN 'reached'
        WHEN direction = 'down' AND value <= expected THEN 'on_path'
        WHEN direction = 'up' AND value >= expected THEN 'on_path'
        ELSE 'behind'
    END AS state
FROM on_path
