-- layer: T
-- grain: indicator, benefit
-- unit: ratios of the settled value to the first published one; observations as a count
-- why: how much the newest month usually grows at the next release, learned from the vintages seen so far
-- danish: Efterregistrering
-- source: ours; jobindsats states that the newest month usually grows by late registrations
WITH disclosed AS (
    SELECT * FROM disclosed
    WHERE area_kind = 'municipality' AND breakdown = 'total' AND value_micro > 0
),
periods AS (
    SELECT indicator, period, period_end, min(known_at) AS first_at
    FROM disclosed
    GROUP BY indicator, period, period_end
),
-- A month counts as an observation if it was the newest one when it first came, and a newer one has come since.
releases AS (
    SELECT
        indicator,
        period,
        period_end,
        first_at,
        max(period_end) OVER (
            PARTITION BY indicator ORDER BY first_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS newest_end,
        lead(first_at) OVER (PARTITION BY indicator ORDER BY period_end) AS settled_at
    FROM periods
),
observations AS (
    SELECT
        disclosed.indicator,
        disclosed.benefit,
        disclosed.value_micro AS first_micro,
        settled.value_micro AS settled_micro,
        CAST(settled.value_micro AS DOUBLE) / CAST(disclosed.value_micro AS DOUBLE) AS ratio
    FROM releases
    INNER JOIN disclosed
        ON releases.indicator = disclosed.indicator
        AND releases.period = disclosed.period
        AND releases.first_at = disclosed.known_at
    INNER JOIN disclosed AS settled
        ON disclosed.indicator = settled.indicator
        AND disclosed.area = settled.area
        AND disclosed.benefit = settled.benefit
        AND disclosed.period = settled.period
        AND settled.known_at <= releases.settled_at
        AND (settled.known_to IS NULL OR settled.known_to > releases.settled_at)
    WHERE releases.period_end = releases.newest_end AND releases.settled_at IS NOT NULL
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY indicator, benefit ORDER BY ratio) AS place,
        count(*) OVER (PARTITION BY indicator, benefit) AS places
    FROM observations
)
SELECT
    indicator,
    benefit,
    count(*) AS observations,
    CAST(sum(settled_micro) AS DOUBLE) / CAST(sum(first_micro) AS DOUBLE) AS ratio,
    -- nearest rank of the 5th and the 95th percentile
    min(CASE WHEN place * 20 >= places THEN ratio END) AS ratio_low,
    min(CASE WHEN place * 20 >= places * 19 THEN ratio END) AS ratio_high
FROM ranked
GROUP BY indicator, benefit
