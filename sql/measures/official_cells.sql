-- layer: A
-- grain: publisher, table_id, measure, area_kind, area, benefit, period, breakdown, breakdown_value, known_at
-- unit: value_micro in millionths of the measure's unit, summed over the members whose figure is known; members as counts
-- why: what the figures of an area's municipalities add up to, for every instant at which one of them changed
-- danish: Officielle tal pr. område
-- source: ours; sums of published figures
WITH figures AS (
    SELECT * FROM official_figures
),
members AS (
    SELECT * FROM area_members
),
member_figures AS (
    SELECT members.area_kind, members.area AS cell_area, figures.*
    FROM figures
    INNER JOIN members
        ON figures.area = members.municipality
        AND figures.period_end >= members.valid_from
        AND (members.valid_to IS NULL OR figures.period_end <= members.valid_to)
),
instants AS (
    SELECT
        publisher, table_id, measure, area_kind, cell_area, benefit, period, period_end, breakdown, breakdown_value,
        known_from AS known_at
    FROM member_figures
    GROUP BY
        publisher, table_id, measure, area_kind, cell_area, benefit, period, period_end, breakdown, breakdown_value,
        known_from
),
-- Members that an area has at the end of the period, whether or not they have delivered.
expected AS (
    SELECT periods.period, members.area_kind, members.area AS cell_area, count(*) AS members_expected
    FROM (SELECT period, period_end FROM figures GROUP BY period, period_end) AS periods
    INNER JOIN members
        ON periods.period_end >= members.valid_from
        AND (members.valid_to IS NULL OR periods.period_end <= members.valid_to)
    GROUP BY periods.period, members.area_kind, members.area
),
sums AS (
    SELECT
        instants.publisher,
        instants.table_id,
        instants.measure,
        instants.area_kind,
        instants.cell_area AS area,
        instants.benefit,
        instants.period,
        instants.period_end,
        instants.breakdown,
        instants.breakdown_value,
        instants.known_at,
        sum(member_figures.value_micro) AS value_micro,
        count(member_figures.value_micro) AS members_known,
        count(CASE WHEN member_figures.status = 'hidden' THEN 1 END) AS members_hidden
    FROM instants
    INNER JOIN member_figures
        ON instants.publisher = member_figures.publisher
        AND instants.table_id = member_figures.table_id
        AND instants.measure = member_figures.measure
        AND instants.area_kind = member_figures.area_kind
        AND instants.cell_area = member_figures.cell_area
        AND instants.benefit = member_figures.benefit
        AND instants.period = member_figures.period
        AND instants.breakdown = member_figures.breakdown
        AND instants.breakdown_value = member_figures.breakdown_value
        AND member_figures.known_from <= instants.known_at
        AND (member_figures.known_to IS NULL OR member_figures.known_to > instants.known_at)
    GROUP BY
        instants.publisher, instants.table_id, instants.measure, instants.area_kind, instants.cell_area,
        instants.benefit, instants.period, instants.period_end, instants.breakdown, instants.breakdown_value,
        instants.known_at
)
-- A sum with a withheld member cannot be made; a sum of what has arrived so far can, and says so.
SELECT
    sums.publisher,
    sums.table_id,
    sums.measure,
    sums.area_kind,
    sums.area,
    sums.benefit,
    sums.period,
    sums.period_end,
    sums.breakdown,
    sums.breakdown_value,
    sums.known_at,
    CASE WHEN sums.members_hidden = 0 THEN sums.value_micro END AS value_micro,
    sums.members_known,
    sums.members_hidden,
    expected.members_expected,
    CASE
        WHEN sums.members_hidden > 0 THEN 'hidden'
        WHEN sums.members_known = expected.members_expected THEN 'final'
        WHEN sums.members_known = 0 THEN 'missing'
        ELSE 'incomplete'
    END AS status
FROM sums
INNER JOIN expected
    ON sums.period = expected.period AND sums.area_kind = expected.area_kind AND sums.area = expected.cell_area
