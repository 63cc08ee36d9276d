"""Grafana's dashboards: what is committed is what their script makes, and an operator can read every panel.

That no query is empty is asked of a running demo, in `test_demo_end_to_end`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unittest

import fixtures
import yaml

FOLDER = fixtures.ROOT / "helm" / "dashboards"
SCRIPT = fixtures.ROOT / "scripts" / "dashboards.py"


def dashboards() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def queries() -> list[tuple[str, str, str]]:
    """Dashboard, title of the panel and what it asks Prometheus."""
    return [
        (name, panel["title"], target["expr"])
        for name, board in dashboards().items()
        for panel in board["panels"]
        for target in panel["targets"]
        if "expr" in target
    ]


def sql_queries() -> list[tuple[str, str, str]]:
    """Dashboard, title of the panel or name of the variable, and what it asks of the tables."""
    asked = []
    for name, board in dashboards().items():
        asked += [(name, panel["title"], target["rawSql"]) for panel in board["panels"] for target in panel["targets"] if "rawSql" in target]
        variables = [one for one in board["templating"]["list"] if one["type"] == "query" and one["datasource"]["type"] == "postgres"]
        asked += [(name, one["name"], one["query"]) for one in variables]
    return asked


class Dashboards(unittest.TestCase):
    def test_they_are_what_the_script_makes(self):
        done = subprocess.run([sys.executable, "-B", SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(set(dashboards()), {"operations", "jobcentre", "country", "vintages"})

    def test_grafana_is_provisioned_with_a_data_source_and_the_folder(self):
        sources = yaml.safe_load((FOLDER.parent / "grafana/datasources/rettidig.yaml").read_text(encoding="utf-8"))["datasources"]
        self.assertEqual(
            [(source["type"], source["url"]) for source in sources], [("prometheus", "$PROMETHEUS_URL"), ("postgres", "$RETTIDIG_SQL")]
        )
        (provider,) = yaml.safe_load((FOLDER.parent / "grafana/dashboards/rettidig.yaml").read_text(encoding="utf-8"))["providers"]
        self.assertEqual((provider["type"], provider["allowUiUpdates"]), ("file", False))

    def test_every_panel_can_be_read(self):
        uids = [board["uid"] for board in dashboards().values()]
        self.assertEqual(len(set(uids)), len(uids))
        for name, board in dashboards().items():
            self.assertTrue(board["title"] and board["description"])
            variables = {variable["name"] for variable in board["templating"]["list"]}
            self.assertLessEqual({"datasource", "runbooks"}, variables)
            self.assertIn("${runbooks}", [link["url"] for link in board["links"]])
            titles = [panel["title"] for panel in board["panels"]]
            self.assertEqual(len(set(titles)), len(titles), name)
            for panel in board["panels"]:
                with self.subTest(dashboard=name, panel=panel["title"]):
                    self.assertGreater(len(panel["description"]), 20)
                    self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                    self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                    self.assertTrue(panel["targets"])
                    for target in panel["targets"]:
                        self.assertEqual(target["datasource"]["uid"], "${datasource}")
                        used = set(re.findall(r"\$(?:\{)?([a-z]+)", target.get("expr") or target["rawSql"]))
                        self.assertLessEqual(used, variables)

    def test_every_query_asks_for_what_the_program_tells(self):
        told: set[str] = set()
        for path in (fixtures.ROOT / "pipeline").rglob("*.rs"):
            told |= set(re.findall(r'"(rettidig_[a-z0-9_]+)"', path.read_text(encoding="utf-8")))
        for name, title, expr in queries():
            with self.subTest(dashboard=name, panel=title):
                asked = {re.sub("_bucket$", "", series) for series in re.findall("rettidig_[a-z0-9_]+", expr)}
                self.assertTrue(asked)
                self.assertLessEqual(asked, told)


if __name__ == "__main__":
    unittest.main()
