"""Goal: whether an area drifts from a target for a figure of persons is judged as the decision page on drift says, from what is shown.

Method: a simulated country of four years is loaded into a log by the program; `local_history` is what `local_indicators` shows of
whole months, and `local_seasons`, `local_adjusted` and `local_drift` are computed once more in plain loops (`drift`), of counts and of percentages.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import drift
import fixtures
import pyarrow.parquet
from web import PROGRAM

PERSONS, MONTHS = 2_000, 48
# A month is awaited for so many days after its end.
AWAITED_DAYS = 61
JUDGED_UNITS = {"persons", "full-time persons", "spells", "interviews", "tests", "percent"}


class OfPersons(drift.Tables):
    @classmethod
    def setUpClass(cls):
        work = tempfile.TemporaryDirectory(prefix="rettidig-drift-")
        cls.addClassCleanup(work.cleanup)
        folder = pathlib.Path(work.name)
        run = lambda *given: subprocess.run([PROGRAM, *map(str, given)], check=True, capture_output=True, text=True, timeout=600).stdout
        run("simulate", "--persons", PERSONS, "--months", MONTHS, "--as", "ndjson", "--out", folder / "in")
        run("load", "--data", folder / "data", *sorted((folder / "in").iterdir()))
        cls.latest = folder / "data" / "tables" / "latest"
        manifest = max((folder / "data" / "epochs").glob("*.json"))
        cls.as_of = datetime.date.fromisoformat(json.loads(manifest.read_text())["as_of"])
        cls.targets = {tuple(row[k] for k in drift.SERIES): row for row in fixtures.reference("local_targets")}
        cls.series = drift.all_series(cls.rows("local_history"), cls.targets)

    @classmethod
    def rows(cls, table: str) -> list[dict]:
        return pyarrow.parquet.read_table(cls.latest / f"{table}.parquet").to_pylist()

    def test_the_history_is_what_is_shown_of_whole_months(self):
        wanted = {}
        for row in self.rows("local_indicators"):
            key = tuple(row[k] for k in drift.SERIES)
            is_over = drift.last_day(row["period"]) < self.as_of - datetime.timedelta(AWAITED_DAYS)
            if key in self.targets and row["breakdown"] == "total" and row["unit"] in JUDGED_UNITS and row["status"] != "missing" and is_over:
                wanted[(*key, row["period"])] = (row["value"], row["denominator"], row["status"])
        found = {
            (*(row[k] for k in drift.SERIES), row["period"]): (row["value"], row["denominator"], row["status"])
            for row in self.rows("local_history")
        }
        self.assertEqual(found, wanted)
        self.assertGreater(len(found), 150)

    def test_seasons(self):
        self.assertGreater(self.compare_seasons(self.series, self.rows("local_seasons")), 12 * 2)

    def test_adjusted(self):
        self.assertGreater(self.compare_adjusted(self.series, self.rows("local_adjusted")), 100)

    def test_states(self):
        compared = self.compare_states(self.series, self.targets, self.rows("local_drift"))
        # Both kinds are judged: counts by the Poisson distribution, percentages by the binomial one.
        for is_share in (False, True):
            of_kind = [state for key, state in compared if self.series[key].is_share == is_share]
            self.assertGreater(len(of_kind), 3, compared)
            self.assertNotEqual(set(of_kind), {"insufficient"})


if __name__ == "__main__":
    unittest.main()
