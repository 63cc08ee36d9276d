"""Runs the checks of this folder and counts them.

Why not plain `python -m unittest`: the gate adds these counts to cargo's, so they are written to a file
(`--summary`) as "passed failed skipped". A test with several failing sub-tests counts once. Modules that
need published tables, or the binary that made them, run only with `--data`; asked for by name without it, they fail
instead of skipping.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
WITHOUT_TABLES = [
    "test_reference", "test_attack", "test_alerts", "test_alertmanager", "test_alerts_end_to_end",
    "test_chart", "test_chart_pods", "test_image", "test_dashboards",
]  # fmt: skip
WITH_TABLES = [
    "test_tables",
    "test_drift",
    "test_local_drift",
    "test_scorecard",
    "test_theory",
    "test_budgets",
    "test_own_figures",
    "test_independent",
    "test_disclosure",
    "test_chart_program",
    "test_demo_end_to_end",
    "test_history",
    "test_funnels",
    "test_sql",
    "test_access",
    "test_portal",
    "test_portal_epochs",
    "test_pages",
]


class Result(unittest.TextTestResult):
    """Counts test methods, not sub-tests, and says how long each took."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.failed_ids: set[str] = set()
        self.begun = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.monotonic() - self.begun
        if seconds > 1:
            self.stream.writeln(f"    took {seconds:.1f} s")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failed_ids.add(test.id())

    def addError(self, test, err):
        super().addError(test, err)
        self.failed_ids.add(test.id())

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed_ids.add(test.id())

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.failed_ids.add(test.id())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder in which `rettidig demo --once --data` has finished")
    parser.add_argument("--summary", type=pathlib.Path, help="file that gets: passed failed skipped")
    parser.add_argument("modules", nargs="*", help=f"default: {' '.join(WITHOUT_TABLES + WITH_TABLES)}")
    options = parser.parse_args()

    # A new check must be put in one of the two lists: one that nobody runs is worse than none.
    listed = set(WITHOUT_TABLES + WITH_TABLES)
    found = {path.stem for path in HERE.glob("test_*.py")}
    if found != listed:
        print(f"run.py: lists and folder differ: {sorted(found ^ listed)}", file=sys.stderr)
        return 2

    if options.data:
        os.environ["RETTIDIG_DATA"] = str(pathlib.Path(options.data).resolve())
    have_data = bool(os.environ.get("RETTIDIG_DATA"))
    modules = options.modules or WITHOUT_TABLES + (WITH_TABLES if have_data else [])
    sys.path.insert(0, str(HERE))
    suite = unittest.defaultTestLoader.loadTestsFromNames(modules)
    runner = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Result)
    result = runner.run(suite)

    failed = len(result.failed_ids)
    skipped = len(result.skipped)
    passed = result.testsRun - len({i for i in result.failed_ids if "setUp" not in i}) - skipped
    if options.summary:
        options.summary.write_text(f"{max(passed, 0)} {failed} {skipped}\n", encoding="utf-8")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
