"""From a gauge to the owner's mailbox: real Prometheus and Alertmanager, the rules and routes as they are.

Goal: the labels of the rules survive the way, so that who drifts is told, whose data are late or incomplete is not told to drift, and
an end is told. Method: the program itself shows an epoch of August, then one of today in which nothing more has come, then that of August
again. What it cannot be made to say, each case alone, a small exporter here tells as the program does. Only waits and addresses
are other ones.
"""

from __future__ import annotations

import http.server
import pathlib
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.request

import alerting
import published
import web

INDICATOR = "full_time_unemployed"
SOURCE = "jobindsats-y25i01"
STATES = ["on_track", "drifting", "insufficient", "incomplete", "source_late"]


def series(name: str, value: float, **labels: str) -> str:
    pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {float(value)}\n"


class Exporter:
    """Tells `text` at /metrics."""

    def __init__(self):
        self.text = ""
        exporter = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = exporter.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()
        self.place = "127.0.0.1:%d" % self.server.server_address[1]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def tell(self, states: dict[str, str], late: bool = False, incomplete: frozenset[str] = frozenset()):
        """One epoch: the state of each jobcentre, whether the source is late, and of whom its delivery is incomplete."""
        text = series("rettidig_epoch_age_seconds", 1) + series("rettidig_epoch_number", 7)
        text += series("rettidig_source_late", late, source=SOURCE)
        text += series("rettidig_indicator_source_info", 1, indicator=INDICATOR, source=SOURCE)
        for jobcentre, state in states.items():
            of = {"indicator": INDICATOR, "area_kind": "jobcentre", "area": jobcentre, "benefit": "total"}
            text += "".join(series("rettidig_target_state", state == name, **of, state=name) for name in STATES)
            text += series("rettidig_target_level", 812.5, **of) + series("rettidig_target_expected_level", 770, **of)
            text += series("rettidig_source_incomplete", jobcentre in incomplete, source=SOURCE, jobcentre=jobcentre)
        self.text = text


class EndToEnd(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory(prefix="rettidig-alerts-")
        self.addCleanup(work.cleanup)
        self.exporter = Exporter()
        self.addCleanup(self.exporter.stop)
        self.exporter.tell({"0155": "on_track", "0101": "on_track"})
        self.manager = alerting.Alertmanager(pathlib.Path(work.name))
        self.addCleanup(self.manager.stop)
        self.prometheus = alerting.Prometheus(pathlib.Path(work.name), self.exporter.place, self.manager)
        self.addCleanup(self.prometheus.end)
        address = {row["jobcentre"]: row["address"].removeprefix("https:/") for row in alerting.owners()}
        self.drifting, self.other = address["0155"], address["0101"]
        self.told = self.manager.listeners.told

    def test_drift_late_data_and_recovery(self):
        # 0155 drifts. Of 0101 newest figures are missing.
        self.exporter.tell({"0155": "drifting", "0101": "incomplete"}, incomplete=frozenset({"0101"}))
        drifts = "Jobcentre 0155 drifts from its target"
        (notice, *_) = alerting.wait_until("the owner of 0155 is told", lambda: self.told(self.drifting, drifts))
        self.assertEqual(notice.firing[0]["labels"]["indicator"], INDICATOR)
        self.assertIn("The mean of the newest three months is 812.5.", notice.firing[0]["annotations"]["description"])
        alerting.wait_until("the owner of 0101 is told of the data", lambda: self.told(self.other, "is incomplete"))
        self.assertEqual(self.prometheus.states("JobcentreDrifts"), {("firing", "0155", INDICATOR)})
        self.assertEqual(self.prometheus.states("DeliveryIncomplete"), {("firing", "0101", INDICATOR)})

        # Should the state say that it drifts while its delivery is incomplete, Alertmanager holds it back: the third guard.
        self.exporter.tell({"0155": "drifting", "0101": "drifting"}, incomplete=frozenset({"0101"}))
        both = {("firing", "0155", INDICATOR), ("firing", "0101", INDICATOR)}
        alerting.wait_until("Prometheus tells both", lambda: self.prometheus.states("JobcentreDrifts") == both)

        def known() -> dict[str, str]:
            """What Alertmanager does with each alert that somebody drifts."""
            found = self.manager.ask("/api/v2/alerts")
            of = [one for one in found if one["labels"]["alertname"] == "JobcentreDrifts"]
            return {one["labels"]["jobcentre"]: one["status"]["state"] for one in of}

        alerting.wait_until("0101 is held back", lambda: known() == {"0155": "active", "0101": "suppressed"})
        self.assertEqual(self.told(self.other, "drifts from its target"), [])

        # The whole table is late: nothing is said about anybody, and that of 0155 ends.
        self.exporter.tell({"0155": "source_late", "0101": "source_late"}, late=True, incomplete=frozenset({"0101"}))
        for owner in (self.drifting, self.other):
            alerting.wait_until(f"{owner} is told of late data", lambda owner=owner: self.told(owner, "is late"))
        alerting.wait_until("nobody drifts", lambda: known() == {})
        self.assertEqual(self.prometheus.states("JobcentreDrifts"), set())
        self.assertEqual(self.told(self.other, "drifts from its target"), [])

        # It has come, and 0101 drifts indeed; 0155 is back on its path.
        self.exporter.tell({"0155": "on_track", "0101": "drifting"})
        alerting.wait_until("the owner of 0101 is told", lambda: self.told(self.other, "Jobcentre 0101 drifts from its target"))
        alerting.wait_until("that data are late has ended", lambda: self.told(self.drifting, "is late", resolved=True))
        self.exporter.tell({"0155": "on_track", "0101": "on_track"})
        ended = "Jobcentre 0101 drifts from its target"
        alerting.wait_until("the end is told", lambda: self.told(self.other, ended, resolved=True))
        self.assertEqual(self.prometheus.states("JobcentreDrifts"), set())


class OfTheProgram(unittest.TestCase):
    SECONDS_MAX = 240

    def setUp(self):
        work = tempfile.TemporaryDirectory(prefix="rettidig-alerts-")
        self.addCleanup(work.cleanup)
        self.work = pathlib.Path(work.name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.place = "127.0.0.1:%d" % free.getsockname()[1]
        self.shown = self.show()
        self.addCleanup(lambda: self.shown.stop())
        self.manager = alerting.Alertmanager(self.work)
        self.addCleanup(self.manager.stop)
        self.prometheus = alerting.Prometheus(self.work, self.place, self.manager)
        self.addCleanup(self.prometheus.end)

    def show(self) -> web.Web:
        return web.Web({"listen": self.place})

    def tells(self, name: str) -> set[str]:
        with urllib.request.urlopen(f"http://{self.place}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {line for line in lines if line.startswith(name) and line.endswith(" 1")}

    def program(self, *arguments: object):
        command = [str(part) for part in (web.PROGRAM, *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=self.SECONDS_MAX, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2_000:])

    def test_drift_data_that_stay_away_and_their_coming(self):
        drifting = {
            (row["area"], row["indicator"])
            for row in published.rows("targets") + published.rows("local_drift")
            if row["newest"] and row["area_kind"] == "jobcentre" and row["state"] == "drifting"
        }
        address: dict[str, set[str]] = {}
        for row in alerting.owners():
            address.setdefault(row["jobcentre"], set()).add(row["address"].removeprefix("https:/"))
        owned = sorted({area for area, _ in drifting} & address.keys())
        self.assertTrue(owned, "somebody who has an owner drifts")
        told = self.manager.listeners.told
        wait = lambda what, holds: alerting.wait_until(what, holds, self.SECONDS_MAX)

        def owners_are_told(summary: str, *, resolved: bool = False):
            for area in owned:
                for one in address[area]:
                    wait(f"{one} is told: {summary}", lambda one=one, area=area: told(one, summary.format(area=area), resolved=resolved))

        wait("who drifts", lambda: self.prometheus.states("JobcentreDrifts") == {("firing", *one) for one in drifting})
        owners_are_told("Jobcentre {area} drifts from its target")
        late_before = self.tells("rettidig_source_late{")
        self.assertFalse(any(SOURCE in line for line in late_before))

        # Two made-up persons come today, and nothing else has since August.
        self.program("simulate", "--persons", 2, "--months", 1, "--seed", 5, "--as", "ndjson", "--out", self.work / "country")
        self.program("load", *sorted((self.work / "country").glob("*.ndjson")), "--data", self.shown.data)
        wait("the program says that the table is late", lambda: any(SOURCE in line for line in self.tells("rettidig_source_late{") - late_before))
        self.assertTrue(any('state="source_late"' in line for line in self.tells("rettidig_target_state{")))
        wait("nobody drifts", lambda: self.prometheus.states("JobcentreDrifts") == set())
        owners_are_told("Jobcentre {area} drifts from its target", resolved=True)
        owners_are_told("is late, jobcentre {area}")
        late = {(jobcentre, indicator) for state, jobcentre, indicator in self.prometheus.states("SourceLate") if state == "firing"}
        self.assertLessEqual(drifting, late, "each of them has its own notice")

        # What was missing has come: the epoch of August, in which nothing is late.
        self.shown.stop()
        self.shown = self.show()
        wait("who drifts is told again", lambda: self.prometheus.states("JobcentreDrifts") == {("firing", *one) for one in drifting})
        owners_are_told("is late, jobcentre {area}", resolved=True)
        self.assertEqual(self.manager.listeners.problems, [])


if __name__ == "__main__":
    unittest.main()
