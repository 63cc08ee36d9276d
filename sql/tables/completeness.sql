-- layer: T
-- grain: source, area, period
-- unit: expected and received as counts of figures, of municipalities' own systems as records in tens
-- why: how much of what a source usually delivers, or sent but unusable, has arrived; missing is never zero
-- danish: Fuldstændighed
-- source: ours (pipeline/docs/decisions, completeness of person records)
WITH arrivals AS (
    SELECT * FROM official_arrivals
),
deliveries AS (
    SELECT * FROM deliveries
),
rhythms AS (
    SELECT * FROM rhythms
),
put_aside AS (
    SELECT * FROM official_put_aside
),
sources AS (
    SELECT * FROM ref_sources
),
as_of_date AS (
    SELECT as_of_day, month_of(as_of_day) AS "month", CAST(CAST(as_of_day AS INT) AS DATE) AS as_of FROM as_of
),
-- What a message claims that could not be used is expected of a source that is known, for a period that is over.
claimed AS (
    SELECT put_aside.source, put_aside.area, put_aside.period, put_aside.period_end, put_aside.figures
    FROM put_aside
    CROSS JOIN as_of_date
    WHERE
        put_aside.period_end <= as_of_date.as_of
        AND put_aside.source IN (SELECT source FROM sources UNION SELECT source FROM arrivals)
),
-- A publisher's table has the same figures each period unless it says otherwise: expect what the last two had at most.
periods AS (
    SELECT source, period, period_end FROM arrivals
    UNION
    SELECT source, period, period_end FROM claimed
),
ordered AS (
    SELECT
        source,
        period,
        period_end,
        lag(period, 1) OVER (PARTITION BY source ORDER BY period_end) AS before_1,
        lag(period, 2) OVER (PARTITION BY source ORDER BY period_end) AS before_2
    FROM periods
),
areas AS (
    SELECT source, area FROM arrivals
    UNION
    SELECT source, area FROM claimed
),
counted AS (
    SELECT
        ordered.source,
        areas.area,
        ordered.period,
        coalesce(here.figures, 0) AS received,
        greatest(
            coalesce(here.figures, 0) + coalesce(claimed.figures, 0), coalesce(one.figures, 0), coalesce(two.figures, 0)
        ) AS expected
    FROM ordered
    INNER JOIN areas ON ordered.source = areas.source
    CROSS JOIN as_of_date
    LEFT JOIN arrivals AS here ON ordered.source = here.source AND areas.area = here.area AND ordered.period = here.period
    LEFT JOIN claimed ON ordered.source = claimed.source AND areas.area = claimed.area AND ordered.period = claimed.period
    LEFT JOIN arrivals AS one ON ordered.source = one.source AND areas.area = one.area AND ordered.before_1 = one.period
    LEFT JOIN arrivals AS two ON ordered.source = two.source AND areas.area = two.area AND ordered.before_2 = two.period
    WHERE ordered.period_end > as_of_date.as_of - INTERVAL '400 days'
),
-- Municipalities' own systems: a record belongs to the month that its delivery names.
own AS (
    SELECT
        deliveries.source,
        deliveries.municipality AS area,
        month_of(CAST(CAST(deliveries.period_end AS INT) AS BIGINT)) AS "month",
        CAST(CAST(CAST(deliveries.delivered_at AS DATE) AS INT) AS BIGINT) AS told_day,
        deliveries.records
    FROM deliveries
    WHERE
        period_month(deliveries.period) IS NOT NULL
        AND deliveries.source NOT IN (SELECT source FROM sources UNION SELECT source FROM arrivals)
),
-- How far each of the newest months has got, less a week, so that neither the day of the week nor a holiday matters.
ages AS (
    SELECT
        as_of_day - month_first("month") - 7 AS age_0,
        as_of_day - month_first("month" - 1) - 7 AS age_1,
        as_of_day - month_first("month" - 2) - 7 AS age_2
    FROM as_of_date
),
-- What each month has, and what it had when it was as old as the newest months are.
own_months AS (
    SELECT
        own.source,
        own.area,
        own."month",
        sum(own.records) AS records,
        sum(CASE WHEN own.told_day - month_first(own."month") <= ages.age_0 THEN own.records ELSE 0 END) AS records_0,
        sum(CASE WHEN own.told_day - month_first(own."month") <= ages.age_1 THEN own.records ELSE 0 END) AS records_1,
        sum(CASE WHEN own.told_day - month_first(own."month") <= ages.age_2 THEN own.records ELSE 0 END) AS records_2
    FROM own
    CROSS JOIN ages
    CROSS JOIN as_of_date
    WHERE own.told_day <= as_of_date.as_of_day + 1 AND own."month" BETWEEN as_of_date."month" - 24 AND as_of_date."month"
    GROUP BY own.source, own.area, own."month"
),
own_sources AS (
    SELECT source, area, min("month") AS first_month FROM own_months GROUP BY source, area
),
-- Each of the newest thirteen months beside the twelve before it, if the source was there; a month without anything has none.
histories AS (
    SELECT
        own_sources.source,
        own_sources.area,
        as_of_date."month" - back.n AS "month",
        coalesce(
            CASE back.n
                WHEN 0 THEN earlier.records_0 WHEN 1 THEN earlier.records_1 WHEN 2 THEN earlier.records_2 ELSE earlier.records
            END,
            0
        ) AS records
    FROM own_sources
    CROSS JOIN as_of_date
    CROSS JOIN (SELECT unnest(range(0, 13)) AS n) AS back
    CROSS JOIN (SELECT unnest(range(1, 13)) AS n) AS before
    LEFT JOIN own_months AS earlier
        ON own_sources.source = earlier.source
        AND own_sources.area = earlier.area
        AND as_of_date."month" - back.n - before.n = earlier."month"
    WHERE as_of_date."month" - back.n - before.n >= own_sources.first_month
),
usual AS (
    SELECT source, area, "month", CAST(median(records) AS BIGINT) AS records
    FROM histories
    GROUP BY source, area, "month"
    HAVING count(*) >= 6
),
-- How many times they spread more than chance alone; 1.4826 makes a median of distances a standard deviation. Medians, because up to
-- five silent months of twelve must not make silence usual.
spreads AS (
    SELECT
        usual.source,
        usual.area,
        usual."month",
        usual.records,
        greatest(power(1.4826 * median(abs(histories.records - usual.records)), 2) / greatest(usual.records, 1), 1.0) AS dispersion
    FROM usual
    INNER JOIN histories
        ON usual.source = histories.source AND usual.area = histories.area AND usual."month" = histories."month"
    GROUP BY usual.source, usual.area, usual."month", usual.records
),
own_counted AS (
    SELECT
        spreads.source,
        spreads.area,
        spreads."month",
        spreads.records AS expected,
        coalesce(here.records, 0) AS received,
        -- Fewer than chance explains once in ten thousand months, and a quarter less than usual.
        (
            coalesce(here.records, 0) * 4 < spreads.records * 3
            AND poisson_at_most(coalesce(here.records, 0) / spreads.dispersion, spreads.records / spreads.dispersion) < 0.0001
        )
        -- The source has fallen silent, whatever had come before.
        OR (
            coalesce(as_of_date.as_of > rhythms.next_due, false)
            AND month_last(spreads."month") >= CAST(CAST(CAST(rhythms.newest_delivery AS DATE) AS INT) AS BIGINT)
        )
            AS is_short
    FROM spreads
    LEFT JOIN own_months AS here
        ON spreads.source = here.source AND spreads.area = here.area AND spreads."month" = here."month"
    CROSS JOIN as_of_date
    LEFT JOIN rhythms ON spreads.source = rhythms.source
    WHERE spreads.records > 0 OR coalesce(as_of_date.as_of > rhythms.next_due, false)
)
SELECT
    source,
    area,
    period,
    expected,
    received,
    CAST(received AS DOUBLE) / CAST(expected AS DOUBLE) AS ratio,
    CASE WHEN received = expected THEN 'complete' ELSE 'incomplete' END AS state
FROM counted
WHERE expected > 0
UNION ALL
-- A few records may be a few persons: numbers of records are told in tens.
SELECT
    source,
    area,
    month_text("month") AS period,
    expected / 10 * 10 AS expected,
    received / 10 * 10 AS received,
    CASE WHEN expected >= 10 THEN CAST(received / 10 AS DOUBLE) / CAST(expected / 10 AS DOUBLE) END AS ratio,
    CASE WHEN is_short THEN 'incomplete' ELSE 'complete' END AS state
FROM own_counted
