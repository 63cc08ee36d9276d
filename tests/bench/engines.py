"""W1 in other engines: the same rows, the same measures, compared cell by cell.

Run the bench `persons` first; it leaves in DIR the rows, our cells after the back-fill, and how long that took:

    cargo bench --workspace --bench persons -- DIR ROWS
    scripts/bench.sh engines [--limit SECONDS] DIR [duckdb] [polars] [pathway]

Without names all three run. They read the same NDJSON and compute the measures `covered`, `amounts` and `spell_flows` from
their definitions (sql/README.md, the decision page on person-level measures), written anew for each engine. Our time holds all
measures, the indicators and the committed epoch. Rows are ledger rows only (`op` = `add`), which is what W1 has.

DuckDB and Polars run here, with two threads. Pathway (`in_pathway.py`) wants an older PyArrow, so it has an environment of its
own (`tests/bench/requirements.txt`). It runs as two processes of one thread each, so that its Python functions do not wait for
one lock; on a busy machine this could not be told from two threads. It keeps everything in memory, so it is stopped at SECONDS,
and at the memory that DuckDB may use; then nothing was compared, which counts as a failure. Its time is what its processes
measure, without the start of Python. It runs over the whole file at once: what Pathway is made for, keeping results current as
rows arrive, is not compared here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "sql" / "reference"
THREADS = 2
MEMORY_GB = 12
AS_OF = "2026-08-01"
GRAIN = ["municipality", "benefit", "month", "breakdown", "breakdown_value"]
ENGINES = ["duckdb", "polars", "pathway"]
GRAINS = {"covered": GRAIN, "amounts": GRAIN[:3], "spell_flows": GRAIN}

DUCKDB = """
CREATE MACRO month_of(day) AS (year(day) - 1970) * 12 + month(day) - 1;
CREATE MACRO month_first(m) AS make_date(1970 + CAST(m // 12 AS INT), CAST(m % 12 AS INT) + 1, 1);
CREATE MACRO share(amount, days, total) AS sign(amount) * (abs(amount) * days // total);

CREATE TEMP TABLE rules AS
SELECT code AS benefit, "number"::BIGINT AS benefit_number,
       CASE gap_rule WHEN 'full_calendar_month' THEN 0 WHEN 'one_day' THEN 1 ELSE substr(gap_rule, 6)::INT END AS gap_days,
       valid_from::DATE AS valid_from, coalesce(nullif(valid_to, '')::DATE, DATE '9999-12-31') AS valid_to,
       row_number() OVER (PARTITION BY code ORDER BY valid_from DESC) = 1 AS is_newest
FROM read_csv('{benefits}', all_varchar = true);

CREATE TEMP TABLE events AS
SELECT DISTINCT source, id, recorded_at, person, birth, sex, municipality, benefit, "from", "to", amount_oere, refund_oere
FROM read_ndjson('{rows}', columns = {{source: 'VARCHAR', id: 'VARCHAR', recorded_at: 'VARCHAR', person: 'VARCHAR',
    birth: 'VARCHAR', sex: 'VARCHAR', municipality: 'SMALLINT', benefit: 'VARCHAR', "from": 'DATE', "to": 'DATE',
    amount_oere: 'BIGINT', refund_oere: 'BIGINT'}});

CREATE TEMP TABLE ranked AS
SELECT *, row_number() OVER (PARTITION BY person ORDER BY recorded_at, source, id) AS place FROM events;

CREATE TEMP TABLE persons AS
SELECT person,
       arg_max((left(birth, 4)::INT - 1970) * 12 + substr(birth, 6)::INT - 1, place) FILTER (birth IS NOT NULL) AS birth_month,
       arg_max(sex, place) FILTER (sex IS NOT NULL) AS sex
FROM ranked GROUP BY person;

CREATE TEMP TABLE netted AS
SELECT person, benefit, "from", "to", sum(amount_oere)::BIGINT AS amount, sum(refund_oere)::BIGINT AS refund,
       arg_max(municipality, place) AS municipality, max(place) AS place
FROM ranked GROUP BY person, benefit, "from", "to";

CREATE TEMP TABLE amounts AS
WITH long AS (
    SELECT *, row_number() OVER () AS interval, unnest(range(month_of("from"), month_of("to") + 1)) AS m
    FROM netted WHERE month_of("from") < month_of("to")
),
shared AS (
    SELECT *, date_diff('day', "from", "to") + 1 AS total,
           date_diff('day', greatest("from", month_first(m)), least("to", month_first(m + 1) - 1)) + 1 AS days
    FROM long
),
parts AS (
    SELECT interval, municipality, benefit, m, amount, refund, m = month_of("to") AS is_last,
           CASE WHEN m < month_of("to") THEN share(amount, days, total) ELSE 0 END AS a,
           CASE WHEN m < month_of("to") THEN share(refund, days, total) ELSE 0 END AS r
    FROM shared
),
shares AS (
    SELECT municipality, benefit, m,
           CASE WHEN is_last THEN amount - sum(a) OVER whole ELSE a END AS amount,
           CASE WHEN is_last THEN refund - sum(r) OVER whole ELSE r END AS refund
    FROM parts WINDOW whole AS (PARTITION BY interval)
    UNION ALL
    SELECT municipality, benefit, month_of("from"), amount, refund FROM netted WHERE month_of("from") = month_of("to")
)
SELECT municipality, benefit, m AS month, sum(amount)::BIGINT AS amount_oere, sum(refund)::BIGINT AS refund_oere
FROM shares GROUP BY municipality, benefit, m;

CREATE TEMP TABLE pieces AS
WITH counting AS (
    SELECT person, benefit, "from", least("to", DATE '{as_of}') AS "to", municipality, place
    FROM netted WHERE amount > 0 AND "from" <= DATE '{as_of}'
),
reached AS (
    SELECT *, max("to") OVER (PARTITION BY person, benefit ORDER BY "from", "to", place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
    FROM counting
),
clustered AS (
    SELECT *, sum(CASE WHEN reach IS NULL OR "from" > reach THEN 1 ELSE 0 END)
        OVER (PARTITION BY person, benefit ORDER BY "from", "to", place ROWS UNBOUNDED PRECEDING) AS cluster
    FROM reached
),
counted AS (SELECT *, count(*) OVER (PARTITION BY person, benefit, cluster) AS members FROM clustered),
overlapping AS (SELECT * FROM counted WHERE members > 1),
bounds AS (
    SELECT person, benefit, cluster, "from" AS bound FROM overlapping
    UNION
    SELECT person, benefit, cluster, "to" + 1 FROM overlapping
),
segments AS (
    SELECT *, lead(bound) OVER (PARTITION BY person, benefit, cluster ORDER BY bound) - 1 AS last FROM bounds
)
SELECT person, benefit, "from", "to", municipality FROM counted WHERE members = 1
UNION ALL
SELECT segments.person, segments.benefit, segments.bound, segments.last, arg_max(overlapping.municipality, overlapping.place)
FROM segments
JOIN overlapping USING (person, benefit, cluster)
WHERE segments.last IS NOT NULL AND overlapping."from" <= segments.bound AND overlapping."to" >= segments.last
GROUP BY segments.person, segments.benefit, segments.bound, segments.last;

CREATE TEMP TABLE months AS
SELECT person, benefit, municipality, m,
       sum(date_diff('day', greatest("from", month_first(m)), least("to", month_first(m + 1) - 1)) + 1) AS days
FROM (SELECT *, unnest(range(month_of("from"), month_of("to") + 1)) AS m FROM pieces)
GROUP BY person, benefit, municipality, m;

CREATE TEMP TABLE breakdowns AS
WITH ages AS (
    SELECT DISTINCT months.person, months.m, trunc((months.m - persons.birth_month) / 12)::INT AS age, persons.sex
    FROM months JOIN persons USING (person)
)
SELECT person, m, unnest(['total', 'age', 'sex', 'origin']) AS breakdown,
       unnest(['total',
               CASE WHEN age IS NULL THEN 'unknown' WHEN age < 25 THEN '16-24' WHEN age < 30 THEN '25-29'
                    WHEN age < 50 THEN '30-49' WHEN age < 60 THEN '50-59' ELSE '60+' END,
               coalesce(sex, 'unknown'), 'unknown']) AS breakdown_value
FROM ages;

CREATE TEMP TABLE covered AS
SELECT municipality, benefit, m AS month, breakdown, breakdown_value, sum(days)::BIGINT AS covered_days, count(*) AS recipients
FROM months JOIN breakdowns USING (person, m)
GROUP BY ALL;

CREATE TEMP TABLE spell_flows AS
WITH neighbours AS (
    SELECT *, lag("to") OVER (PARTITION BY person, benefit ORDER BY "from") AS before FROM pieces
),
ruled AS (
    SELECT neighbours.*, coalesce(valid.gap_days, newest.gap_days) AS gap
    FROM neighbours
    LEFT JOIN rules AS valid ON neighbours.benefit = valid.benefit AND neighbours.before BETWEEN valid.valid_from AND valid.valid_to
    JOIN rules AS newest ON neighbours.benefit = newest.benefit AND newest.is_newest
),
numbered AS (
    SELECT *, sum(CASE WHEN before IS NULL THEN 1
                       WHEN gap = 0 THEN (month_of("from") - month_of(before) >= 2)::INT
                       ELSE (date_diff('day', before, "from") - 1 >= gap)::INT END)
        OVER (PARTITION BY person, benefit ORDER BY "from" ROWS UNBOUNDED PRECEDING) AS spell
    FROM ruled
),
spans AS (
    SELECT person, benefit, spell, min("from") AS first_day, max("to") AS last_day,
           arg_min(municipality, "from") AS first_municipality, arg_max(municipality, "from") AS last_municipality
    FROM numbered GROUP BY person, benefit, spell
),
ends AS (
    SELECT spans.*, coalesce(valid.gap_days, newest.gap_days) AS gap
    FROM spans
    LEFT JOIN rules AS valid ON spans.benefit = valid.benefit AND spans.last_day BETWEEN valid.valid_from AND valid.valid_to
    JOIN rules AS newest ON spans.benefit = newest.benefit AND newest.is_newest
),
spells AS (
    SELECT *, CASE gap WHEN 0 THEN month_first(month_of(last_day) + 2) - 1 ELSE last_day + gap END <= DATE '{as_of}' AS is_ended
    FROM ends
),
grouped AS (
    SELECT spells.*, breakdown, breakdown_value
    FROM spells JOIN breakdowns ON spells.person = breakdowns.person AND breakdowns.m = month_of(spells.first_day)
),
flows AS (
    SELECT first_municipality AS municipality, benefit, month_of(first_day) AS month, breakdown, breakdown_value, 1 AS started, 0 AS ended
    FROM grouped
    UNION ALL
    SELECT last_municipality, benefit, month_of(last_day), breakdown, breakdown_value, 0, 1 FROM grouped WHERE is_ended
)
SELECT municipality, benefit, month, breakdown, breakdown_value, sum(started)::BIGINT AS started, sum(ended)::BIGINT AS ended
FROM flows GROUP BY ALL;
"""


def in_duckdb(rows: Path, scratch: str) -> dict[str, pl.DataFrame]:
    connection = duckdb.connect(config={"threads": THREADS, "temp_directory": scratch, "memory_limit": f"{MEMORY_GB}GB"})
    connection.execute(DUCKDB.format(rows=rows, benefits=REFERENCE / "benefits.csv", as_of=AS_OF))
    numbers = "(SELECT DISTINCT benefit AS code, benefit_number FROM rules)"
    results = {}
    for measure in GRAINS:
        sql = f"SELECT * REPLACE (benefit_number AS benefit) FROM {measure} JOIN {numbers} ON benefit = code"
        results[measure] = connection.sql(sql).pl().drop("code", "benefit_number")
    return results


def month_of(day: pl.Expr) -> pl.Expr:
    return (day.dt.year().cast(pl.Int64) - 1970) * 12 + day.dt.month() - 1


def month_first(month: pl.Expr) -> pl.Expr:
    return pl.date(1970 + month // 12, month % 12 + 1, 1)


def days_in(month: pl.Expr) -> pl.Expr:
    first = pl.max_horizontal(pl.col("from"), month_first(month))
    last = pl.min_horizontal(pl.col("to"), month_first(month + 1) - pl.duration(days=1))
    return (last - first).dt.total_days() + 1


def with_rule(frame: pl.DataFrame, rules: pl.DataFrame, day: str) -> pl.DataFrame:
    """Adds the gap rule in force on a day, or the newest: rules are few, so one condition each."""
    gap = pl.lit(None, pl.Int64)
    for rule in rules.iter_rows(named=True):
        is_valid = (pl.col("benefit") == rule["code"]) & pl.col(day).is_between(rule["valid_from"], rule["valid_to"])
        gap = pl.when(is_valid).then(rule["gap_days"]).otherwise(gap)
    newest = rules.sort("valid_from").group_by("code").last().select("code", newest="gap_days")
    frame = frame.with_columns(gap=gap).join(newest, left_on="benefit", right_on="code", how="left")
    return frame.with_columns(pl.coalesce("gap", "newest").alias("gap")).drop("newest")


def in_polars(rows: Path) -> dict[str, pl.DataFrame]:
    as_of = pl.lit(AS_OF).str.to_date()
    benefits = pl.read_csv(REFERENCE / "benefits.csv", infer_schema=False)
    rules = benefits.select(
        "code",
        pl.col("number").cast(pl.Int64),
        gap_days=pl.col("gap_rule").replace({"full_calendar_month": "0", "one_day": "1"}).str.extract(r"(\d+)$").cast(pl.Int64),
        valid_from=pl.col("valid_from").str.to_date(),
        valid_to=pl.col("valid_to").fill_null("").replace("", "9999-12-31").str.to_date(),
    )
    text, whole = pl.String, pl.Int64
    schema = {
        "source": text, "id": text, "recorded_at": text, "person": text, "birth": text, "sex": text,
        "municipality": whole, "benefit": text, "from": text, "to": text, "amount_oere": whole, "refund_oere": whole,
    }
    events = (
        pl.scan_ndjson(rows, schema=schema)
        .unique()
        .with_columns(pl.col("from", "to").str.to_date())
        .sort("person", "recorded_at", "source", "id")
        .with_row_index("place")
    ).collect()
    persons = events.group_by("person").agg(
        pl.col("birth").drop_nulls().last(), pl.col("sex").drop_nulls().last()
    ).with_columns(
        birth_month=(pl.col("birth").str.slice(0, 4).cast(whole) - 1970) * 12 + pl.col("birth").str.slice(5).cast(whole) - 1
    )
    netted = events.group_by("person", "benefit", "from", "to").agg(
        amount=pl.col("amount_oere").sum(), refund=pl.col("refund_oere").sum(),
        municipality=pl.col("municipality").last(), place=pl.col("place").max(),
    )
    del events
    netted = netted.with_columns(first=month_of(pl.col("from")), last=month_of(pl.col("to")))

    long = netted.filter(pl.col("first") < pl.col("last")).with_row_index("interval")
    long = long.with_columns(month=pl.int_ranges("first", pl.col("last") + 1)).explode("month")
    total = (pl.col("to") - pl.col("from")).dt.total_days() + 1
    is_last = pl.col("month") == pl.col("last")
    for column in ["amount", "refund"]:
        part = pl.col(column).sign() * (pl.col(column).abs() * days_in(pl.col("month")) // total)
        long = long.with_columns(part=pl.when(is_last).then(0).otherwise(part))
        rest = pl.col(column) - pl.col("part").sum().over("interval")
        long = long.with_columns(pl.when(is_last).then(rest).otherwise(pl.col("part")).alias(f"{column}_part"))
    cell = ["municipality", "benefit", "month"]
    short = netted.filter(pl.col("first") == pl.col("last")).select(
        "municipality", "benefit", month="first", amount_part="amount", refund_part="refund"
    )
    amounts = (
        pl.concat([short, long.select(short.columns)])
        .group_by(cell)
        .agg(amount_oere=pl.col("amount_part").sum(), refund_oere=pl.col("refund_part").sum())
    )
    del long, short

    key = ["person", "benefit"]
    counting = (
        netted.filter((pl.col("amount") > 0) & (pl.col("from") <= as_of))
        .with_columns(pl.min_horizontal("to", as_of).alias("to"))
        .sort(*key, "from", "to", "place")
        .select(*key, "from", "to", "municipality", "place")
    )
    del netted
    counting = counting.with_columns(reach=pl.col("to").cum_max().shift(1).over(key))
    begins = (pl.col("reach").is_null() | (pl.col("from") > pl.col("reach"))).cast(whole)
    counting = counting.with_columns(cluster=begins.cum_sum())
    counting = counting.with_columns(members=pl.len().over("cluster"))
    overlapping = counting.filter(pl.col("members") > 1)
    bounds = pl.concat([
        overlapping.select(*key, "cluster", bound="from"),
        overlapping.select(*key, "cluster", bound=pl.col("to") + pl.duration(days=1)),
    ]).unique().sort("cluster", "bound")
    segments = bounds.with_columns(until=pl.col("bound").shift(-1).over("cluster") - pl.duration(days=1)).drop_nulls("until")
    covering = segments.join(overlapping.select("cluster", "from", "to", "municipality", "place"), on="cluster").filter(
        (pl.col("from") <= pl.col("bound")) & (pl.col("to") >= pl.col("until"))
    )
    winners = covering.sort("place").group_by(*key, "bound", "until").agg(pl.col("municipality").last())
    pieces = pl.concat([
        counting.filter(pl.col("members") == 1).select(*key, "from", "to", "municipality"),
        winners.select(*key, pl.col("bound").alias("from"), pl.col("until").alias("to"), "municipality"),
    ]).sort(*key, "from")
    del counting

    ranges = pl.int_ranges(month_of(pl.col("from")), month_of(pl.col("to")) + 1)
    months = pieces.with_columns(month=ranges).explode("month")
    months = months.with_columns(days=days_in(pl.col("month"))).group_by(*key, "municipality", "month").agg(pl.col("days").sum())
    ages = months.select("person", "month").unique().join(persons, on="person")
    age = (pl.col("month") - pl.col("birth_month")) // 12
    group = (
        pl.when(age.is_null()).then(pl.lit("unknown")).when(age < 25).then(pl.lit("16-24")).when(age < 30).then(pl.lit("25-29"))
        .when(age < 50).then(pl.lit("30-49")).when(age < 60).then(pl.lit("50-59")).otherwise(pl.lit("60+"))
    )
    values = {"total": pl.lit("total"), "age": group, "sex": pl.col("sex").fill_null("unknown"), "origin": pl.lit("unknown")}
    breakdowns = pl.concat([
        ages.select("person", "month", breakdown=pl.lit(name), breakdown_value=value) for name, value in values.items()
    ])
    covered = months.join(breakdowns, on=["person", "month"]).group_by(GRAIN).agg(
        covered_days=pl.col("days").sum(), recipients=pl.len().cast(whole)
    )

    neighbours = with_rule(pieces.with_columns(before=pl.col("to").shift(1).over(key)), rules, "before")
    by_month = month_of(pl.col("from")) - month_of(pl.col("before")) >= 2
    by_days = (pl.col("from") - pl.col("before")).dt.total_days() - 1 >= pl.col("gap")
    begins = pl.when(pl.col("before").is_null()).then(True).when(pl.col("gap") == 0).then(by_month).otherwise(by_days)
    spells = neighbours.with_columns(spell=begins.cast(whole).cum_sum()).group_by(*key, "spell", maintain_order=True).agg(
        first_day=pl.col("from").first(), last_day=pl.col("to").last(),
        first_municipality=pl.col("municipality").first(), last_municipality=pl.col("municipality").last(),
    )
    spells = with_rule(spells, rules, "last_day")
    next_month_end = month_first(month_of(pl.col("last_day")) + 2) - pl.duration(days=1)
    ends_on = pl.when(pl.col("gap") == 0).then(next_month_end).otherwise(pl.col("last_day") + pl.duration(days=pl.col("gap")))
    spells = spells.with_columns(is_ended=ends_on <= as_of, month=month_of(pl.col("first_day")))
    grouped = spells.join(breakdowns, on=["person", "month"])
    flows = pl.concat([
        grouped.select(municipality="first_municipality", benefit="benefit", month="month", breakdown="breakdown",
                       breakdown_value="breakdown_value", started=pl.lit(1, whole), ended=pl.lit(0, whole)),
        grouped.filter("is_ended").select(
            municipality="last_municipality", benefit="benefit", month=month_of(pl.col("last_day")), breakdown="breakdown",
            breakdown_value="breakdown_value", started=pl.lit(0, whole), ended=pl.lit(1, whole)),
    ]).group_by(GRAIN).agg(pl.col("started", "ended").sum())
    numbers = dict(zip(rules["code"], rules["number"]))
    return {
        name: frame.with_columns(pl.col("benefit").replace_strict(numbers, return_dtype=whole))
        for name, frame in {"covered": covered, "amounts": amounts, "spell_flows": flows}.items()
    }


class Run(NamedTuple):
    cells: dict[str, pl.DataFrame]
    seconds: float
    note: str = ""


class Stopped(Exception):
    """An engine that did not come to the end."""


def timed(compute: Callable[[], dict[str, pl.DataFrame]]) -> Run:
    begun = time.perf_counter()
    cells = compute()
    return Run(cells, time.perf_counter() - begun)


def in_pathway(rows: Path, scratch: str, limit: float) -> Run:
    # Without a licence key and a monitoring server Pathway sends nothing; no settings of the user's own Pathway apply here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PATHWAY_")}
    environment["RETTIDIG_REQUIREMENTS"] = "tests/bench/requirements.txt"
    python = str(ROOT / "scripts" / "python.sh")
    subprocess.run([python, "-c", "import pathway"], env=environment, check=True)

    memory = MEMORY_GB * 1000 // THREADS
    program = [python, "tests/bench/in_pathway.py", str(rows), scratch, str(REFERENCE / "benefits.csv"), AS_OF, str(memory)]
    spawn = [python, "-m", "pathway", "spawn", "--processes", str(THREADS), "--threads", "1", *program]
    processes = subprocess.Popen(spawn, cwd=ROOT, env=environment, start_new_session=True)
    try:
        code = processes.wait(limit)
    except subprocess.TimeoutExpired:
        raise Stopped(f"stopped after {limit:.0f} s") from None
    finally:
        if processes.poll() is None:
            os.killpg(processes.pid, signal.SIGKILL)
            processes.wait()
    if code != 0:
        raise Stopped(f"ended with code {code}")

    numbers = dict(pl.read_csv(REFERENCE / "benefits.csv").select("code", "number").iter_rows())
    cells = {}
    for measure in GRAINS:
        # A stream of changes: a cell is there if it was added more often than taken away.
        changes = pl.read_ndjson(Path(scratch) / f"{measure}.ndjson").drop("time")
        present = changes.group_by(pl.exclude("diff")).agg(pl.col("diff").sum()).filter(pl.col("diff") > 0).drop("diff")
        cells[measure] = present.with_columns(pl.col("benefit").replace_strict(numbers, return_dtype=pl.Int64))
    runs = [json.loads(path.read_text()) for path in Path(scratch).glob("run-*.json")]
    peaks = " + ".join(f"{run['peak_mb']:,}" for run in runs)
    return Run(cells, max(run["seconds"] for run in runs), f"; peak {peaks} MB")


def in_order(frame: pl.DataFrame, grain: list[str]) -> pl.DataFrame:
    values = sorted(set(frame.columns) - set(grain))
    numbers = [name for name in [*grain, *values] if not name.startswith("breakdown")]
    frame = frame.select(*grain, *values).with_columns(pl.col(numbers).cast(pl.Int64))
    return frame.filter(pl.any_horizontal(pl.col(values) != 0)).sort(grain)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("engines", metavar="ENGINE", nargs="*", default=ENGINES, help=f"{', '.join(ENGINES)}; all without any")
    parser.add_argument("--limit", metavar="SECONDS", type=float, default=3600, help="when Pathway is stopped (%(default)s)")
    arguments = parser.parse_args()
    if unknown := set(arguments.engines) - set(ENGINES):
        parser.error(f"no such engine: {', '.join(sorted(unknown))}")
    folder = arguments.folder.resolve()
    rows = folder / "payments-0001.ndjson"
    ours_seconds = json.loads((folder / "back-fill.json").read_text())["seconds"]
    ours = {name: in_order(pl.read_parquet(folder / "cells" / f"{name}.parquet"), grain) for name, grain in GRAINS.items()}
    print(f"rettidig    {ours_seconds:7.1f} s  (all measures, committed)", flush=True)
    is_equal = True
    engines: dict[str, Callable[[str], Run]] = {
        "duckdb": lambda scratch: timed(lambda: in_duckdb(rows, scratch)),
        "polars": lambda scratch: timed(lambda: in_polars(rows)),
        "pathway": lambda scratch: in_pathway(rows, scratch, arguments.limit),
    }
    for name in arguments.engines:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            try:
                run = engines[name](scratch)
            except Stopped as reason:
                print(f"{name:<11} {reason}")
                is_equal = False
                continue
        ratio = run.seconds / ours_seconds
        print(f"{name:<11} {run.seconds:7.1f} s  (three measures; {ratio:.2f} of ours{run.note})", flush=True)
        for measure, grain in GRAINS.items():
            theirs = in_order(run.cells[measure], grain)
            same = theirs.equals(ours[measure])
            is_equal &= same
            print(f"    {measure}: {len(theirs)} cells, {'equal' if same else 'DIFFERENT'}")
            if not same:
                print(theirs.join(ours[measure], on=theirs.columns, how="anti").head(5))
                print(ours[measure].join(theirs, on=theirs.columns, how="anti").head(5))
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
