"""Reads the recorded official figures and the reference files, independently of the Rust code.

The fixtures (`connectors/fixtures/jobindsats/vintages/<table>.csv`) hold what jobindsats.dk / STAR showed
at three instants. `;` separates; key columns come first, then one column per measure and vintage, named
`<measure>.v<n>`. A cell is a number, empty (the publisher shows nothing: hidden or zero, it does not say
which), `x` (the cell was not in that extract) or `=` (as in the vintage before).

Nothing here guesses: an unknown column or mark is an error.
"""

from __future__ import annotations

import csv
import functools
import pathlib
from decimal import Decimal

ROOT = pathlib.Path(__file__).resolve().parents[2]
VINTAGES = ROOT / "connectors" / "fixtures" / "jobindsats" / "vintages"
REFERENCE = ROOT / "sql" / "reference"

COUNTRY = "0000"
# People whose municipality is not known. In the fixtures, but no area of ours.
UNKNOWN_AREA = "unknown"


def area_code(text: str) -> str:
    """`101` -> `0101`, `0` -> `0000`."""
    return text if text == UNKNOWN_AREA else f"{int(text):04d}"


def period_code(text: str) -> str:
    """`2026M07` -> `2026-07`."""
    year, month = text.split("M")
    return f"{year}-{month}"


def reference(name: str) -> list[dict[str, str]]:
    """One reference file, all text."""
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@functools.cache
def vintages(table: str, measure: str) -> dict[int, dict[tuple[str, str, str], Decimal | None]]:
    """Vintage number -> {(area, breakdown value, period): value or None if the publisher showed nothing}.

    A cell that was not in the extract has no key. The breakdown value is that of the table's one further
    key column (`benefit`, `visitation`, `offer`), `total` where it has none.
    """
    with (VINTAGES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter=";")
        columns = {int(c.rsplit(".v", 1)[1]): c for c in reader.fieldnames if c.startswith(f"{measure}.v")}
        keys = [c for c in reader.fieldnames if ".v" not in c]
        if not columns:
            raise ValueError(f"{table}.csv has no measure {measure}: {reader.fieldnames}")
        if keys[:2] != ["period", "area"] or len(keys) > 3:
            raise ValueError(f"{table}.csv: key columns are {keys}")
        out: dict[int, dict[tuple[str, str, str], Decimal | None]] = {number: {} for number in columns}
        for row in reader:
            key = (area_code(row["area"]), row[keys[2]] if len(keys) == 3 else "total", period_code(row["period"]))
            mark = None
            for number in sorted(columns):
                text = row[columns[number]]
                if text == "=":
                    if mark is None:
                        raise ValueError(f"{table}.csv {key}: '=' without an earlier vintage")
                else:
                    mark = text
                if mark == "x":
                    continue
                if key in out[number]:
                    raise ValueError(f"{table}.csv {key}: twice")
                out[number][key] = Decimal(mark) if mark else None
    return out


def newest(table: str, measure: str) -> dict[tuple[str, str, str], Decimal | None]:
    """Each cell as last shown. Leaving the publisher's rolling window is not a deletion."""
    out: dict[tuple[str, str, str], Decimal | None] = {}
    for _, cells in sorted(vintages(table, measure).items()):
        out.update(cells)
    return out


def changes(table: str, measure: str) -> list[tuple[int, tuple[str, str, str], Decimal | None, Decimal | None]]:
    """(newer vintage, key, old, new) of every cell shown in two consecutive vintages with another value.

    People with unknown municipality are no area of ours and are left out.
    """
    out = []
    numbers = sorted(vintages(table, measure))
    for older, newer in zip(numbers, numbers[1:]):
        before, after = vintages(table, measure)[older], vintages(table, measure)[newer]
        for key in before.keys() & after.keys():
            if key[0] != UNKNOWN_AREA and before[key] != after[key]:
                out.append((newer, key, before[key], after[key]))
    return out


def last_day(period: str) -> str:
    """`2026-02` -> `2026-02-28`."""
    year, month = map(int, period.split("-"))
    days = [31, 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return f"{period}-{days[month - 1]:02d}"


@functools.cache
def membership(date: str) -> dict[str, dict[str, str]]:
    """Municipality -> its row of areas.csv that holds on `date` (ISO)."""
    out: dict[str, dict[str, str]] = {}
    for row in reference("areas"):
        if row["valid_from"] <= date <= (row["valid_to"] or "9999-12-31"):
            if row["municipality"] in out:
                raise ValueError(f"areas.csv: {row['municipality']} is twice valid on {date}")
            out[row["municipality"]] = row
    return out


def groups(period: str) -> dict[tuple[str, str], list[str]]:
    """(area_kind, area) -> municipalities that are members on the period's last day."""
    out: dict[tuple[str, str], list[str]] = {}
    for municipality, row in sorted(membership(last_day(period)).items()):
        for kind in ("jobcentre", "cluster", "region"):
            out.setdefault((kind, row[kind]), []).append(municipality)
        out.setdefault(("country", COUNTRY), []).append(municipality)
    return out
