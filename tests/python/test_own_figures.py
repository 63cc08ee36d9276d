"""Goal: what is made of the figures of persons alone is what its definition says, and tells of nobody.

Method: plain Python over the published `local_indicators`, `indicators` and `vintages`; no line of SQL is shared.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import unittest

import fixtures
import published

BANDS = {"0-4": 5, "5-13": 14, "14-26": 27, "27-52": 53, "53-104": 105}
# Part of, whole.
PARTS = {
    "local_contacts_held_in_time": "local_contacts_due",
    "local_danish_tests_passed": "local_danish_tests",
    "local_school_tests_passed": "local_school_tests",
    "local_relapse_spells_26": "local_ended_spells",
    "local_relapse_spells_52": "local_ended_spells",
}


def own() -> list[dict]:
    return published.rows("local_indicators")


@functools.cache
def totals() -> dict[tuple, dict]:
    names = ("indicator", "area_kind", "area", "benefit", "period")
    return {tuple(row[name] for name in names): row for row in own() if row["breakdown"] == "total"}


class Survival(unittest.TestCase):
    def test_each_point_is_the_share_that_still_ran(self):
        spells: dict[tuple[str, str], dict[str, dict]] = {}
        for row in own():
            if row["indicator"] == "local_survival_spells":
                spells.setdefault((row["benefit"], row["period"]), {})[row["breakdown_value"]] = row
        wanted = {}
        for (benefit, period), of in spells.items():
            quarter = f"{period[:5]}Q{(int(period[5:]) + 2) // 3}"
            self.assertEqual(int(period[5:]) % 3, 1, "the first month of a quarter")
            left = of["total"]["numerator"]
            for band, weeks in BANDS.items():
                if band not in of:
                    break
                ended = of[band]["numerator"]
                at_risk = left
                left = None if None in (left, ended) else left - ended
                share = None if not of["total"]["numerator"] or left is None else 100 * left / of["total"]["numerator"]
                wanted[benefit, quarter, weeks] = (of["total"]["numerator"], at_risk if left is not None else None, ended, share)
        found = {}
        for row in published.rows("survival_curves"):
            found[row["benefit"], row["quarter"], row["weeks"]] = tuple(row[n] for n in ("started", "at_risk", "ended", "survival"))
            self.assertEqual(row["status"] in published.VISIBLE, row["survival"] is not None, row)
        self.assertEqual(found.keys(), wanted.keys())
        self.assertGreater(sum(one[3] is not None for one in found.values()), 20)
        for key, (*counts, share) in wanted.items():
            self.assertEqual(found[key][:3], tuple(counts), key)
            if share is None:
                self.assertIsNone(found[key][3])
            else:
                self.assertAlmostEqual(found[key][3], share, 9)

    def test_bands_and_next_benefits_are_partitions(self):
        sums: dict[tuple, list] = {}
        for row in own():
            if row["indicator"] in ("local_ended_spells", "local_survival_spells") and row["breakdown"] != "total":
                key = tuple(row[n] for n in ("indicator", "area_kind", "area", "benefit", "period"))
                sums.setdefault((*key, row["breakdown"]), []).append(row["numerator"])
        compared = 0
        for (*key, breakdown), parts in sums.items():
            total = totals()[tuple(key)]["numerator"]
            if None not in parts and total is not None:
                compared += 1
                self.assertEqual(sum(parts), total, (key, breakdown))
        self.assertGreater(compared, 100)


class Schools(unittest.TestCase):
    def test_each_round_is_that_of_its_months_beside_the_goal(self):
        (goal,) = (int(row["pass_percent"]) for row in fixtures.reference("language_goals"))
        as_of = datetime.date.fromisoformat(published.epoch()["as_of"])
        wanted = {}
        cells = {(row["indicator"], row["breakdown_value"], row["period"]): row for row in own() if "school" in row["indicator"]}
        for (indicator, school, period), tests in cells.items():
            if indicator != "local_school_tests":
                continue
            year, month = period.split("-")
            self.assertIn(month, ("01", "07"), "the first month of a round")
            rate = cells["local_school_pass_rate", school, period]
            last = datetime.date(int(year), 6, 30) if month == "01" else datetime.date(int(year), 12, 31)
            running = last + datetime.timedelta(31) >= as_of
            status = "hidden" if "hidden" in (tests["status"], rate["status"]) else rate["status"]
            status = "provisional" if status == "final" and running else status
            share = rate["value"]
            wanted[school, f"{year}-H{1 if month == '01' else 2}"] = (
                tests["numerator"], rate["numerator"], share, goal, None if share is None else share - goal,
                None if share is None else share >= goal, status,
            )
        columns = ("tests", "passed", "pass_rate", "goal", "above_goal", "is_reached", "status")
        found = {(row["school"], row["round"]): tuple(row[n] for n in columns) for row in published.rows("school_rounds")}
        self.assertEqual(found, wanted)
        self.assertGreater(sum(one[2] is not None for one in found.values()), 1, "some are shown")

    def test_rounds_are_their_months(self):
        months: dict[str, list] = {}
        for row in own():
            if row["indicator"] == "local_danish_tests" and row["area_kind"] == "country":
                year, month = row["period"].split("-")
                months.setdefault(f"{year}-{'01' if int(month) < 7 else '07'}", []).append(row["numerator"])
        compared = 0
        for row in own():
            if row["indicator"] == "local_school_tests" and row["breakdown"] == "total" and row["numerator"] is not None:
                parts = months[row["period"]]
                shown = sum(part or 0 for part in parts)
                compared += 1
                # A hidden month has a test at least.
                self.assertLessEqual(shown + parts.count(None), row["numerator"], row["period"])
                if None not in parts:
                    self.assertEqual(shown, row["numerator"], row["period"])
        self.assertGreater(compared, 1)


class Targets(unittest.TestCase):
    def test_each_row_is_what_the_path_says(self):
        rows = published.rows("local_targets")
        self.assertTrue(rows)
        targets = {
            tuple(row[n] for n in ("area_kind", "area", "indicator", "benefit")): row for row in fixtures.reference("local_targets")
        }
        newest: dict[tuple, str] = {}
        for row in rows:
            key = tuple(row[n] for n in ("area_kind", "area", "indicator", "benefit"))
            target = targets[key]
            value = totals()[(key[2], key[0], key[1], key[3], row["period"])]
            self.assertEqual((row["value"], row["status"]), (value["value"], value["status"]))
            year, month = map(int, row["period"].split("-"))
            last = datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)
            begun, due = (datetime.date.fromisoformat(target[n]) for n in ("zero_date", "target_date"))
            zero, goal = float(target["zero_value"]), float(target["target_value"])
            expected = zero + (goal - zero) * min((last - begun).days / (due - begun).days, 1)
            self.assertAlmostEqual(row["expected"], expected, 9)
            newest[key] = max(newest.get(key, ""), row["period"])
            if row["value"] is None:
                self.assertEqual((row["deviation"], row["realised_ratio"], row["state"]), (None, None, "not_known"))
                continue
            self.assertAlmostEqual(row["deviation"], row["value"] - expected, 9)
            if goal == zero:
                self.assertIsNone(row["realised_ratio"])
            else:
                self.assertAlmostEqual(row["realised_ratio"], (row["value"] - zero) / (goal - zero), 9)
            sign = 1 if target["direction"] == "up" else -1
            state = "reached" if sign * (row["value"] - goal) >= 0 else "on_path" if sign * (row["value"] - expected) >= 0 else "behind"
            self.assertEqual(row["state"], state if row["status"] == "final" else row["status"])
        for row in rows:
            key = tuple(row[n] for n in ("area_kind", "area", "indicator", "benefit"))
            self.assertEqual(row["newest"], row["period"] == newest[key])


class BesideOfficial(unittest.TestCase):
    def test_each_row_is_both_figures_and_what_was_revised(self):
        pairs = {(row["indicator"], row["benefit"]): row for row in fixtures.reference("official_pairs")}
        names = ("indicator", "area_kind", "area", "benefit", "period")
        official = {tuple(r[n] for n in names): r for r in published.rows("indicators") if r["breakdown"] == "total"}
        first: dict[tuple, dict] = {}
        for row in published.rows("vintages"):
            key = tuple(row[n] for n in names)
            if row["breakdown"] == "total" and (key not in first or row["known_at"] < first[key]["known_at"]):
                first[key] = row
        wanted = {key for key in totals() if (key[0], key[3]) in pairs}
        rows = {tuple(row[n] for n in names): row for row in published.rows("beside_official")}
        self.assertEqual(rows.keys(), wanted)
        revised = 0
        for key, row in rows.items():
            pair, mine = pairs[key[0], key[3]], totals()[key]
            there = (pair["official"], *key[1:3], pair["official_benefit"], key[4])
            other = official.get(there)
            self.assertEqual((row["value"], row["status"], row["definition"]), (mine["value"], mine["status"], pair["difference"]))
            if other is None:
                self.assertEqual((row["official_value"], row["because"]), (None, "official_not_published"))
                continue
            self.assertEqual((row["official_value"], row["official_status"]), (other["value"], other["status"]))
            before = first[there]
            if other["known_at"] > before["known_at"] and None not in (other["value"], before["value"]):
                revised += row["revised"] != 0
                self.assertAlmostEqual(row["revised"], other["value"] - before["value"], 9)
            else:
                self.assertIsNone(row["revised"])
            if None in (mine["value"], other["value"]):
                self.assertEqual((row["difference"], row["because"]), (None, "not_comparable"))
            else:
                self.assertAlmostEqual(row["difference"], mine["value"] - other["value"], 9)
        self.assertGreater(revised, 20)


class FewOfTheOthers(unittest.TestCase):
    """Who is not among the counted is somebody, too: one to four of them are not to be told by a subtraction."""

    def test_a_part_is_hidden_if_the_rest_is_few(self):
        compared, harm = 0, []
        for key, part in totals().items():
            if key[0] in PARTS and part["value"] is not None:
                whole = totals().get((PARTS[key[0]], *key[1:]))
                if whole is not None and whole["value"] is not None:
                    compared += 1
                    if 0 < whole["numerator"] - part["numerator"] < published.SMALLEST_PUBLISHED:
                        harm.append(key)
        self.assertGreater(compared, 100)
        self.assertEqual(harm, [])

    def test_a_share_is_hidden_if_the_rest_is_few(self):
        compared, harm = 0, []
        shares = itertools.chain(
            (f"local_employed_after_{n}" for n in ("1", "3", "6", "12", "3_long")),
            ("local_relapse_26", "local_relapse_52", "local_contacts_in_time", "local_danish_pass_rate"),
        )
        names = set(shares)
        for key, row in totals().items():
            if key[0] in names and row["value"] is not None:
                compared += 1
                if 0 < row["denominator"] - row["numerator"] < published.SMALLEST_PUBLISHED:
                    harm.append(key)
        self.assertGreater(compared, 100)
        self.assertEqual(harm, [])


if __name__ == "__main__":
    unittest.main()
