-- layer: T
-- grain: node, parent
-- unit: value in the column unit, change_1y in percent (points for percentages)
-- why: the tree of the integration ministry's goals with what feeds each indicator, what does not, and how it has moved in a year
-- danish: Forandringsteori
-- source: goals of the integration ministry, indicators mostly ours (sql/reference/theory_of_change.yaml)
WITH nodes AS (
    SELECT * FROM ref_theory_nodes
),
links AS (
    SELECT * FROM ref_theory_links
),
figures AS (
    SELECT * FROM theory_figures
),
as_of_date AS (
    SELECT month_of(as_of_day) AS this_month FROM as_of
),
goals AS (
    SELECT * FROM nodes WHERE kind IN ('goal', 'sub_goal')
),
-- Where each node stands: under its goal; an activity or resource under every goal that it is for.
standing AS (
    SELECT nodes.*, nodes.place AS section, 0 AS depth, 0 AS part, CAST(NULL AS BIGINT) AS shows_after_months, CAST(NULL AS VARCHAR) AS link_source
    FROM nodes
    WHERE nodes.kind = 'goal'
    UNION ALL
    SELECT nodes.*, nodes.place AS section, 1 AS depth, 0 AS part, CAST(NULL AS BIGINT) AS shows_after_months, CAST(NULL AS VARCHAR) AS link_source
    FROM nodes
    WHERE nodes.kind = 'sub_goal'
    UNION ALL
    SELECT
        nodes.*,
        goals.place AS section,
        CASE goals.kind WHEN 'goal' THEN 1 ELSE 2 END AS depth,
        1 AS part,
        CAST(NULL AS BIGINT) AS shows_after_months,
        CAST(NULL AS VARCHAR) AS link_source
    FROM nodes
    INNER JOIN goals ON nodes.parent = goals.node
    WHERE nodes.kind = 'indicator'
    UNION ALL
    SELECT
        nodes.* REPLACE (links.goal AS parent),
        goals.place AS section,
        CASE goals.kind WHEN 'goal' THEN 1 ELSE 2 END AS depth,
        CASE nodes.kind WHEN 'activity' THEN 2 ELSE 3 END AS part,
        links.shows_after_months,
        links.source AS link_source
    FROM nodes
    INNER JOIN links ON nodes.node = links.node
    INNER JOIN goals ON links.goal = goals.node
),
newest AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY node ORDER BY period_end DESC) AS back
        FROM figures
        WHERE settled
    )
    WHERE back = 1
),
-- A figure counts until two later ones should have been there.
known AS (
    SELECT
        standing.*,
        newest.period,
        newest.period_end,
        newest.value,
        newest.unit,
        newest.status,
        newest.last_year,
        newest.change_1y,
        newest.direction,
        newest.delivered,
        as_of_date.this_month - month_of(CAST(CAST(newest.period_end AS INT) AS BIGINT))
        > standing.known_after_months + CASE standing.cadence WHEN 'M' THEN 2 WHEN 'Q' THEN 6 ELSE 24 END AS is_old
    FROM standing
    CROSS JOIN as_of_date
    LEFT JOIN newest ON standing.node = newest.node
)
SELECT
    node,
    parent,
    row_number() OVER (ORDER BY section, part, place) AS place,
    depth,
    kind,
    danish,
    english,
    chosen_by,
    source,
    cadence,
    owner,
    lag,
    new_collection,
    better,
    delivered_from,
    indicator,
    benefit,
    breakdown,
    breakdown_value,
    differs,
    not_fed,
    shows_after_months,
    link_source,
    period,
    period_end,
    value,
    unit,
    last_year,
    change_1y,
    CASE WHEN NOT is_old THEN direction END AS direction,
    CASE WHEN NOT is_old THEN delivered END AS delivered,
    CASE
        WHEN kind IN ('goal', 'sub_goal') THEN NULL
        WHEN indicator IS NULL THEN 'not_fed'
        WHEN period IS NULL THEN 'missing'
        WHEN status = 'hidden' THEN 'hidden'
        WHEN is_old THEN 'outdated'
        WHEN better <> 'none' AND direction IS NULL AND delivered IS NULL THEN 'no_comparison'
        ELSE 'known'
    END AS state
FROM known
