"""The theory of change, computed once more from the published values and the tree alone.

Goal: `theory_figures`, `theory_of_change` and `goals` are what the decision page says. Method: plain loops over `indicators` and
`local_indicators` with the tree as YAML reads it; every row of the three tables is compared. A movement also needs two visible
figures, which is looked up by itself.
"""

from __future__ import annotations

import json
import math
import unittest

import fixtures
import published
import yaml

MONTHS = {"M": 1, "Q": 3, "Y": 12}
COUNTS = {"persons", "full-time persons", "spells", "tests", "interviews", "decisions"}


def last_month(period: str) -> int:
    """Months since the year 0 of the last month of `2026-07`, `2026-Q1` or `2026`."""
    year, _, part = period.partition("-")
    if not part:
        return int(year) * 12 + 11
    return int(year) * 12 + (int(part[1:]) * 3 if part.startswith("Q") else int(part)) - 1


def majority(yes: int, no: int, known: int):
    """True or False if more than half say so, else None."""
    return True if yes * 2 > known else False if no * 2 > known else None


class Theory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tree = yaml.safe_load((fixtures.REFERENCE / "theory_of_change.yaml").read_text(encoding="utf-8"))
        number = published.epoch()["epoch"]
        manifests = (published.folder().parents[1] / "epochs").glob("*.json")
        manifest = next(path for path in manifests if int(path.stem) == number)
        cls.today = last_month(json.loads(manifest.read_text(encoding="utf-8"))["as_of"][:7])
        cls.moved, cls.deviations = tree["thresholds"]["moved"], tree["thresholds"]["deviations"]
        cls.goals = [node for goal in tree["goals"] for node in [goal, *goal.get("sub_goals", [])]]
        cls.activities, cls.resources = tree["activities"], tree["resources"]
        cls.nodes = {node["node"]: node for goal in cls.goals for node in goal["indicators"]}
        cls.nodes |= {node["node"]: node for node in cls.activities + cls.resources}
        cls.figures = {name: cls.figures_of(node) for name, node in cls.nodes.items() if "fed" in node}

    @classmethod
    def figures_of(cls, node):
        """Month -> the row of `theory_figures`."""
        fed = node["fed"]
        key = (fed["indicator"], "country", fed["benefit"], fed.get("breakdown", "total"), fed.get("breakdown_value", "total"))
        table = "local_indicators" if fed["indicator"].startswith("local_") else "indicators"
        names = ("indicator", "area_kind", "benefit", "breakdown", "breakdown_value")
        rows = {last_month(r["period"]): r for r in published.rows(table) if tuple(r[n] for n in names) == key}
        return {month: cls.figure(node, month, rows) for month in rows}

    @classmethod
    def is_settled(cls, node, month, rows):
        old = cls.today - month >= node["fed"]["known_after_months"]
        return month in rows and old and rows[month]["status"] in {"final", "hidden"}

    @classmethod
    def figure(cls, node, month, rows):
        now, before = rows[month], rows.get(month - 12)
        settled = cls.is_settled(node, month, rows)
        out = {"period": now["period"], "value": now["value"], "unit": now["unit"], "status": now["status"], "settled": settled}
        out |= {"last_year": None, "change_1y": None, "direction": None, "delivered": None}
        if settled and cls.is_settled(node, month - 12, rows):
            out["last_year"] = before["value"]
            if None not in (now["value"], before["value"]):
                out |= cls.direction(node, now, before)
        if settled and node in cls.activities and now["value"] is not None:
            if "delivered_from" in node:
                out["delivered"] = now["value"] >= node["delivered_from"]
            elif out["direction"] is not None:
                out["delivered"] = out["direction"] >= 0
        return out

    @classmethod
    def direction(cls, node, now, before):
        a, b = now["value"], before["value"]
        if now["unit"] == "percent":
            change = a - b
            counts = now["denominator"], before["denominator"]
            chance = math.sqrt(sum(v * (100 - v) / n for v, n in zip((a, b), counts))) if all(counts) else 0.0
        else:
            change = (a / b - 1) * 100 if b > 0 else None
            chance = math.sqrt(a + b) if now["unit"] in COUNTS else 0.0
        if change is None or node["better"] == "none":
            return {"change_1y": change}
        if round(abs(change), 6) < cls.moved or abs(a - b) < cls.deviations * chance:
            return {"change_1y": change, "direction": 0}
        return {"change_1y": change, "direction": 1 if (change > 0) == (node["better"] == "up") else -1}

    def newest(self, name):
        """The newest settled row and its month; `is_old` takes what it says away."""
        figures = {month: row for month, row in self.figures.get(name, {}).items() if row["settled"]}
        if not figures:
            return None, None
        month = max(figures)
        node, row = self.nodes[name], dict(figures[month])
        row["is_old"] = self.today - month > node["fed"]["known_after_months"] + 2 * MONTHS[node["cadence"]]
        if row["is_old"]:
            row["direction"] = row["delivered"] = None
        return month, row

    def same(self, row, expected, where):
        for name, value in expected.items():
            if isinstance(value, float) and row[name] is not None:
                self.assertAlmostEqual(row[name], value, 9, f"{where} {name}")
            else:
                self.assertEqual(row[name], value, f"{where} {name}")

    def test_every_figure(self):
        found = {(row["node"], row["period"]): row for row in published.rows("theory_figures")}
        expected = {(name, row["period"]): row for name, rows in self.figures.items() for row in rows.values()}
        self.assertEqual(found.keys(), expected.keys())
        self.assertTrue(found)
        for key, row in expected.items():
            self.same(found[key], row, key)

    def test_nothing_moves_that_is_not_visible_twice(self):
        visible = {
            (r["indicator"], r["benefit"], r["breakdown"], r["breakdown_value"], r["period"])
            for table in ("indicators", "local_indicators")
            for r in published.rows(table)
            if r["area_kind"] == "country" and r["value"] is not None
        }
        for row in published.rows("theory_figures"):
            if row["direction"] is not None:
                fed = self.nodes[row["node"]]["fed"]
                key = (fed["indicator"], fed["benefit"], fed.get("breakdown", "total"), fed.get("breakdown_value", "total"))
                year = int(row["period"][:4]) - 1
                self.assertIn((*key, row["period"]), visible)
                self.assertIn((*key, f"{year}{row['period'][4:]}"), visible)

    def test_the_tree(self):
        found = {(row["node"], row["parent"]): row for row in published.rows("theory_of_change")}
        parents = {goal["node"]: goal["node"].rpartition(".")[0] or "root" for goal in self.goals}
        wanted = {(goal["node"], parents[goal["node"]]): None for goal in self.goals}
        wanted |= {(node["node"], goal["node"]): node for goal in self.goals for node in goal["indicators"]}
        wanted |= {(n["node"], link["goal"]): n for n in self.activities + self.resources for link in n["serves"]}
        self.assertEqual(found.keys(), wanted.keys())
        for key, node in wanted.items():
            row = found[key]
            _, newest = self.newest(key[0]) if node else (None, None)
            if not node or "not_fed" in node:
                state = "not_fed" if node else None
            elif not newest:
                state = "missing"
            elif newest["status"] == "hidden":
                state = "hidden"
            elif newest["is_old"]:
                state = "outdated"
            else:
                said = (newest["direction"], newest["delivered"])
                state = "no_comparison" if said == (None, None) and node["better"] != "none" else "known"
            self.assertEqual(row["state"], state, key)
            for name in ("period", "value", "unit", "last_year", "change_1y", "direction", "delivered"):
                self.same(row, {name: newest[name] if newest else None}, key)
        order = [row["node"] for row in sorted(found.values(), key=lambda row: row["place"])]
        self.assertEqual([node for node in order if node in parents], [goal["node"] for goal in self.goals])

    def test_every_goal(self):
        found = {row["node"]: row for row in published.rows("goals")}
        self.assertEqual(found.keys(), {goal["node"] for goal in self.goals})
        for goal in self.goals:
            with self.subTest(goal=goal["node"]):
                self.same(found[goal["node"]], self.goal(goal), goal["node"])

    def goal(self, goal):
        known = [(m, row["direction"]) for m, row in map(self.newest, (n["node"] for n in goal["indicators"])) if row]
        known = [(month, direction) for month, direction in known if direction is not None]
        directions = [direction for _, direction in known]
        up, down = directions.count(1), directions.count(-1)
        movement = {True: 1, False: -1, None: 0}[majority(up, down, len(known))] if known else None
        links = [(n["node"], k) for n in self.activities for k in n["serves"] if k["goal"] == goal["node"]]
        now = [row["delivered"] for _, row in map(self.newest, (name for name, _ in links)) if row]
        now = [delivered for delivered in now if delivered is not None]
        delivered = majority(now.count(True), now.count(False), len(now))
        then = []
        for month, _ in known:
            for name, link in links:
                then.append(self.figures[name].get(month - link["shows_after_months"], {}).get("delivered"))
        then = [delivered for delivered in then if delivered is not None]
        before = majority(then.count(True), then.count(False), len(then))
        waits_for = None
        if delivered is False:
            diagnosis = "implementation"
        elif movement is None or not delivered or not before:
            diagnosis = "not_yet_knowable"
            waits_for = "indicator" if movement is None else "activity" if not delivered else "time"
        else:
            diagnosis = "as_intended" if movement == 1 else "theory"
        return {
            "indicators": len(goal["indicators"]),
            "not_fed": sum("not_fed" in node for node in goal["indicators"]),
            "known": len(known),
            "improved": up,
            "unchanged": directions.count(0),
            "worsened": down,
            "movement": movement,
            "activities": len(links),
            "activities_known": len(now),
            "activities_delivered": now.count(True),
            "delivered": delivered,
            "delivered_before": before,
            "diagnosis": diagnosis,
            "waits_for": waits_for,
        }


if __name__ == "__main__":
    unittest.main()
