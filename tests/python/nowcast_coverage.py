"""How often the interval of a nowcast would have held, on figures that are complete: part of a figure is taken away, and the rest estimated.

    RETTIDIG_DATA=DIR scripts/python.sh tests/python/nowcast_coverage.py

Prints the table of pipeline/docs/decisions/2026-11-22-completeness.md. It is a measurement and no test: DIR is a folder of a finished demo.
"""

from __future__ import annotations

import statistics
import sys

import published

MONTHS = 12


def series(table: str, kinds: tuple[str, ...], units: tuple[str, ...]) -> dict[tuple, dict[int, float]]:
    found: dict[tuple, dict[int, float]] = {}
    for row in published.rows(table):
        if row["breakdown"] != "total" or row["status"] != "final" or not row["value"] or row["unit"] not in units:
            continue
        if row["area_kind"] in kinds and len(row["period"]) == 7 and row["period"][5] != "Q":
            month = int(row["period"][:4]) * 12 + int(row["period"][5:]) - 1
            found.setdefault((row["indicator"], row["area"], row["benefit"]), {})[month] = row["value"]
    return found


def measured(found: dict[tuple, dict[int, float]], received: float) -> tuple[int, float, float, float]:
    """Months tried, share of intervals that hold the whole figure, median error of the nowcast, and of the value as it is, in percent."""
    held, errors, left = [], [], []
    for months in found.values():
        for month, value in months.items():
            before = [months[m] for m in range(month - MONTHS, month) if m in months]
            if len(before) < 6:
                continue
            seen, usual, high = received * value, statistics.median(before), max(before)
            nowcast = min(seen + (1 - received) * usual, max(seen, high))
            held.append(seen <= value <= seen + (1 - received) * high)
            errors.append(abs(nowcast / value - 1) * 100)
            left.append((1 - received) * 100)
    return len(held), statistics.fmean(held), statistics.median(errors), statistics.median(left)


def main() -> int:
    sets = (
        ("official counts, municipalities", series("indicators", ("municipality",), ("full-time persons", "persons"))),
        ("own counts, municipalities and jobcentres", series("local_indicators", ("municipality", "jobcentre"), ("full-time persons", "persons"))),
        ("own counts, regions and the country", series("local_indicators", ("region", "country"), ("full-time persons", "persons", "spells"))),
    )
    print("| figures | received | months tried | intervals that hold | median error of the nowcast | of what is there |")
    print("|---|---|---|---|---|---|")
    for name, found in sets:
        for received in (0.5, 0.8, 0.95):
            tried, held, error, left = measured(found, received)
            print(f"| {name} | {received:.0%} | {tried} | {held:.1%} | {error:.1f} % | {left:.1f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
