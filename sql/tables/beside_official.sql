-- layer: T
-- grain: area_kind, area, indicator, benefit, period
-- unit: values in the unit of the indicators
-- why: a figure made from payments and cases beside the official figure of the same name, and why they differ
-- danish: Egne tal ved siden af de officielle
-- source: ours; differences of definition in sql/reference/official_pairs.csv
WITH pairs AS (
    SELECT * FROM ref_official_pairs
),
own AS (
    SELECT * FROM local_indicators WHERE breakdown = 'total'
),
official AS (
    SELECT * FROM indicators WHERE breakdown = 'total'
),
versions AS (
    SELECT * FROM vintages WHERE breakdown = 'total'
),
first_known AS (
    SELECT indicator, area_kind, area, benefit, period, min(known_at) AS known_at
    FROM versions
    GROUP BY indicator, area_kind, area, benefit, period
),
-- The first and the newest value; between them lies what was revised.
known AS (
    SELECT
        official.indicator,
        official.area_kind,
        official.area,
        official.benefit,
        official.period,
        official.value,
        official.status,
        first_known.known_at AS first_known_at,
        CASE WHEN official.known_at > first_known.known_at THEN official.value - earliest.value END AS revised
    FROM official
    INNER JOIN first_known
        ON official.indicator = first_known.indicator
        AND official.area_kind = first_known.area_kind
        AND official.area = first_known.area
        AND official.benefit = first_known.benefit
        AND official.period = first_known.period
    INNER JOIN versions AS earliest
        ON official.indicator = earliest.indicator
        AND official.area_kind = earliest.area_kind
        AND official.area = earliest.area
        AND official.benefit = earliest.benefit
        AND official.period = earliest.period
        AND first_known.known_at = earliest.known_at
),
compared AS (
    SELECT
        own.area_kind,
        own.area,
        own.indicator,
        own.benefit,
        own.period,
        own.value,
        own.status,
        pairs.official,
        pairs.official_benefit,
        known.value AS official_value,
        coalesce(known.status, 'missing') AS official_status,
        known.first_known_at,
        known.revised,
        pairs.difference AS definition
    FROM own
    INNER JOIN pairs ON own.indicator = pairs.indicator AND own.benefit = pairs.benefit
    LEFT JOIN known
        ON pairs.official = known.indicator
        AND pairs.official_benefit = known.benefit
        AND own.area_kind = known.area_kind
        AND own.area = known.area
        AND own.period = known.period
)
SELECT
    area_kind,
    area,
    indicator,
    benefit,
    period,
    value,
    status,
    official,
    official_benefit,
    official_value,
    official_status,
    value - official_value AS difference,
    revised,
    first_known_at AS official_first_known_at,
    definition,
    CASE
        WHEN official_status = 'missing' THEN 'official_not_published'
        WHEN value IS NULL OR official_value IS NULL THEN 'not_comparable'
        WHEN status = 'incomplete' THEN 'own_incomplete'
        WHEN status = 'provisional' OR official_status = 'provisional' THEN 'not_settled'
        ELSE 'definition'
    END AS because
FROM compared
