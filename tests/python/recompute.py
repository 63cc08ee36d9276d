"""Our own version of the official indicators, from the recorded extracts, with DuckDB and without any Rust."""

from __future__ import annotations

import functools

import duckdb

import fixtures

# indicator -> (recorded table, measure, benefits). A table without a benefit column has one benefit only;
# its third column is a breakdown, of which we compare `total`.
OFFICIAL = {
    "full_time_unemployed": ("y25i01", "full_time_unemployed", None),
    "long_term_unemployed": ("y25i09", "long_term_unemployed", None),
    "cash_full_time_persons": ("y60a02", "cash_full_time_persons", "cash"),
}


def official_cells(indicator: str) -> list[tuple[str, str, str, int | None]]:
    """(area, benefit, period, value) as last shown by the publisher."""
    table, measure, only = OFFICIAL[indicator]
    out = []
    for (area, value_of_breakdown, period), value in fixtures.newest(table, measure).items():
        if area == fixtures.UNKNOWN_AREA or (only and value_of_breakdown != "total"):
            continue
        out.append((area, only or value_of_breakdown, period, None if value is None else int(value)))
    return out


@functools.cache
def own_sums(indicator: str) -> dict[tuple[str, str, str, str], int | None]:
    """(area_kind, area, benefit, period) -> the figure; None where a member's is not published.

    Jobcentre, cluster and region are sums over the municipalities that are members on the period's last
    day; the country is the official national figure, not a sum.
    """
    with duckdb.connect() as db:
        db.execute("CREATE TABLE cell (area VARCHAR, benefit VARCHAR, period VARCHAR, value BIGINT)")
        cells = official_cells(indicator)
        for begin in range(0, len(cells), 2000):
            batch = cells[begin : begin + 2000]
            db.execute(
                "INSERT INTO cell VALUES " + ", ".join(["(?, ?, ?, ?)"] * len(batch)), [v for c in batch for v in c]
            )
        db.execute(
            """CREATE TABLE member AS
               SELECT municipality, kind, code, valid_from::DATE AS valid_from,
                      coalesce(valid_to::DATE, DATE '9999-12-31') AS valid_to
               FROM (SELECT * FROM read_csv(?, header = true, all_varchar = true, nullstr = ''))
               UNPIVOT (code FOR kind IN (jobcentre, cluster, region))""",
            [str(fixtures.REFERENCE / "areas.csv")],
        )
        found = db.execute(
            """WITH period AS (
                   SELECT DISTINCT period, benefit, last_day((period || '-01')::DATE) AS day FROM cell
               ),
               grouped AS (
                   SELECT m.kind, m.code, p.benefit, p.period,
                          CASE WHEN count(*) = count(c.value) THEN sum(c.value)::BIGINT END AS value
                   FROM period p
                   JOIN member m ON p.day BETWEEN m.valid_from AND m.valid_to
                   LEFT JOIN cell c ON c.area = m.municipality AND c.benefit = p.benefit AND c.period = p.period
                   GROUP BY ALL
               )
               SELECT kind, code, benefit, period, value FROM grouped
               UNION ALL
               SELECT CASE area WHEN ? THEN 'country' ELSE 'municipality' END, area, benefit, period, value FROM cell""",
            [fixtures.COUNTRY],
        ).fetchall()
    return {tuple(row[:4]): row[4] for row in found}
