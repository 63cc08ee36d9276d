-- The table that staging reads, made of the log: in SQL what `rettidig_model::persons` makes of some histories in Rust.
WITH once AS (
    SELECT * FROM log_settled
    UNION ALL
    -- A row of the tail that was settled since stands in its bucket's file too.
    SELECT log_tail.*
    FROM log_tail
    LEFT ANTI JOIN log_settled
        ON log_tail.person = log_settled.person
        AND log_tail.topic = log_settled.topic
        AND log_tail.source = log_settled.source
        AND log_tail.id = log_settled.id
        AND log_tail.op = log_settled.op
        AND log_tail.revision = log_settled.revision
),
revised AS (
    SELECT person AS of_person, topic AS of_topic, source AS of_source, id AS of_id, max(revision) AS newest
    FROM once
    WHERE op <> 0
    GROUP BY person, topic, source, id
    HAVING count(*) > 1
),
current AS (
    SELECT once.*, once.op = 0 OR revised.newest IS NULL OR once.revision = revised.newest AS is_current
    FROM once
    LEFT JOIN revised
        ON once.person = revised.of_person
        AND once.topic = revised.of_topic
        AND once.source = revised.of_source
        AND once.id = revised.of_id
)
SELECT
    person,
    CAST(row_number() OVER (
        PARTITION BY person ORDER BY recorded_at, source, id, revision, topic, op <> 0
    ) AS BIGINT) - 1 AS "rank",
    is_current,
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
    passed,
    school
FROM current
