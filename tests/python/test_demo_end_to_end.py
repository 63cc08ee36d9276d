"""From the running program to the owner's mailbox: the demo, real Prometheus and Alertmanager, the rules and routes as they are.

Goal: what the program tells at /metrics makes the alerts that its own tables say, no more and no less. Method: the demo serves the
folder that these checks read; Prometheus scrapes it. `test_alerts_end_to_end` has what the demo cannot show at will: late data, an end.
"""

from __future__ import annotations

import math
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

import alerting
import duckdb
import fixtures
import published
import test_dashboards

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", fixtures.ROOT / "target"))
PROGRAM = pathlib.Path(os.environ.get("RETTIDIG_PROGRAM", TARGET / "debug/rettidig"))

# A series costs Prometheus a few kilobytes; a jobcentre more or an indicator more must not cost it thousands of them.
SERIES_MAX = 25_000
SECONDS_MAX = 90

DRIFTING = """
    SELECT DISTINCT area, indicator FROM targets
    WHERE newest AND area_kind = 'jobcentre' AND state = 'drifting'
"""


class DemoEndToEnd(unittest.TestCase):
    def setUp(self):
        self.assertTrue(PROGRAM.exists(), f"{PROGRAM} is missing: cargo build -p rettidig")
        work = tempfile.TemporaryDirectory(prefix="rettidig-demo-")
        self.addCleanup(work.cleanup)
        self.work = pathlib.Path(work.name)
        data = self.work / "data"
        shutil.copytree(published.folder().parents[1], data)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.place = f"127.0.0.1:{port}"
        given = ["demo", "--data", data, "--days", "3", "--persons", "6000", "--speed", "0", "--port", str(port), "--sql-port", "0"]
        log = self.work / "demo.log"
        with log.open("w", encoding="utf-8") as file:
            self.demo = subprocess.Popen([PROGRAM, *given], stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        self.addCleanup(self.end)
        # From the first second, so that what a histogram gains is seen.
        self.manager = alerting.Alertmanager(self.work)
        self.addCleanup(self.manager.stop)
        self.prometheus = alerting.Prometheus(self.work, self.place, self.manager)
        self.addCleanup(self.prometheus.end)
        alerting.wait_until("the demo serves its tables", self.is_ready, SECONDS_MAX)

    def end(self):
        self.demo.terminate()
        try:
            self.demo.wait(30)
        except subprocess.TimeoutExpired:
            self.demo.kill()
            self.demo.wait(10)

    def is_ready(self) -> bool:
        if self.demo.poll() is not None:
            raise AssertionError(self.log())
        try:
            return bool(self.metrics("rettidig_target_state"))
        except OSError:
            return False

    def metrics(self, name: str = "") -> list[str]:
        with urllib.request.urlopen(f"http://{self.place}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if not line.startswith("#") and line.startswith(name)]

    def test_who_drifts_in_the_tables_is_told_and_nobody_else(self):
        targets = duckdb.sql(f"SELECT * FROM '{published.path('targets')}'")  # noqa: F841, read by name
        drifting = {tuple(row) for row in duckdb.sql(DRIFTING).fetchall()}
        self.assertGreater(len(drifting), 10)

        series = self.metrics()
        self.assertLess(len(series), SERIES_MAX)
        self.assertGreater(len(series), 1_000)
        for name in ("rettidig_data_avail_bytes", "rettidig_data_size_bytes"):
            (line,) = (line for line in series if line.startswith(name))
            self.assertGreater(float(line.rsplit(" ", 1)[1]), 0, name)
        fed = {re.search('indicator="([^"]+)"', line).group(1) for line in self.metrics("rettidig_indicator_source_info")}
        self.assertLessEqual({indicator for _, indicator in drifting}, fed)
        delivers = self.metrics("rettidig_source_jobcentre_info")
        self.assertTrue(any('jobcentre="0101"' in line for line in delivers), "a municipality's own system")
        self.assertFalse(any('source="jobindsats' in line for line in delivers), "an official table is nobody's")

        expected = {("firing", *row) for row in drifting}
        alerting.wait_until(
            "Prometheus says who drifts", lambda: self.prometheus.states("JobcentreDrifts") == expected, SECONDS_MAX
        )
        listeners = self.manager.listeners
        addresses: dict[str, set[str]] = {}
        for row in alerting.owners():
            addresses.setdefault(row["jobcentre"], set()).add(row["address"].removeprefix("https:/"))
        owned = {area for area, _ in drifting} & addresses.keys()
        self.assertTrue(owned)
        for area in sorted(owned):
            text = f"Jobcentre {area} drifts from its target"
            for address in addresses[area]:
                alerting.wait_until(f"{address} is told", lambda a=address, t=text: listeners.told(a, t), SECONDS_MAX)
            self.assertEqual(listeners.everybody_told(text), addresses[area], "and nobody else")
        self.assertEqual(listeners.problems, [])

        self.no_panel_is_empty()

    def no_panel_is_empty(self):
        """Every query of every dashboard, with its variables set as a user would."""
        alerting.wait_until("the days are over", lambda: "audit     0 mismatches" in self.log(), SECONDS_MAX)
        chosen = {"jobcentre": "0101", "indicator": "full_time_unemployed"}

        def numbers(expr: str) -> list[float]:
            for name, value in chosen.items():
                expr = expr.replace(f"${name}", value)
            answer = self.prometheus.ask("/api/v1/query?" + urllib.parse.urlencode({"query": expr}))
            return [float(one["value"][1]) for one in answer["data"]["result"]]

        queries = test_dashboards.queries()
        self.assertGreater(len(queries), 25)
        for dashboard, title, expr in queries:
            with self.subTest(dashboard=dashboard, panel=title):
                found = numbers(expr)
                self.assertTrue(found, expr)
                self.assertFalse(all(math.isnan(number) for number in found), expr)

    def log(self) -> str:
        return (self.work / "demo.log").read_text(encoding="utf-8")


if __name__ == "__main__":
    unittest.main()
