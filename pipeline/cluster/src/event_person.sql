-- The table that staging reads, made of the log: in SQL what `rettidig_model::persons` makes of some histories in Rust.
WITH told_apart AS (
    SELECT
        *,
        op <> 0 AS is_record,
        row_number() OVER (
            PARTITION BY person, topic, source, id, op <> 0, revision ORDER BY topic_partition, topic_offset
        ) AS copy
    FROM log_persons
),
-- A row that was settled stands in its bucket's file, and in the file of the tail that it came with.
once AS (
    SELECT * FROM told_apart WHERE copy = 1
),
ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY person ORDER BY recorded_at, source, id, revision, topic, is_record
        ) AS place,
        max(revision) OVER (PARTITION BY person, topic, source, id, is_record) AS newest
    FROM once
)
SELECT
    person,
    CAST(place AS BIGINT) - 1 AS "rank",
    NOT is_record OR revision = newest AS is_current,
    CAST(kind AS BIGINT) AS kind,
    CAST(op AS BIGINT) AS op,
    CAST(municipality AS BIGINT) AS municipality,
    CAST(birth_month AS BIGINT) AS birth_month,
    CAST(sex AS BIGINT) AS sex,
    CAST(benefit AS BIGINT) AS benefit,
    CAST(CAST(from_day AS INT) AS BIGINT) AS from_day,
    CAST(CAST(to_day AS INT) AS BIGINT) AS to_day,
    minutes,
    amount_oere,
    refund_oere,
    detail,
    passed
FROM ranked
