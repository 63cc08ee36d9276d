"""Goal: `seasons`, `adjusted` and `targets` are what the decision page on drift says.

Method: plain loops (`drift`) over the published `comparisons` and the reference targets. No line of SQL or Rust is shared.
"""

from __future__ import annotations

import unittest

import drift
import fixtures
import published


class Official(drift.Tables):
    @classmethod
    def setUpClass(cls):
        cls.targets = {tuple(row[k] for k in drift.SERIES): row for row in fixtures.reference("targets")}
        cls.series = drift.all_series(published.rows("comparisons"), cls.targets)

    def test_seasons(self):
        self.assertGreater(self.compare_seasons(self.series, published.rows("seasons")), 12 * 50)

    def test_adjusted(self):
        self.assertGreater(self.compare_adjusted(self.series, published.rows("adjusted")), 3_000)

    def test_states(self):
        compared = self.compare_states(self.series, self.targets, published.rows("targets"))
        self.assertGreater(len(compared), 400)
        self.assertIn("on_track", {state for _, state in compared})


if __name__ == "__main__":
    unittest.main()
