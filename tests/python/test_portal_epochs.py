"""Reading while epochs are being committed: never torn, never mixed.

Goal: whoever takes several tables takes them of one state, with any engine, however fast epochs follow each other. Method: a running
demo commits an epoch for each simulated day. Beside it four readers, one for each engine, take all tables of one epoch after the other by
ranges, and a fifth takes whole files of whatever is newest. What they get is compared with the checksums that the epoch's list promised
before. Files that are no longer kept may answer 410, nothing else may go wrong, and each reader must see several epochs or nothing was
tried.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import json
import pathlib
import tempfile
import time
import unittest

import portal
import portal_readers
import pyarrow.parquet
from test_portal import free_port

# How long is read at least, and at most until every reader has seen enough epochs.
SECONDS, SECONDS_LONGEST = 20, 240
# Between two questions for the newest epoch: the readers must leave the program some of a small machine.
PACE_SECONDS = 0.05
# Epochs before it are those of the replayed release.
FIRST_DAY = 5
# A reader that sees fewer has not read while epochs were being committed.
EPOCHS_MIN = 3


class WhileEpochsAreCommitted(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory(prefix="rettidig-portal-epochs-")
        self.addCleanup(work.cleanup)
        folder, port = pathlib.Path(work.name), free_port()
        given = ["--data", folder / "data", "--persons", "300", "--speed", "50", "--port", port, "--sql-port", "0"]
        self.demo = portal.Demo(given, folder / "demo.log", f"http://127.0.0.1:{port}")
        self.addCleanup(self.demo.end)
        self.demo.wait_for_tables()
        # The release of official figures is replayed first; then each simulated day is an epoch.
        end = time.monotonic() + portal.SECONDS_MAX
        while self.newest()["epoch"] < FIRST_DAY:
            self.assertLess(time.monotonic(), end, self.demo.log)
            self.assertIsNone(self.demo.process.poll(), self.demo.log)
            time.sleep(0.2)
        self.begun = time.monotonic()

    def goes_on(self, seen: set[int]) -> bool:
        seconds = time.monotonic() - self.begun
        return seconds < SECONDS or (len(seen) < EPOCHS_MIN and seconds < SECONDS_LONGEST)

    def newest(self) -> dict:
        return json.loads(self.demo.get("/data/epoch.json").body)

    def whole(self, one: dict) -> bytes:
        """The file that an epoch promised, checked."""
        answer = self.demo.get(one["path"])
        if answer.status == 410:
            raise portal.Gone(one["path"])
        self.assertEqual(answer.status, 200, one["path"])
        self.assertEqual(hashlib.sha256(answer.body).hexdigest(), one["sha256"], one["path"])
        self.assertEqual(answer.headers["ETag"], f'"{one["sha256"]}"')
        return answer.body

    def read_epochs(self, engine: str) -> tuple[set[int], int]:
        """Takes all tables of one epoch after the other; returns the epochs that were read whole, and how often one was gone first."""
        seen, gone, read = set(), 0, portal_readers.PARQUET[engine]
        while self.goes_on(seen):
            time.sleep(PACE_SECONDS)
            epoch = self.newest()
            try:
                for one in epoch["tables"]:
                    promised = pyarrow.parquet.read_table(io.BytesIO(self.whole(one)))
                    ranges = portal.Ranges(self.demo, one["path"])
                    self.assertEqual(ranges.etag, f'"{one["sha256"]}"')
                    found = read(one["table"], ranges)
                    self.assertTrue(found.equals(portal_readers.conform(one["table"], promised)), f"{engine} {one}")
                    self.assertEqual(found.num_rows, one["rows"])
                    if "epoch" in found.column_names and found.num_rows:
                        newest = max(found["epoch"].to_pylist())
                        self.assertLessEqual(newest, epoch["epoch"], f"{one}: a row of a later epoch")
                # The list itself does not change once it is made.
                again = self.demo.get(f"/data/epochs/{epoch['epoch']}/_epoch.json")
                self.assertIn(again.status, (200, 410))
                if again.status == 200:
                    self.assertEqual(json.loads(again.body), epoch)
                seen.add(epoch["epoch"])
            except portal.Gone:
                gone += 1
        return seen, gone

    def read_newest(self) -> tuple[set[int], int]:
        """Takes whole files of whatever is newest: each is the file of the epoch that the answer names."""
        seen, answers = set(), 0
        while self.goes_on(seen):
            time.sleep(PACE_SECONDS)
            for name in ("indicators", "local_indicators", "freshness"):
                answer = self.demo.get(f"/data/{name}.parquet")
                self.assertEqual(answer.status, 200)
                epoch = int(answer.headers["rettidig-epoch"])
                listed = self.demo.get(f"/data/epochs/{epoch}/_epoch.json")
                if listed.status == 410:
                    continue
                (one,) = (one for one in json.loads(listed.body)["tables"] if one["table"] == name)
                self.assertEqual(hashlib.sha256(answer.body).hexdigest(), one["sha256"])
                seen.add(epoch)
                answers += 1
        return seen, answers

    def test_no_reader_sees_a_torn_file_or_two_epochs_mixed(self):
        first = self.newest()["epoch"]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            readers = {engine: pool.submit(self.read_epochs, engine) for engine in portal_readers.PARQUET}
            readers["newest"] = pool.submit(self.read_newest)
            found = {name: reader.result(SECONDS_LONGEST + portal.SECONDS_MAX) for name, reader in readers.items()}
        last = self.newest()["epoch"]
        told = {name: (len(seen), number) for name, (seen, number) in found.items()}
        print(f"epochs {first} to {last}; by reader (epochs, gone or answers): {told}")
        self.assertIsNone(self.demo.process.poll(), "the demo still commits")
        for name, (seen, _) in found.items():
            self.assertGreaterEqual(len(seen), EPOCHS_MIN, f"{name} saw epochs {sorted(seen)} of {first} to {last}")


if __name__ == "__main__":
    unittest.main()
