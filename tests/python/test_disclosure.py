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
import unittest

import attack
import fixtures
import published

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


def cell(row: dict) -> tuple[str, str, str, str, str]:
    return (row["area_kind"], row["area"], row["benefit"], row["breakdown"], row["breakdown_value"])


def key(row: dict) -> tuple:
    return (row["indicator"], row["period"], *cell(row))


def small(number: float | None) -> bool:
    return number is not None and 0 < abs(number) < published.SMALLEST_PUBLISHED


class LinearAttack(unittest.TestCase):
    def test_no_hidden_cell_is_uniquely_determined(self):
        slices: dict[tuple[str, str], dict[tuple, str]] = collections.defaultdict(dict)
        for row in published.rows("indicators"):
            if row["indicator"] in ADDITIVE:
                slices[row["indicator"], row["period"]][cell(row)] = row["status"]
        self.assertEqual({indicator for indicator, _ in slices}, ADDITIVE)
        given_away = []
        hidden_count = 0
        for (indicator, period), cells in sorted(slices.items()):
            # A missing cell is protected like a hidden one: jobindsats.dk leaves out small cells, too.
            unknown = {c for c, status in cells.items() if status not in published.VISIBLE}
            hidden_count += len(unknown)
            equations = attack.additive_equations(cells, fixtures.groups(period), PARTS.get(indicator, ()))
            self.assertTrue(equations, f"{indicator} {period}: nothing adds up, so nothing was tested")
            given_away += [(indicator, period, *c) for c in sorted(attack.determined(equations, unknown))]
        self.assertGreater(hidden_count, 0, "the recorded figures have small cells: none hidden proves nothing")
        self.assertEqual(given_away[:10], [], f"{len(given_away)} of {hidden_count} hidden cells can be worked out")


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
        # A table that hides everything would pass all of the above.
        shown, all_rows = collections.Counter(), collections.Counter()
        for row in published.rows("indicators"):
            if row["indicator"] in ADDITIVE and row["status"] != "missing":
                all_rows[row["indicator"], row["area_kind"]] += 1
                shown[row["indicator"], row["area_kind"]] += row["status"] in published.VISIBLE
        for of, number in all_rows.items():
            self.assertGreater(shown[of] / number, 0.75, f"{of}: {shown[of]} of {number} cells are visible")


if __name__ == "__main__":
    unittest.main()
