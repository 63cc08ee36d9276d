-- layer: L
-- grain: person, benefit, spell, months_after
-- unit: months since January 1970, days since 1970
-- why: what has become of a person 1, 3, 6 and 12 months after a spell ended
-- danish: Arbejdsmarkedsstatus efter afsluttet forløb
-- source: jobindsats.dk, note of October 2019 (pipeline/docs/decisions, person-level measures, 13)
-- local: person
WITH spells AS (
    SELECT * FROM spells WHERE is_ended
),
wages AS (
    SELECT person, "month", sum(wage_oere) AS wage_oere FROM wages GROUP BY person, "month"
),
runs AS (
    SELECT * FROM day_runs
),
as_of_date AS (
    SELECT * FROM as_of
),
delivered AS (
    SELECT * FROM income_delivered
),
-- The newest month delivered for the whole country, or null.
country AS (
    SELECT max(newest_month) AS newest_month FROM delivered WHERE municipality = 0
),
targets AS (
    SELECT
        spells.person,
        spells.benefit,
        spells.spell,
        spells.last_municipality AS municipality,
        spells.last_day - spells.first_day + 1 AS days,
        month_of(spells.last_day) AS end_month,
        months.months_after,
        add_months(spells.last_day, months.months_after) AS target_day,
        month_of(add_months(spells.last_day, months.months_after)) AS target_month
    FROM spells
    CROSS JOIN (VALUES (1), (3), (6), (12)) AS months (months_after)
),
covered AS (
    SELECT targets.person, targets.benefit, targets.spell, targets.months_after
    FROM targets
    INNER JOIN runs
        ON targets.person = runs.person AND runs.from_day <= targets.target_day AND runs.to_day >= targets.target_day
    GROUP BY targets.person, targets.benefit, targets.spell, targets.months_after
),
known AS (
    SELECT
        targets.*,
        month_last(targets.target_month) > as_of_date.as_of_day AS is_future,
        coalesce(greatest(country.newest_month, delivered.newest_month) >= targets.target_month, false) AS is_delivered
    FROM targets
    CROSS JOIN as_of_date
    CROSS JOIN country
    LEFT JOIN delivered ON targets.municipality = delivered.municipality
)
SELECT
    known.person,
    known.benefit,
    known.spell,
    known.municipality,
    known.days,
    known.end_month,
    known.months_after,
    known.target_month,
    known.is_future,
    CASE
        WHEN known.is_future OR NOT known.is_delivered THEN 'pending'
        WHEN wages.wage_oere > 0 THEN 'employed'
        WHEN covered.person IS NOT NULL THEN 'other_benefit'
        ELSE 'neither'
    END AS status_after
FROM known
LEFT JOIN wages ON known.person = wages.person AND known.target_month = wages."month"
LEFT JOIN covered
    ON known.person = covered.person
    AND known.benefit = covered.benefit
    AND known.spell = covered.spell
    AND known.months_after = covered.months_after
