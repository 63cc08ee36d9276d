"""Goal: nobody can work out a small count from what we publish.

Method: for each indicator and period, the attack of attack.py over every additive relation among the
published cells. Then the plain rules: no count of 1-4 anywhere, what is hidden in one table is hidden in all.

The attack is stricter than the official figures need: it treats "the country is the sum of its
municipalities" and "total = unemployment + cash" as exact, though people without known municipality and
rounding blur both. A cell that survives this survives the blurred version.

Not covered: bounds (a hidden cell is known to lie in some interval), and differences between epochs.
"""

from __future__ import annotations

import collections
import functools
import unittest

import attack
import fixtures
import published
import recompute

# Indicators whose cells add up over areas; of these, the ones whose benefits add up to `total`.
ADDITIVE = {"full_time_unemployed", "long_term_unemployed", "cash_full_time_persons"}
PARTS = {
    "full_time_unemployed": ("unemployment", "cash"),
    "long_term_unemployed": ("unemployment", "cash"),
}
# A published share with a well-known denominator is its count in another form.
SHARE_OF = {
    "full_time_unemployed_rate": "full_time_unemployed",
    "cash_full_time_rate_labour_force": "cash_full_time_persons",
    "cash_full_time_rate_population": "cash_full_time_persons",
}

# Share of the cells that could be shown and are. Ours: hiding a rectangle (both parts of a small cell's total,
# in its municipality and in one more of the same cluster and region) needs 2 to 6 % of the municipal cells.
SHOWN_AT_LEAST = {"municipality": 0.85, "jobcentre": 0.85, "cluster": 0.75, "region": 0.75, "country": 0.95}


def cell(row: dict) -> tuple[str, str, str, str, str]:
    return (row["area_kind"], row["area"], row["benefit"], row["breakdown"], row["breakdown_value"])


def key(row: dict) -> tuple:
    return (row["indicator"], row["period"], *cell(row))


def small(number: float | None) -> bool:
    return number is not None and 0 < abs(number) < published.SMALLEST_PUBLISHED


def slices() -> dict[tuple[str, str], dict[tuple, str]]:
    """(indicator, period) -> {cell: status}, additive indicators only."""
    out: dict[tuple[str, str], dict[tuple, str]] = collections.defaultdict(dict)
    for row in published.rows("indicators"):
        if row["indicator"] in ADDITIVE:
            out[row["indicator"], row["period"]][cell(row)] = row["status"]
    return out


@functools.cache
def given_away() -> tuple[int, dict[tuple[str, str], set[tuple]]]:
    """How many cells are not shown, and which of them can be worked out, by indicator and period.

    A missing cell is protected like a hidden one: jobindsats.dk leaves small cells out, too.
    """
    out = {}
    not_shown = 0
    for (indicator, period), cells in slices().items():
        unknown = {c for c, status in cells.items() if status not in published.VISIBLE}
        not_shown += len(unknown)
        equations = attack.additive_equations(cells, fixtures.groups(period), PARTS.get(indicator, ()))
        if not equations:
            raise AssertionError(f"{indicator} {period}: nothing adds up, so nothing was tested")
        out[indicator, period] = attack.determined(equations, unknown)
    return not_shown, out


class LinearAttack(unittest.TestCase):
    def test_there_is_something_to_attack(self):
        self.assertEqual({indicator for indicator, _ in slices()}, ADDITIVE)
        self.assertGreater(given_away()[0], 0, "the recorded figures have small cells: none hidden proves nothing")

    def test_no_small_cell_is_uniquely_determined(self):
        """The harm itself: a municipal figure that is 1-4, or that the publisher did not show."""
        harm = []
        for (indicator, period), cells in given_away()[1].items():
            sums = recompute.own_sums(indicator)
            for kind, area, benefit, breakdown, value in cells:
                figure = sums.get((kind, area, benefit, period)) if breakdown == "total" else None
                if kind == "municipality" and (figure is None or small(figure)):
                    harm.append((indicator, period, area, benefit, breakdown, value))
        self.assertEqual(sorted(harm)[:10], [], f"{len(harm)} small cells can be worked out")

    def test_no_hidden_cell_is_uniquely_determined(self):
        """Stricter: nothing that we chose to hide, large cells that protect a small one among them.

        Left out are sums that nobody can make because the publisher does not show a member: we did not
        choose to hide them, and if such a sum follows from the country, its unpublished members still do not
        (they are in the test above). Protecting these as well would hide more than half of all cells.
        """
        not_shown, found = given_away()
        chosen = []
        for (indicator, period), cells in found.items():
            sums = recompute.own_sums(indicator)
            for kind, area, benefit, breakdown, value in cells:
                # The publisher withholds some visitation category in most clusters and regions.
                unmakeable = breakdown != "total" or sums.get((kind, area, benefit, period)) is None
                if kind == "municipality" or not unmakeable:
                    chosen.append((indicator, period, kind, area, benefit, breakdown, value))
        self.assertEqual(sorted(chosen)[:10], [], f"{len(chosen)} of {not_shown} hidden cells can be worked out")


def local_header(indicator: str, wanted: str) -> str | None:
    """What the header of an indicator of persons says."""
    text = (fixtures.ROOT / "sql" / "indicators" / f"{indicator}.sql").read_text(encoding="utf-8")
    values = [line.partition(": ")[2] for line in text.splitlines() if line.startswith(f"-- {wanted}: ")]
    return values[0] if values else None


class Persons(unittest.TestCase):
    """The same for what is made of payments, cases and wages."""

    @classmethod
    def setUpClass(cls):
        cls.rows = published.rows("local_indicators")
        cls.indicators = {row["indicator"] for row in cls.rows}
        cls.additive = {name for name in cls.indicators if local_header(name, "areas") == "sum"}

    def test_no_hidden_cell_is_uniquely_determined(self):
        # Of every half a year one month: each month is hidden by the same rule.
        periods = sorted({row["period"] for row in self.rows})[::6]
        cells: dict[tuple[str, str], dict[tuple, str]] = collections.defaultdict(dict)
        for row in self.rows:
            if row["indicator"] in self.additive and row["period"] in periods:
                # One benefit at a time: benefits of persons do not add up.
                cells[row["indicator"], row["period"], row["benefit"]][cell(row)] = row["status"]
        hidden, found = 0, []
        for (indicator, period, benefit), statuses in cells.items():
            # An indicator that has another's pattern protects that one's cells, not its own.
            unknown = {c for c, status in statuses.items() if status not in published.VISIBLE}
            hidden += len(unknown)
            equations = attack.additive_equations(statuses, fixtures.groups(period), absent_is_zero=True)
            found += [(indicator, period, *c) for c in attack.determined(equations, unknown)]
        self.assertGreater(hidden, 1000)
        self.assertGreater(len(self.additive), 15)
        self.assertEqual(sorted(found)[:10], [], f"{len(found)} of {hidden} hidden cells can be worked out")

    def test_no_small_count_is_shown(self):
        seen = collections.Counter()
        for row in self.rows:
            if row["status"] in published.VISIBLE:
                if row["unit"] in ("persons", "spells", "interviews", "tests"):
                    seen["counts"] += 1
                    self.assertFalse(small(row["value"]), row)
                elif row["unit"] == "percent" and row["indicator"] != "local_activation_degree":
                    # A degree is made of days.
                    seen["shares"] += 1
                    self.assertFalse(small(row["numerator"]) or small(row["denominator"]), row)
        self.assertTrue(seen["counts"] > 1000 and seen["shares"] > 100, seen)

    def test_what_is_made_of_a_count_is_hidden_with_it(self):
        status = {key(row): row["status"] for row in self.rows}
        made = 0
        for row in self.rows:
            count = local_header(row["indicator"], "counts")
            if count and row["status"] in published.VISIBLE:
                made += 1
                self.assertIn(status.get(key(row | {"indicator": count})), published.VISIBLE, row)
        self.assertGreater(made, 1000)


class PlainRules(unittest.TestCase):
    def test_no_small_count_in_indicators(self):
        for row in published.rows("indicators"):
            if row["unit"] in published.COUNT_UNITS:
                self.assertFalse(small(row["value"]), row)
            # A ratio gives its numerator away as well as any count does.
            self.assertFalse(small(row["numerator"]), row)
            self.assertFalse(small(row["denominator"]), row)

    def test_units_of_the_counts_are_known_here(self):
        # A new word for "persons" would slip past the test above.
        units = {row["unit"] for row in published.rows("indicators") if row["indicator"] in ADDITIVE}
        self.assertEqual(units - published.COUNT_UNITS, set())

    def test_no_small_count_in_targets_and_revisions(self):
        counts = {row["indicator"] for row in published.rows("indicators") if row["unit"] in published.COUNT_UNITS}
        for table, columns in (("targets", ("value", "zero_value", "target_value")), ("revisions", ("old", "new"))):
            for row in published.rows(table):
                if row["indicator"] in counts:
                    self.assertEqual([c for c in columns if small(row[c])], [], row)

    def test_hidden_in_indicators_is_hidden_in_targets(self):
        status = {key(row): row["status"] for row in published.rows("indicators")}
        for row in published.rows("targets"):
            if row["value"] is not None:
                found = status.get(key(row | {"breakdown": "total", "breakdown_value": "total"}))
                self.assertIn(found, published.VISIBLE, row)

    def test_a_zero_point_is_not_shown_where_its_cell_is_hidden(self):
        status = {key(row): row["status"] for row in published.rows("indicators")}
        for row in fixtures.reference("targets"):
            full = row | {"period": row["zero_date"][:7], "breakdown": "total", "breakdown_value": "total"}
            self.assertIn(status.get(key(full)), published.VISIBLE, full)

    def test_hidden_in_indicators_is_hidden_in_revisions(self):
        now = {key(row): row for row in published.rows("indicators")}
        for row in published.rows("revisions"):
            current = now.get(key(row))
            self.assertIsNotNone(current, row)
            if row["new_known_at"] == current["known_at"] and current["status"] not in published.VISIBLE:
                self.assertIsNone(row["new"], row)

    def test_a_share_is_hidden_with_its_count(self):
        status = {key(row): row["status"] for row in published.rows("indicators")}
        for row in published.rows("indicators"):
            count = SHARE_OF.get(row["indicator"])
            if count and row["status"] in published.VISIBLE:
                found = status.get(key(row | {"indicator": count}))
                self.assertIn(found, published.VISIBLE | {None}, row)

    def test_most_is_still_shown(self):
        # A table that hides everything would pass all of the above. Counted are cells that can be made from
        # what the publisher shows: the sum of a region with an unpublished municipality is nobody's to show.
        shown, possible = collections.Counter(), collections.Counter()
        for row in published.rows("indicators"):
            if row["indicator"] in ADDITIVE and row["breakdown"] == "total":
                figure = recompute.own_sums(row["indicator"]).get(
                    (row["area_kind"], row["area"], row["benefit"], row["period"])
                )
                if figure is not None:
                    possible[row["indicator"], row["area_kind"]] += 1
                    shown[row["indicator"], row["area_kind"]] += row["status"] in published.VISIBLE
        for of, number in possible.items():
            least = SHOWN_AT_LEAST[of[1]]
            self.assertGreaterEqual(shown[of] / number, least, f"{of}: {shown[of]} of {number} cells are visible")


if __name__ == "__main__":
    unittest.main()
