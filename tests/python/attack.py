"""Which hidden cells of a published table can be worked out from the visible ones?

Every additive relation between cells is one linear equation. Moving the visible cells to the right leaves
equations between hidden ones; a hidden cell is given away exactly if its unit vector lies in the row space
of their coefficients. The right-hand sides do not matter for that, which is as well: official totals differ
from the sum of their parts by rounding, and an attacker who rounds too is not stopped by it.

Exact rational elimination, no floating point, so "uniquely determined" means just that.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from fractions import Fraction

Equation = Mapping[Hashable, int]


def determined(equations: Iterable[Equation], unknown: set) -> set:
    """The unknowns with one possible value only. `equations` may name known cells too: they drop out."""
    # pivot -> row with 1 at the pivot; kept fully reduced, so that a row with one entry is an answer.
    rows: dict[Hashable, dict[Hashable, Fraction]] = {}
    for equation in equations:
        row = {cell: Fraction(factor) for cell, factor in equation.items() if cell in unknown and factor}
        for pivot in [cell for cell in row if cell in rows]:
            _subtract(row, rows[pivot], row[pivot])
        if not row:
            continue
        pivot = next(iter(row))
        scale = row[pivot]
        row = {cell: factor / scale for cell, factor in row.items()}
        for other in rows.values():
            if pivot in other:
                _subtract(other, row, other[pivot])
        rows[pivot] = row
    return {pivot for pivot, row in rows.items() if len(row) == 1}


def _subtract(row: dict, other: Mapping, times: Fraction) -> None:
    for cell, factor in other.items():
        left = row.get(cell, Fraction(0)) - times * factor
        if left:
            row[cell] = left
        else:
            row.pop(cell, None)


def additive_equations(
    cells: Iterable[tuple[str, str, str, str, str]],
    members: Mapping[tuple[str, str], list[str]],
    parts_of_total: tuple[str, ...] = (),
    *,
    absent_is_zero: bool = False,
) -> list[dict[tuple[str, str, str, str, str], int]]:
    """The relations between the cells of one indicator and period.

    A cell is (area_kind, area, benefit, breakdown, breakdown_value). Relations: an area is the sum of its
    municipalities; benefit `total` is the sum of `parts_of_total`; `total` of a breakdown is the sum of its
    values. A relation counts only if all its cells have a row, hidden or not: a published grain is known to
    the attacker even where the figure is not. With `absent_is_zero` an area without a row has nothing to add, as in
    figures made of records of persons.
    """
    cells = set(cells)
    out = []

    def relate(total, parts) -> None:
        if absent_is_zero:
            parts = [part for part in parts if part in cells]
        if parts and total in cells and all(part in cells for part in parts):
            out.append({total: -1, **{part: 1 for part in parts}})

    for kind, area, benefit, breakdown, value in cells:
        if kind != "municipality":
            parts = [("municipality", m, benefit, breakdown, value) for m in members.get((kind, area), ())]
            relate((kind, area, benefit, breakdown, value), parts)
        if benefit == "total":
            parts = [(kind, area, part, breakdown, value) for part in parts_of_total]
            relate((kind, area, benefit, breakdown, value), parts)

    broken_down: dict[tuple, list] = {}
    for cell in cells:
        if cell[3] != "total":
            broken_down.setdefault(cell[:4], []).append(cell)
    for (kind, area, benefit, _), parts in broken_down.items():
        relate((kind, area, benefit, "total", "total"), parts)
    return out
