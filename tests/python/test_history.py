"""The past of the figures in Prometheus: every sample of the blocks that promtool makes is a row of `indicators`, and the other way."""

from __future__ import annotations

import calendar
import datetime
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import alerting
import fixtures
import published

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", fixtures.ROOT / "target"))
PROGRAM = pathlib.Path(os.environ.get("RETTIDIG_PROGRAM", TARGET / "debug/rettidig"))
SAMPLE = re.compile(r"\{(.*)\} (\S+) (\d+)$")


def end(period: str) -> int:
    """Seconds since 1970 at the end of a year, quarter or month."""
    year, part = (*period.split("-"), "12")[:2]
    month = int(part[1:]) * 3 if part.startswith("Q") else int(part)
    last = datetime.date(int(year), month, calendar.monthrange(int(year), month)[1])
    midnight = datetime.datetime.combine(last + datetime.timedelta(1), datetime.time(), datetime.timezone.utc)
    return int(midnight.timestamp())


class History(unittest.TestCase):
    def test_prometheus_has_every_period(self):
        data = published.folder().parents[1]
        done = subprocess.run(
            [PROGRAM, "history", "--data", data], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        with tempfile.TemporaryDirectory(prefix="rettidig-history-") as folder:
            file, blocks = pathlib.Path(folder, "history.txt"), pathlib.Path(folder, "blocks")
            file.write_text(done.stdout, encoding="utf-8")
            code, said = alerting.tool("promtool", "tsdb", "create-blocks-from", "openmetrics", file, blocks)
            self.assertEqual(code, 0, said)
            # A Prometheus that reads them has a write-ahead log; this promtool wants one.
            (blocks / "wal").mkdir()
            code, dumped = alerting.tool("promtool", "tsdb", "dump", blocks)
            self.assertEqual(code, 0, dumped[-500:])
        found = {}
        for line in dumped.splitlines():
            if match := SAMPLE.search(line):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1)))
                key = (*(labels[n] for n in ("indicator", "area_kind", "area", "benefit")), int(match.group(3)) // 1000)
                found[key] = float(match.group(2))
        wanted = {
            (row["indicator"], row["area_kind"], row["area"], row["benefit"], end(row["period"])): row["value"]
            for row in published.rows("indicators")
            if row["breakdown"] == "total" and row["value"] is not None
        }
        self.assertGreater(len(wanted), 10_000)
        self.assertEqual(found, wanted)


if __name__ == "__main__":
    unittest.main()
