"""The measures of `engines.py` in Pathway, which runs in processes and an environment of its own (`requirements.txt` here).

    in_pathway.py ROWS OUT BENEFITS AS_OF MEMORY

Writes the cells to OUT/<measure>.ndjson, as Pathway's stream of changes; each process writes its seconds and peak memory to
OUT/run-N.json, and gives up when it takes more than MEMORY megabytes. The seconds hold building the graph, reading, computing
and writing, but not the start of Python and the import of Pathway.

Native to Pathway: reading, dropping duplicates, netting, the latest row, joins and every sum. Not native, hence Python functions:

- The months of an interval. Pathway has no range of numbers.
- A person's days on a benefit in order: pieces, days by month, spells. What Pathway orders (`sort`, `diff`, session windows) sees
  neighbours, or joins them by one condition on both. It does not say which of several overlapping payments is the latest.
  A sorted tuple for each person and benefit, read by a function, is how a user of Pathway would do it. It also means that one
  changed payment recomputes all days of that person on that benefit.

Python functions run one row at a time under Python's lock.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pathway as pw

EPOCH = date(1970, 1, 1).toordinal()


class Row(pw.Schema):
    source: str
    record: str
    recorded_at: str
    person: str
    birth: str | None
    sex: str | None
    municipality: int
    benefit: str
    first: str
    last: str
    amount: int
    refund: int


# What is called differently in the rows: `from` is a word of Python, `id` one of Pathway.
PATHS = {"record": "/id", "first": "/from", "last": "/to", "amount": "/amount_oere", "refund": "/refund_oere"}


class Rule(NamedTuple):
    valid_from: int
    valid_to: int
    gap_days: int


class Piece(NamedTuple):
    first: int
    last: int
    municipality: int


def day_of(text: str) -> int:
    return date.fromisoformat(text).toordinal() - EPOCH


def month_of(day: int) -> int:
    calendar = date.fromordinal(day + EPOCH)
    return (calendar.year - 1970) * 12 + calendar.month - 1


def month_first(month: int) -> int:
    return date(1970 + month // 12, month % 12 + 1, 1).toordinal() - EPOCH


def days_by_month(first: int, last: int) -> list[tuple[int, int]]:
    months = range(month_of(first), month_of(last) + 1)
    return [(m, min(last, month_first(m + 1) - 1) - max(first, month_first(m)) + 1) for m in months]


def share(amount: int, days: int, total: int) -> int:
    part = abs(amount) * days // total
    return part if amount >= 0 else -part


@pw.udf(deterministic=True)
def spread(first: int, last: int, amount: int, refund: int) -> list[tuple[int, int, int]]:
    """Month, amount and refund of each month of an interval; the last month gets the rest."""
    total = last - first + 1
    *others, (last_month, _) = days_by_month(first, last)
    shares = [(month, share(amount, days, total), share(refund, days, total)) for month, days in others]
    rest = (last_month, amount - sum(part[1] for part in shares), refund - sum(part[2] for part in shares))
    return [*shares, rest]


def cut(cluster: list[tuple]) -> list[Piece]:
    """Intervals that overlap one another, cut at each beginning and end; the latest one gives the municipality."""
    if len(cluster) == 1:
        first, last, _, municipality = cluster[0]
        return [Piece(first, last, municipality)]
    bounds = sorted({bound for first, last, *_ in cluster for bound in (first, last + 1)})
    pieces = []
    for begin, end in pairwise(bounds):
        _, municipality = max((place, label) for first, last, place, label in cluster if first <= begin and last >= end - 1)
        pieces.append(Piece(begin, end - 1, municipality))
    return pieces


@pw.udf(deterministic=True)
def pieces_of(intervals: list[tuple[int, int, tuple[str, str, str], int]]) -> list[tuple[int, int, int]]:
    """First day, last day and municipality of pieces that do not overlap, from intervals in order."""
    pieces: list[Piece] = []
    cluster: list[tuple] = []
    reach = 0
    for interval in intervals:
        if cluster and interval[0] > reach:
            pieces += cut(cluster)
            cluster = []
        reach = max(reach, interval[1]) if cluster else interval[1]
        cluster.append(interval)
    return pieces + cut(cluster)


@pw.udf(deterministic=True)
def months_of(pieces: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Municipality, month and covered days of one person on one benefit."""
    days: Counter[tuple[int, int]] = Counter()
    for first, last, municipality in pieces:
        for month, count in days_by_month(first, last):
            days[municipality, month] += count
    return [(*key, count) for key, count in days.items()]


def spells_by(rules: dict[str, list[Rule]], as_of: int) -> pw.UDF:
    def gap_after(benefit: str, day: int) -> int:
        newest = max(rules[benefit])
        return next((rule for rule in rules[benefit] if rule.valid_from <= day <= rule.valid_to), newest).gap_days

    def is_over(gap: int, day: int, following: int) -> bool:
        return month_of(following) - month_of(day) >= 2 if gap == 0 else following - day - 1 >= gap

    @pw.udf(deterministic=True)
    def spells_of(benefit: str, pieces: list[tuple[int, int, int]]) -> list[tuple[int, int, int, int, bool]]:
        """First month and municipality, last month and municipality, whether it has ended, of each spell."""
        spells: list[tuple[Piece, Piece]] = []
        for piece in map(Piece._make, pieces):
            before = spells[-1][1].last if spells else None
            if before is None or is_over(gap_after(benefit, before), before, piece.first):
                spells.append((piece, piece))
            else:
                spells[-1] = (spells[-1][0], piece)
        rows = []
        for begin, end in spells:
            gap = gap_after(benefit, end.last)
            ends_on = month_first(month_of(end.last) + 2) - 1 if gap == 0 else end.last + gap
            rows.append((month_of(begin.first), begin.municipality, month_of(end.last), end.municipality, ends_on <= as_of))
        return rows

    return spells_of


def by_breakdown(table: pw.Table, *sums: str) -> pw.Table:
    """Sums by cell. Age group and sex are still columns here, so few rows are left when each becomes one for each breakdown."""
    keys = [table[name] for name in ["municipality", "benefit", "month", "age", "sex"]]
    few = table.groupby(*keys).reduce(*keys, **{name: pw.reducers.sum(table[name]) for name in sums})
    values = [("total", "total"), ("age", few.age), ("sex", few.sex), ("origin", "unknown")]
    many = few.with_columns(pair=pw.make_tuple(*[pw.make_tuple(*pair) for pair in values])).flatten(pw.this.pair)
    many = many.with_columns(breakdown=pw.this.pair[0], breakdown_value=pw.this.pair[1])
    grain = [many[name] for name in ["municipality", "benefit", "month", "breakdown", "breakdown_value"]]
    return many.groupby(*grain).reduce(*grain, **{name: pw.reducers.sum(many[name]) for name in sums})


def with_age(table: pw.Table) -> pw.Table:
    """The age group at the end of a row's month, from `birth` (`1964-09`, empty if unknown)."""
    year, month = (pw.coalesce(table.birth.str.slice(*part).str.parse_int(optional=True), 0) for part in [(0, 4), (5, 7)])
    years = (table.month - (year - 1970) * 12 - month + 1) // 12
    group: pw.ColumnExpression | str = "60+"
    for limit, name in [(60, "50-59"), (50, "30-49"), (30, "25-29"), (25, "16-24")]:
        group = pw.if_else(years < limit, name, group)
    return table.with_columns(age=pw.if_else(table.birth == "", "unknown", group))


def read_rules(benefits: str) -> dict[str, list[Rule]]:
    rules: dict[str, list[Rule]] = {}
    with open(benefits, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            gap = {"full_calendar_month": "0", "one_day": "1"}.get(row["gap_rule"]) or row["gap_rule"].removeprefix("days:")
            rule = Rule(day_of(row["valid_from"]), day_of(row["valid_to"] or "9999-12-31"), int(gap))
            rules.setdefault(row["code"], []).append(rule)
    return rules


def measures(rows: str, rules: dict[str, list[Rule]], as_of: int) -> dict[str, pw.Table]:
    events = pw.io.jsonlines.read(rows, schema=Row, mode="static", json_field_paths=PATHS)
    # In static mode a primary key drops no duplicates.
    events = events.groupby(*events).reduce(*events)
    events = events.with_columns(place=pw.make_tuple(pw.this.recorded_at, pw.this.source, pw.this.record))

    def latest(value: pw.ColumnReference) -> pw.ColumnExpression:
        """The latest value that there is, or an empty text."""
        return pw.reducers.max(pw.make_tuple(value.is_not_none(), pw.this.place, pw.coalesce(value, "")))[2]

    persons = events.groupby(pw.this.person).reduce(birth=latest(pw.this.birth), sex=latest(pw.this.sex))

    interval = [events.person, events.benefit, events.first, events.last]
    netted = events.groupby(*interval).reduce(
        *interval,
        amount=pw.reducers.sum(pw.this.amount),
        refund=pw.reducers.sum(pw.this.refund),
        latest=pw.reducers.max(pw.make_tuple(pw.this.place, pw.this.municipality)),
    )
    first, last = (netted[name].dt.strptime("%Y-%m-%d") for name in ["first", "last"])
    netted = netted.with_columns(
        place=pw.this.latest[0],
        municipality=pw.this.latest[1],
        first=(first - pw.DateTimeNaive("1970-01-01")).dt.days(),
        last=(last - pw.DateTimeNaive("1970-01-01")).dt.days(),
        month=(first.dt.year() - 1970) * 12 + first.dt.month() - 1,
        last_month=(last.dt.year() - 1970) * 12 + last.dt.month() - 1,
    )

    money = [pw.this.municipality, pw.this.benefit, pw.this.month, pw.this.amount, pw.this.refund]
    short = netted.filter(pw.this.month == pw.this.last_month).select(*money)
    long = netted.filter(pw.this.month != pw.this.last_month)
    long = long.with_columns(part=spread(pw.this.first, pw.this.last, pw.this.amount, pw.this.refund)).flatten(pw.this.part)
    long = long.with_columns(month=pw.this.part[0], amount=pw.this.part[1], refund=pw.this.part[2]).select(*money)
    shares = pw.Table.concat_reindex(short, long)
    amounts = shares.groupby(shares.municipality, shares.benefit, shares.month).reduce(
        shares.municipality,
        shares.benefit,
        shares.month,
        amount_oere=pw.reducers.sum(shares.amount),
        refund_oere=pw.reducers.sum(shares.refund),
    )

    counting = netted.filter((pw.this.amount > 0) & (pw.this.first <= as_of)).with_columns(
        last=pw.if_else(pw.this.last < as_of, pw.this.last, as_of)
    )
    histories = counting.groupby(pw.this.person, pw.this.benefit).reduce(
        pw.this.person,
        pw.this.benefit,
        intervals=pw.reducers.sorted_tuple(pw.make_tuple(pw.this.first, pw.this.last, pw.this.place, pw.this.municipality)),
    )
    person = persons.ix_ref(histories.person)
    histories = histories.select(
        pw.this.benefit,
        birth=person.birth,
        sex=pw.if_else(person.sex == "", "unknown", person.sex),
        pieces=pieces_of(pw.this.intervals),
    )

    months = histories.with_columns(part=months_of(pw.this.pieces)).flatten(pw.this.part)
    months = months.with_columns(
        municipality=pw.this.part[0], month=pw.this.part[1], covered_days=pw.this.part[2], recipients=1
    )
    covered = by_breakdown(with_age(months), "covered_days", "recipients")

    spells = histories.with_columns(spell=spells_by(rules, as_of)(pw.this.benefit, pw.this.pieces)).flatten(pw.this.spell)
    # The age group is that of the first month, at the end too.
    spells = with_age(spells.with_columns(month=pw.this.spell[0]))
    flow = [pw.this.municipality, pw.this.benefit, pw.this.month, pw.this.age, pw.this.sex, pw.this.started, pw.this.ended]
    started = spells.with_columns(municipality=pw.this.spell[1], started=1, ended=0).select(*flow)
    ended = spells.filter(pw.this.spell[4]).with_columns(
        municipality=pw.this.spell[3], month=pw.this.spell[2], started=0, ended=1
    )
    flows = by_breakdown(pw.Table.concat_reindex(started, ended.select(*flow)), "started", "ended")
    return {"covered": covered, "amounts": amounts, "spell_flows": flows}


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6


def give_up_above(memory: int) -> None:
    while peak_mb() <= memory:
        time.sleep(0.5)
    print(f"pathway: more than {memory:,} MB in one process", file=sys.stderr, flush=True)
    os._exit(3)


def main() -> None:
    rows, out, benefits, as_of, memory = sys.argv[1:]
    threading.Thread(target=give_up_above, args=[int(memory)], daemon=True).start()
    begun = time.perf_counter()
    for name, table in measures(rows, read_rules(benefits), day_of(as_of)).items():
        pw.io.jsonlines.write(table, Path(out) / f"{name}.ndjson")
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, default_logging=False)
    seconds = time.perf_counter() - begun
    process = os.environ.get("PATHWAY_PROCESS_ID", "0")
    (Path(out) / f"run-{process}.json").write_text(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
