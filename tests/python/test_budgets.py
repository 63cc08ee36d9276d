"""Goal: budgets, rewards, base budgets and the refund watch are what their definitions say.

Method: the published figures of persons and the reference files are read, and every cell is made of them again in plain Python; the
shipped SQL is not read. What is made of a hidden figure must be empty.
"""

from __future__ import annotations

import calendar
import collections
import datetime
import fractions
import unittest

import fixtures
import published

KNOWN = {"final", "provisional"}
ORDER = ["final", "provisional", "incomplete", "hidden", "missing"]


def period(year: int, month: int) -> str:
    return f"{year}-{month:02}"


def last_day(text: str) -> str:
    year, month = map(int, text.split("-"))
    return f"{text}-{calendar.monthrange(year, month)[1]:02}"


def half_up(number: fractions.Fraction) -> int:
    return (number + fractions.Fraction(1, 2)).__floor__()


def figures() -> dict[tuple[str, str, str, str, str], dict]:
    """(indicator, area kind, area, benefit, period) -> row, undivided ones."""
    keys = ("indicator", "area_kind", "area", "benefit", "period")
    rows = published.rows("local_indicators")
    return {tuple(row[key] for key in keys): row for row in rows if row["breakdown"] == "total"}


class Budgets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.figures = figures()
        cls.months = sorted({key[4] for key in cls.figures})
        cls.as_of = published.epoch()["as_of"]

    def worst(self, rows: list[dict | None]) -> str:
        known = [row["status"] if row else "missing" for row in rows]
        return max(known, key=ORDER.index)

    def test_follow_up(self):
        services = {row["service"]: row for row in fixtures.reference("services")}
        budgets = {(r["area"], r["year"], r["service"]): r for r in fixtures.reference("budgets")}
        sums: dict[tuple[str, str, str], list[dict]] = collections.defaultdict(list)
        seen = collections.Counter()
        for row in sorted(published.rows("budget_follow_up"), key=lambda row: row["period"]):
            self.assertLessEqual(last_day(row["period"]), self.as_of)
            budget, actual = row["budget_oere"], row["actual_oere"]
            if budget is not None and actual is not None:
                self.assertEqual(actual - budget, row["activity_variance_oere"] + row["price_variance_oere"])
            before = sums[row["area"], row["service"], row["period"][:4]]
            before.append(row)
            for name in ("budget", "actual"):
                parts = [part[f"{name}_oere"] for part in before]
                whole = len(parts) == int(row["period"][5:]) and None not in parts
                self.assertEqual(row[f"{name}_to_date_oere"], sum(parts) if whole else None, row)
            if row["service"] == "total":
                continue
            service = services[row["service"]]
            plan = budgets[row["area"], row["period"][:4], row["service"]]
            place = (row["area_kind"], row["area"])
            clients = [
                self.figures.get(("local_full_time_persons", *place, benefit, row["period"]))
                for benefit in service["client_benefits"].split(" ")
            ]
            clients = [found for found in clients if found]
            activity = self.figures.get((service["indicator"], *place, service["indicator_benefit"], row["period"]))
            done = activity and activity[service["counted"]]
            price = [
                int(r["price_oere"])
                for r in fixtures.reference("unit_prices")
                if (r["area"], r["service"]) == (row["area"], row["service"])
                and r["valid_from"] <= last_day(row["period"]) <= (r["valid_to"] or "9999")
            ]
            self.assertEqual(len(price), 1)
            self.assertEqual(actual, None if done is None else half_up(fractions.Fraction(done) * price[0]), row)
            if plan["activity_per_month"]:
                units = fractions.Fraction(plan["activity_per_month"])
            elif not clients or None in [found["numerator"] for found in clients]:
                units = None
            else:
                days = int(last_day(row["period"])[8:])
                persons = fractions.Fraction(sum(found["numerator"] for found in clients), days)
                units = fractions.Fraction(half_up(persons * int(plan["activity_per_1000_clients"])), 1000)
            expected = None if units is None else half_up(units * int(plan["price_oere"]))
            self.assertEqual(budget, expected, row)
            seen["known" if None not in (budget, actual) else "unknown"] += 1
        self.assertGreater(seen["known"], 10, seen)

    def test_rewards(self):
        rules = {row["area"]: row for row in fixtures.reference("rewards")}

        def days(kind: str, area: str, benefits: list[str], at: str) -> int | None:
            found = [self.figures.get(("local_full_time_persons", kind, area, benefit, at)) for benefit in benefits]
            found = [row for row in found if row]
            if not found or self.worst(found) not in KNOWN:
                return None
            return sum(row["numerator"] for row in found)

        compared = 0
        for row in published.rows("rewards"):
            rule, (year, month) = rules[row["area"]], map(int, row["period"].split("-"))
            benefits, total = rule["benefits"].split(" "), [[0, 0], [0, 0]]
            whole, newest = True, []
            for back in (0, 1):
                for number in range(1, month + 1):
                    at = period(year - back, number)
                    own = days(row["area_kind"], row["area"], benefits, at)
                    rest = [days("region", region, benefits, at) for region in rule["rest_regions"].split(" ")]
                    if own is None or None in rest:
                        whole = False
                        continue
                    if number == month:
                        newest += [own, sum(rest) - own]
                    total[back][0] += own
                    total[back][1] += sum(rest) - own
            if len(newest) == 4:
                length = int(last_day(row["period"])[8:])
                self.assertAlmostEqual(row["own"], newest[0] / length)
                self.assertAlmostEqual(row["expected"], newest[2] * newest[1] / newest[3] / length)
                compared += 1
            if not whole:
                self.assertIsNone(row["bonus_oere"], row)
                continue
            length = 366 if calendar.isleap(year) else 365
            fewer = total[1][0] * fractions.Fraction(total[0][1], total[1][1]) - total[0][0]
            self.assertAlmostEqual(row["full_year_recipients"], float(fewer / length), places=6)
            bonus = max(fractions.Fraction(0), fewer / length * int(rule["amount_oere"]))
            self.assertLessEqual(abs(row["bonus_oere"] - bonus), 1, row)
        self.assertGreater(compared, 0)

    def test_base_budgets(self):
        seen = 0
        for row in published.rows("base_budgets"):
            support = 0
            for month in range(1, row["months"] + 1):
                at = period(int(row["year"]), month)
                paid = self.figures["local_benefits_paid", "municipality", row["area"], row["benefit"], at]
                self.assertIn(paid["status"], KNOWN, row)
                support += round(paid["value"] * 100)
            self.assertEqual(row["support_oere"], support, row)
            self.assertEqual(row["support_after_refund_oere"], support - row["refund_booked_oere"])
            parts = [row["support_after_refund_oere"], row["administration_oere"], row["activity_oere"]]
            self.assertEqual(row["net_oere"], None if None in parts else sum(parts), row)
            seen += 1
        self.assertGreater(seen, 100)

    def test_refund_watch(self):
        weeks: dict[tuple[str, str], dict[str, dict]] = collections.defaultdict(dict)
        for row in published.rows("local_indicators"):
            if row["breakdown"] == "week":
                monday = datetime.date.fromisoformat(row["breakdown_value"])
                self.assertEqual((monday.weekday(), row["period"]), (0, row["breakdown_value"][:7]))
                weeks[row["area"], row["breakdown_value"]][row["indicator"]] = row
        states = collections.Counter()
        shown = {(row["area"], row["week"].isoformat()): row for row in published.rows("refund_watch")}
        self.assertEqual(set(shown), set(weeks))
        for key, row in shown.items():
            expected = weeks[key]["local_weekly_refund_expected"]["numerator"]
            booked = weeks[key]["local_weekly_refund_booked"]["numerator"]
            self.assertEqual((row["expected_oere"], row["booked_oere"]), (expected, booked))
            if row["status"] == "hidden":
                self.assertEqual((expected, booked, row["difference_oere"]), (None, None, None))
            else:
                self.assertEqual(row["difference_oere"], expected - booked)
            self.assertGreaterEqual(row["weeks_old"], 0, "a running week is not shown")
            states[row["state"]] += 1
        self.assertGreater(len(states), 1, states)
        # The simulated systems book what the ladder promises: what is missed is the exception.
        self.assertGreater(states["settled"], 10 * states["overdue"], states)


if __name__ == "__main__":
    unittest.main()
