"""Drift, computed once more: season, dispersion, path, tails, false discoveries and states from the published values alone.

Goal: `seasons`, `adjusted` and `targets` are what the decision page on drift says. Method: plain loops over `comparisons` and the
reference targets; the tails of the Poisson distribution by adding up terms and by the incomplete gamma function's continued
fraction, not by the library that the pipeline uses.
"""

from __future__ import annotations

import datetime
import math
import statistics
import unittest

import fixtures
import published

SERIES = ("area_kind", "area", "indicator", "benefit")


def month(period: str) -> int:
    year, number = period.split("-")
    return int(year) * 12 + int(number) - 1


def last_day(period: str) -> datetime.date:
    year, number = divmod(month(period) + 1, 12)
    return datetime.date(year, number + 1, 1) - datetime.timedelta(days=1)


def gamma_below(a: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(a, x)."""
    if x <= 0:
        return 0.0
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:
        term = total = 1.0 / a
        n = a
        while abs(term) > abs(total) * 1e-16:
            n += 1
            term *= x / n
            total += term
        return total * scale
    # Lentz's continued fraction of Q(a, x).
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2
        d = 1 / ((an * d + b) or tiny)
        c = (b + an / c) or tiny
        h *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return 1.0 - scale * h


def at_least(x: float, mean: float) -> float:
    """P(N >= x) of a Poisson count."""
    return 1.0 if x <= 0 else gamma_below(x, mean)


class Series:
    """One area's values of one indicator and benefit."""

    def __init__(self, rows: list[dict]):
        self.rows = {month(row["period"]): row for row in rows if row["value"] and row["value"] > 0}
        self.final = {m: row["value"] for m, row in self.rows.items() if row["status"] == "final"}
        self.seasons, self.years = self._seasons()
        self.adjusted = {}
        for m, row in sorted(self.rows.items()):
            judged = row["value"] if row["settled_estimate"] is None else row["settled_estimate"]
            self.adjusted[m] = judged / self.seasons.get(m % 12, 1.0)

    def _seasons(self) -> tuple[dict[int, float], int]:
        ratios: dict[int, list[float]] = {}
        for m in self.final:
            around = [self.final.get(m + k) for k in range(-6, 7)]
            if None in around:
                continue
            mean = (sum(around[1:-1]) + (around[0] + around[-1]) / 2) / 12
            ratios.setdefault(m % 12, []).append(self.final[m] / mean)
        if len(ratios) < 12 or min(map(len, ratios.values())) < 2:
            return {}, 0
        means = {k: statistics.fmean(v) for k, v in ratios.items()}
        return {k: 12 * v / sum(means.values()) for k, v in means.items()}, min(map(len, ratios.values()))

    def jump(self, m: int) -> float | None:
        three = [self.adjusted.get(m - k) for k in range(3)]
        if None in three or m not in self.final:
            return None
        return (three[0] - 2 * three[1] + three[2]) ** 2 / 6 / statistics.fmean(three)

    def underlying(self, m: int) -> float | None:
        year = [self.adjusted.get(m - 11 + k) for k in range(12)]
        if None in year:
            return None
        slope, intercept = statistics.linear_regression(range(12), year)
        return intercept + slope * 11

    def dispersion(self) -> float | None:
        jumps = [jump for jump in map(self.jump, self.adjusted) if jump is not None]
        if len(jumps) < 12:
            return None
        learned = self.years / (self.years - 1) if self.years else 1.0
        return max(statistics.median(jumps) / 0.4549 * learned, 1.0)


def all_series() -> dict[tuple, Series]:
    wanted = {tuple(row[k] for k in SERIES) for row in fixtures.reference("targets")}
    rows: dict[tuple, list[dict]] = {}
    for row in published.rows("comparisons"):
        key = tuple(row[k] for k in SERIES)
        if key in wanted and row["breakdown"] == "total" and row["unit"] != "percent":
            rows.setdefault(key, []).append(row)
    return {key: Series(rows) for key, rows in rows.items()}


class Drift(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.series = all_series()

    def assertClose(self, found: float | None, expected: float | None, what: object, tolerance: float = 1e-6):
        if expected is None or found is None:
            self.assertEqual(found, expected, what)
        else:
            self.assertTrue(math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-9), f"{found} {expected} {what}")

    def test_seasons(self):
        found = {(*(row[k] for k in SERIES), row["month_of_year"]): row["factor"] for row in published.rows("seasons")}
        expected = {(*key, m + 1): f for key, series in self.series.items() for m, f in series.seasons.items()}
        self.assertEqual(set(found), set(expected))
        self.assertGreater(len(found), 12 * 50)
        for key, factor in expected.items():
            self.assertClose(found[key], factor, key, 1e-5)

    def test_adjusted(self):
        compared = 0
        for row in published.rows("adjusted"):
            series = self.series[tuple(row[k] for k in SERIES)]
            m = month(row["period"])
            self.assertClose(row["adjusted"], series.adjusted[m], row, 1e-5)
            self.assertClose(row["underlying"], series.underlying(m), row, 1e-5)
            if row["jump"] is None or row["jump"] > 1e-3:
                # Small jumps are differences of nearly equal numbers.
                self.assertClose(row["jump"], series.jump(m), row, 2e-2)
            compared += 1
        self.assertGreater(compared, 3_000)

    def test_states(self):
        targets = {tuple(row[k] for k in SERIES): row for row in fixtures.reference("targets")}
        tails: dict[tuple, tuple] = {}
        for row in published.rows("targets"):
            key = tuple(row[k] for k in SERIES)
            series = self.series.get(key)
            target = targets[key]
            p_value = self.p_value(series, target, row["period"]) if series else None
            self.assertClose(row["p_value"], p_value, row, 1e-3)
            late = row["newest"] and row["state"] == "source_late"
            if p_value is not None and not late:
                tails[(*key, row["period"])] = (p_value, row["state"])
        self.assertGreater(len(tails), 500)
        off: dict[tuple, bool] = {}
        for period in {key[-1] for key in tails}:
            ordered = sorted((p, key) for key, (p, _) in tails.items() if key[-1] == period)
            passing = [p for rank, (p, _) in enumerate(ordered, 1) if p * len(ordered) <= 0.05 * rank]
            off.update({key: bool(passing) and p <= max(passing) for p, key in ordered})
        states = set()
        for key in {key[:-1] for key in tails}:
            said, before = None, None
            for period in sorted(found[-1] for found in tails if found[:-1] == key):
                now = off[(*key, period)]
                said = now if now == before else said
                before = now
                state = {None: "insufficient", True: "drifting", False: "on_track"}[said]
                published_state = tails[(*key, period)][1]
                if published_state != "incomplete":
                    self.assertEqual(published_state, state, (*key, period))
                    states.add(state)
        self.assertIn("on_track", states)

    @staticmethod
    def p_value(series: Series, target: dict[str, str], period: str) -> float | None:
        zero_date = datetime.date.fromisoformat(target["zero_date"])
        target_date = datetime.date.fromisoformat(target["target_date"])
        zero = zero_date.year * 12 + zero_date.month - 1
        change = float(target["target_value"]) / float(target["zero_value"]) - 1
        dispersion, stood = series.dispersion(), series.underlying(zero)
        m = month(period)
        if dispersion is None or stood is None or m <= zero or m not in series.adjusted:
            return None
        levels, expected = [], []
        for k in range(max(zero + 1, m - 2), m + 1):
            row = series.rows.get(k)
            if row is None or row["status"] == "incomplete":
                continue
            way = (last_day(f"{k // 12}-{k % 12 + 1:02}") - zero_date).days / (target_date - zero_date).days
            levels.append(series.adjusted[k])
            expected.append(stood * (1 + change * way))
        if series.rows[m]["status"] == "incomplete":
            return None
        errs = (series.years + 1) / series.years if series.years else 1.0
        spread = dispersion * errs * (1 / len(levels) + 46 / 156)
        x, mean = statistics.fmean(levels) / spread, statistics.fmean(expected) / spread
        return at_least(x, mean) if target["direction"] == "down" else 1.0 - at_least(x + 1, mean)


if __name__ == "__main__":
    unittest.main()
