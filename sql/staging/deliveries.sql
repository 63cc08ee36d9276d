-- layer: S
-- grain: source, municipality, period, delivered_at
-- unit: records as a count
-- why: what arrived when, for freshness and completeness
-- danish: Leverancer
-- source: topic rettidig.deliveries
-- public: yes
SELECT
    source,
    lpad(CAST(municipality AS VARCHAR), 4, '0') AS municipality,
    period,
    period_end,
    delivered_at,
    -- one that was told twice counts once; two files of the same second count both
    sum(DISTINCT records) AS records
FROM event_deliveries
GROUP BY source, municipality, period, period_end, delivered_at
