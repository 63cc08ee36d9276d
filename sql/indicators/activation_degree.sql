-- layer: P
-- grain: area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: percent
-- why: the share of the time on cash benefit in which an offer runs
-- danish: Aktiveringsgrad
-- source: Jobindsats.dk / STAR, table y60c07
-- feeds: jobindsats-y60c07
-- areas: none
-- adds_over: none
-- better: up
WITH cells AS (
    SELECT * FROM official_cells
),
-- The smallest number of recipients ever published for the area and month: what stands behind the percentage.
recipients AS (
    SELECT area_kind, area, period, min(value_micro) AS recipients_micro
    FROM cells
    WHERE publisher = 'jobindsats' AND table_id = 'y60a02' AND measure = 'cash_full_time_persons' AND breakdown = 'total'
    GROUP BY area_kind, area, period
)
SELECT
    cells.area_kind,
    cells.area,
    'cash' AS benefit,
    cells.period,
    cells.period_end,
    cells.breakdown,
    cells.breakdown_value,
    cells.known_at,
    cells.value_micro,
    CAST(NULL AS BIGINT) AS numerator,
    CAST(NULL AS BIGINT) AS denominator,
    -- percent (millionths) times persons (millionths), rounded half up to whole persons; integers throughout
    ((cells.value_micro / 1000) * (recipients.recipients_micro / 1000) / 100 + 500000) / 1000000 AS persons,
    cells.status
FROM cells
LEFT JOIN recipients
    ON cells.area_kind = recipients.area_kind AND cells.area = recipients.area AND cells.period = recipients.period
-- A percentage does not add up: only areas that are one municipality, or the country.
WHERE cells.publisher = 'jobindsats' AND cells.table_id = 'y60c07' AND cells.measure = 'activation_degree' AND cells.members_expected = 1
