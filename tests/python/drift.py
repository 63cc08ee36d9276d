"""Drift, computed once more in plain loops: season, dispersion, path, tails, false discoveries and states.

Works over the rows of a table of values and over targets, as the decision page on drift says. The tails of the Poisson distribution come
from the incomplete gamma function's series and continued fraction, those of the binomial one from `test_funnels`; not from the library
that the pipeline uses.
"""

from __future__ import annotations

import datetime
import math
import statistics
import unittest

from test_funnels import at_least as binomial_at_least
from test_funnels import at_most as binomial_at_most

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
    """One area's values of one indicator and benefit; `out_of` is what a percentage is of, and 1 for a count."""

    def __init__(self, rows: list[dict]):
        self.is_share = any(row["unit"] == "percent" for row in rows)
        judged = [row for row in rows if (row["denominator"] and row["value"] is not None if self.is_share else row["value"] and row["value"] > 0)]
        self.rows = {month(row["period"]): row for row in judged}
        self.out_of = {m: row["denominator"] if self.is_share else 1 for m, row in self.rows.items()}
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
            if mean > 0:
                ratios.setdefault(m % 12, []).append(self.final[m] / mean)
        if len(ratios) < 12 or min(map(len, ratios.values())) < 2:
            return {}, 0
        means = {k: statistics.fmean(v) for k, v in ratios.items()}
        if min(means.values()) <= 0:
            return {}, 0
        return {k: 12 * v / sum(means.values()) for k, v in means.items()}, min(map(len, ratios.values()))

    def chance(self, mean: float, out_of: float) -> float:
        """The variance that chance alone gives a value."""
        return mean * (100.0 - mean) / out_of if self.is_share else mean

    def jump(self, m: int) -> float | None:
        three = [self.adjusted.get(m - k) for k in range(3)]
        if None in three or m not in self.final:
            return None
        mean = statistics.fmean(three)
        chance = sum(times * self.chance(mean, self.out_of[m - k]) for k, times in enumerate((1, 4, 1)))
        return (three[0] - 2 * three[1] + three[2]) ** 2 / chance if chance > 0 else None

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

    def p_value(self, target: dict[str, str], period: str) -> float | None:
        zero_date = datetime.date.fromisoformat(target["zero_date"])
        target_date = datetime.date.fromisoformat(target["target_date"])
        zero = zero_date.year * 12 + zero_date.month - 1
        change = float(target["target_value"]) / float(target["zero_value"]) - 1
        dispersion, stood = self.dispersion(), self.underlying(zero)
        m = month(period)
        if dispersion is None or stood is None or m <= zero or m not in self.adjusted:
            return None
        levels, expected, weights = [], [], []
        for k in range(max(zero + 1, m - 2), m + 1):
            row = self.rows.get(k)
            if row is None or row["status"] == "incomplete":
                continue
            way = (last_day(f"{k // 12}-{k % 12 + 1:02}") - zero_date).days / (target_date - zero_date).days
            levels.append(self.adjusted[k])
            expected.append(stood * (1 + change * way))
            weights.append(self.out_of[k])
        if self.rows[m]["status"] == "incomplete":
            return None
        errs = (self.years + 1) / self.years if self.years else 1.0
        year_out_of = statistics.fmean(self.out_of[zero - k] for k in range(12))
        spread = dispersion * errs * (1 / sum(weights) + 46 / 156 / year_out_of)
        level, mean = statistics.fmean(levels, weights), statistics.fmean(expected, weights)
        if self.is_share:
            trials = 1 / spread
            least = 0.5 / (trials + 1)
            share = min(max(min(mean, 100.0) / 100, least), 1 - least)
            tail = binomial_at_least if target["direction"] == "down" else binomial_at_most
            return tail(level / 100 * trials, trials, share)
        x, mean = level / spread, mean / spread
        return at_least(x, mean) if target["direction"] == "down" else 1.0 - at_least(x + 1, mean)


class Tables(unittest.TestCase):
    """Compares tables of seasons, of adjusted values and of targets with what is computed here. Not a test by itself."""

    def assertClose(self, found: float | None, expected: float | None, what: object, tolerance: float = 1e-6):
        if expected is None or found is None:
            self.assertEqual(found, expected, what)
        else:
            self.assertTrue(math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-9), f"{found} {expected} {what}")

    def compare_seasons(self, series: dict[tuple, Series], rows: list[dict]) -> int:
        found = {(*(row[k] for k in SERIES), row["month_of_year"]): row["factor"] for row in rows}
        expected = {(*key, m + 1): f for key, one in series.items() for m, f in one.seasons.items()}
        self.assertEqual(set(found), set(expected))
        for key, factor in expected.items():
            self.assertClose(found[key], factor, key, 1e-5)
        return len(found)

    def compare_adjusted(self, series: dict[tuple, Series], rows: list[dict]) -> int:
        for row in rows:
            one = series[tuple(row[k] for k in SERIES)]
            m = month(row["period"])
            self.assertClose(row["adjusted"], one.adjusted[m], row, 1e-5)
            self.assertClose(row["underlying"], one.underlying(m), row, 1e-5)
            if row["jump"] is None or row["jump"] > 1e-3:
                # Small jumps are differences of nearly equal numbers.
                self.assertClose(row["jump"], one.jump(m), row, 2e-2)
        return len(rows)

    def compare_states(self, series: dict[tuple, Series], targets: dict[tuple, dict], rows: list[dict]) -> list[tuple[tuple, str]]:
        """Every series' key with each state that was compared."""
        tails: dict[tuple, tuple] = {}
        for row in rows:
            key = tuple(row[k] for k in SERIES)
            one = series.get(key)
            p_value = one.p_value(targets[key], row["period"]) if one else None
            self.assertClose(row["p_value"], p_value, row, 1e-3)
            late = row["newest"] and row["state"] == "source_late"
            if p_value is not None and not late:
                tails[(*key, row["period"])] = (p_value, row["state"])
        off: dict[tuple, bool] = {}
        for period in {key[-1] for key in tails}:
            ordered = sorted((p, key) for key, (p, _) in tails.items() if key[-1] == period)
            passing = [p for rank, (p, _) in enumerate(ordered, 1) if p * len(ordered) <= 0.05 * rank]
            off.update({key: bool(passing) and p <= max(passing) for p, key in ordered})
        compared = []
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
                    compared.append((key, state))
        return compared


def all_series(rows: list[dict], targets: dict[tuple, dict]) -> dict[tuple, Series]:
    """The series that have a target, of the rows of a table of values."""
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        key = tuple(row[k] for k in SERIES)
        if key in targets and row["breakdown"] == "total":
            found.setdefault(key, []).append(row)
    return {key: Series(rows) for key, rows in found.items()}
