"""Who is told what: a real Alertmanager with the routes made from the owner registry.

Goal: what is about a jobcentre reaches its owner and nobody else, late or incomplete data hold alarms about the labour market
back, and an end is told too. Method: Alertmanager runs with the golden of `rettidig alert-routes`; only addresses and waits
are other ones. Alerts have the labels that the rules in `helm/alerts` give them. "Was not told" is never a matter of waiting
long enough: Alertmanager itself says that an alert is suppressed and by which other.
"""

from __future__ import annotations

import datetime
import pathlib
import tempfile
import unittest

import alerting
import fixtures
import yaml

HEADER = ["jobcentre", "name", "owner", "receiver", "address", "credentials_file", "note"]


def rule(name: str) -> dict:
    return next(rule for rule in alerting.alerts() if rule["alert"] == name)


def alert(name: str, mark: str, *, ended: bool = False, **labels: str) -> dict:
    """An alert of a rule as Prometheus sends it; `mark` finds it again in what was told."""
    now = datetime.datetime.now(datetime.timezone.utc)
    begun = now - datetime.timedelta(minutes=5)
    end = now - datetime.timedelta(seconds=1) if ended else now + datetime.timedelta(minutes=10)
    return {
        "labels": {"alertname": name} | rule(name)["labels"] | labels,
        "annotations": {"summary": f"<{mark}>", "runbook_url": rule(name)["annotations"]["runbook_url"]},
        "startsAt": begun.isoformat(),
        "endsAt": end.isoformat(),
    }


class Registry(unittest.TestCase):
    def setUp(self):
        self.rows = alerting.owners()

    def test_rows_are_of_jobcentres_that_exist_and_name_a_receiver(self):
        self.assertEqual(list(self.rows[0]), HEADER)
        now = {row["jobcentre"]: row["jobcentre_name"] for row in fixtures.membership("2026-08-01").values()}
        for row in self.rows:
            with self.subTest(row=row):
                self.assertTrue(row["owner"])
                self.assertTrue(row["note"].startswith("example"), "nobody real is in the registry shipped")
                self.assertIn(".example", row["address"])
                if row["jobcentre"] != alerting.OPERATIONS:
                    self.assertEqual(row["name"], now[row["jobcentre"]])
                if row["receiver"] == "email":
                    self.assertRegex(row["address"], r"^[^@ ]+@[^@ ]+$")
                    self.assertEqual(row["credentials_file"], "", "a mail's password is the mail server's")
                else:
                    self.assertEqual(row["receiver"], "webhook")
                    self.assertRegex(row["address"], r"^https://[^ ?#]+$", "a secret in an address is no secret")
        self.assertIn(alerting.OPERATIONS, {row["jobcentre"] for row in self.rows})

    def test_routes_are_those_of_the_registry(self):
        config = yaml.safe_load(alerting.ROUTES.read_text(encoding="utf-8"))
        codes = list(dict.fromkeys(row["jobcentre"] for row in self.rows))
        names = {code: code if code == alerting.OPERATIONS else f"jobcentre-{code}" for code in codes}
        jobcentres = sorted(code for code in codes if code != alerting.OPERATIONS)

        def channels(code: str, kind: str) -> list[tuple[str, str | None]]:
            rows = [row for row in self.rows if row["jobcentre"] == code and row["receiver"] == kind]
            return [(row["address"], row["credentials_file"] or None) for row in rows]

        self.assertEqual(
            [receiver["name"] for receiver in config["receivers"]],
            [names[code] for code in [alerting.OPERATIONS, *jobcentres]],
        )
        for code, receiver in zip([alerting.OPERATIONS, *jobcentres], config["receivers"]):
            mails = receiver.get("email_configs", [])
            hooks = receiver.get("webhook_configs", [])
            self.assertEqual([(mail["to"], None) for mail in mails], channels(code, "email"))
            told = [
                (hook["url"], hook.get("http_config", {}).get("authorization", {}).get("credentials_file"))
                for hook in hooks
            ]
            self.assertEqual(told, channels(code, "webhook"))
            self.assertTrue(all(channel["send_resolved"] for channel in mails + hooks))
        self.assertEqual(config["route"]["receiver"], alerting.OPERATIONS, "who has no owner is not forgotten")
        data, *routes = config["route"]["routes"]
        self.assertEqual((data["receiver"], data["continue"]), (alerting.OPERATIONS, True))
        self.assertEqual(
            [(route["receiver"], route["matchers"]) for route in routes],
            [(names[code], [f'jobcentre="{code}"']) for code in jobcentres],
        )

    def test_amtool_takes_the_configuration(self):
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work) / "alertmanager.yml"
            text = alerting.configuration()
            path.write_text(text.replace("/etc/alertmanager/rettidig.tmpl", str(alerting.TEXTS)), encoding="utf-8")
            code, said = alerting.tool("amtool", "check-config", path)
        self.assertEqual(code, 0, said)
        self.assertIn("1 templates", said)

    def test_each_alert_goes_where_it_belongs(self):
        """Told by amtool from the routes alone, so that who is not told is certain and not a matter of waiting."""
        data, operation = f"{alerting.OPERATIONS},jobcentre-0155", alerting.OPERATIONS
        expected = [
            ("JobcentreDrifts", "0155", "jobcentre-0155"),
            ("TargetOutOfReach", "0101", "jobcentre-0101"),
            ("JobcentreDrifts", "0751", "jobcentre-0751"),
            ("JobcentreDrifts", "0630", operation),
            ("SourceLate", "0155", data),
            ("DeliveryIncomplete", "0155", data),
            ("DeliveryIncomplete", "0630", operation),
            ("SourceLate", "", operation),
            ("DeadLetters", "", operation),
            ("EpochStuck", "", operation),
        ]
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work) / "alertmanager.yml"
            path.write_text(alerting.configuration(), encoding="utf-8")
            for name, jobcentre, receivers in expected:
                with self.subTest(alert=name, jobcentre=jobcentre):
                    labels = {"alertname": name, "jobcentre": jobcentre} | rule(name)["labels"]
                    given = [f"{label}={value}" for label, value in labels.items() if value]
                    code, said = alerting.tool("amtool", "config", "routes", "test", f"--config.file={path}", *given)
                    self.assertEqual((code, said.split()[-1]), (0, receivers), said)

    def test_no_secret_is_in_the_configuration(self):
        text = alerting.configuration()
        for line in text.splitlines():
            self.assertNotRegex(line, r"^\s*(\S*(password|token|secret|credentials|api_key)):\s*\S")


class Told(unittest.TestCase):
    """Each test has a jobcentre or an indicator of its own, so that none sees what another sent."""

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="rettidig-alerts-")
        cls.addClassCleanup(cls.work.cleanup)
        cls.manager = alerting.Alertmanager(pathlib.Path(cls.work.name))
        cls.addClassCleanup(cls.manager.stop)
        cls.listeners = cls.manager.listeners
        cls.of = {}
        for row in alerting.owners():
            cls.of.setdefault(row["jobcentre"], []).append(row["address"].removeprefix("https:/"))

    def tearDown(self):
        self.assertEqual(self.listeners.problems, [])

    def is_told(self, to: str, mark: str, *, resolved: bool = False):
        what = f"{to} is told <{mark}>{' has ended' if resolved else ''}"
        told = self.listeners.told
        return alerting.wait_until(what, lambda: told(to, f"<{mark}>", resolved=resolved))[0]

    def is_held_back(self, held: dict, by: dict):
        def found():
            state = self.manager.state(held)
            return state if state and state["status"]["state"] == "suppressed" else None

        state = alerting.wait_until(f"{held['labels']} is suppressed", found)
        self.assertEqual(state["status"]["inhibitedBy"], [self.manager.state(by)["fingerprint"]])

    def test_an_owner_is_told_and_nobody_else(self):
        (mail,) = self.of["0101"]
        (hook,) = self.of["0155"]
        self.manager.post(
            alert("JobcentreDrifts", "routed-0101", jobcentre="0101", indicator="routed"),
            alert("TargetOutOfReach", "routed-0155", jobcentre="0155", indicator="routed"),
            alert("JobcentreDrifts", "routed-0751", jobcentre="0751", indicator="routed"),
            alert("JobcentreDrifts", "routed-0630", jobcentre="0630", indicator="routed"),
            alert("AuditMismatch", "routed-audit"),
        )
        by_mail = self.is_told(mail, "routed-0101")
        self.assertIn("[Rettidig] 1 gælder / firing: JobcentreDrifts, jobcenter 0101", by_mail.subject)
        self.assertIn("Runbook: helm/runbooks/JobcentreDrifts.md", by_mail.text)
        self.assertEqual(by_mail.secret, "\0rettidig\0the mail's password")
        self.assertEqual(self.is_told(hook, "routed-0155").secret, "Bearer token of jobcentre-0155")
        both = self.of["0751"]
        self.assertEqual(len(both), 2)
        for address in both:
            self.is_told(address, "routed-0751")
        (operations,) = self.of[alerting.OPERATIONS]
        self.assertEqual(self.is_told(operations, "routed-0630").secret, "Bearer token of operations")
        self.is_told(operations, "routed-audit")
        expected = {"0101": {mail}, "0155": {hook}, "0751": set(both), "0630": {operations}, "audit": {operations}}
        for mark, owners in expected.items():
            self.assertEqual(self.listeners.everybody_told(f"<routed-{mark}>"), owners)

    def test_operations_and_the_owner_are_told_of_data(self):
        self.manager.post(
            alert("SourceLate", "data-0155", source="ky-155", jobcentre="0155"),
            alert("DeliveryIncomplete", "data-country", source="dst-STRAF42"),
        )
        (operations,) = self.of[alerting.OPERATIONS]
        (owner,) = self.of["0155"]
        for to in (operations, owner):
            self.is_told(to, "data-0155")
        self.is_told(operations, "data-country")
        self.assertEqual(self.listeners.everybody_told("<data-country>"), {operations})

    def test_late_and_incomplete_data_hold_back_what_is_about_the_same_jobcentre_and_indicator(self):
        (hook,) = self.of["0155"]
        for cause in ("SourceLate", "DeliveryIncomplete"):
            for effect in ("JobcentreDrifts", "TargetOutOfReach"):
                with self.subTest(cause=cause, effect=effect):
                    indicator = f"held_{cause}_{effect}".lower()
                    of = {"jobcentre": "0155", "indicator": indicator}
                    late = alert(cause, f"{indicator}-late", source="jobindsats-y25i01", **of)
                    self.manager.post(late)
                    self.is_told(hook, f"{indicator}-late")
                    held = alert(effect, f"{indicator}-held", benefit="total", **of)
                    elsewhere = of | {"jobcentre": "0751"}
                    otherwise = of | {"indicator": f"{indicator}_rate"}
                    self.manager.post(
                        held,
                        alert(effect, f"{indicator}-elsewhere", benefit="total", **elsewhere),
                        alert(effect, f"{indicator}-otherwise", benefit="total", **otherwise),
                    )
                    self.is_held_back(held, late)
                    for address in self.of["0751"]:
                        self.is_told(address, f"{indicator}-elsewhere")
                    self.is_told(hook, f"{indicator}-otherwise")
                    self.assertEqual(self.listeners.everybody_told(f"<{indicator}-held>"), set())
                    # The data have come and it still drifts: now it is told.
                    self.manager.post(alert(cause, f"{indicator}-late", ended=True, source="jobindsats-y25i01", **of))
                    self.is_told(hook, f"{indicator}-held")
                    self.is_told(hook, f"{indicator}-late", resolved=True)

    def test_data_alerts_without_an_indicator_hold_nothing_back(self):
        (mail,) = self.of["0101"]
        self.manager.post(alert("SourceLate", "own-system", source="ky-101", jobcentre="0101"))
        self.is_told(mail, "own-system")
        drifts = alert("JobcentreDrifts", "beside-own-system", jobcentre="0101", indicator="beside")
        self.manager.post(drifts)
        self.is_told(mail, "beside-own-system")
        # To Alertmanager two alerts that both lack a label are alike in it.
        unlabelled = alert("JobcentreDrifts", "unlabelled")
        self.manager.post(alert("DeliveryIncomplete", "unlabelled-data", source="dst-STRAF42x"))
        (operations,) = self.of[alerting.OPERATIONS]
        self.is_told(operations, "unlabelled-data")
        self.manager.post(unlabelled)
        self.is_told(operations, "unlabelled")

    def test_an_end_is_told(self):
        (mail,) = self.of["0101"]
        of = {"jobcentre": "0101", "indicator": "ended", "benefit": "total"}
        self.manager.post(alert("JobcentreDrifts", "ended", **of))
        self.is_told(mail, "ended")
        self.manager.post(alert("JobcentreDrifts", "ended", ended=True, **of))
        told = self.is_told(mail, "ended", resolved=True)
        self.assertIn("[Rettidig] ophørt / resolved: JobcentreDrifts, jobcenter 0101", told.subject)
        self.assertEqual(told.firing, [])

    def test_what_is_urgent_is_not_told_twice(self):
        (operations,) = self.of[alerting.OPERATIONS]
        now, later = [found for found in alerting.alerts() if found["alert"] == "DiskNearlyFull"]
        if now["labels"]["severity"] != "critical":
            now, later = later, now
        urgent = alert("DiskNearlyFull", "disk-urgent", instance="a")
        urgent["labels"] |= now["labels"]
        less = alert("DiskNearlyFull", "disk-less", instance="a")
        less["labels"] |= later["labels"]
        other = alert("DiskNearlyFull", "disk-other", instance="b")
        other["labels"] |= later["labels"]
        self.manager.post(urgent)
        self.is_told(operations, "disk-urgent")
        self.manager.post(less, other)
        self.is_told(operations, "disk-other")
        self.is_held_back(less, urgent)


if __name__ == "__main__":
    unittest.main()
