"""Goal: which jobcentres are told to lie apart from the country, and what incomplete values are expected to become, is what the
definitions say.

Method: plain Python over the published `local_indicators`; the binomial tail is the continued fraction of the incomplete beta
function, and at whole numbers it is compared with the sum. No line of SQL or Rust is shared.
"""

from __future__ import annotations

import datetime
import math
import statistics
import unittest

import fixtures
import published

KEY = ("area_kind", "area", "indicator", "benefit")


def month(period: str) -> int:
    return int(period[:4]) * 12 + int(period[5:]) - 1


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function by Lentz's continued fraction."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_share(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    f, c, d = 1.0, 1.0, 0.0
    for step in range(2000):
        m = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / (1.0 + numerator * d)
        c = 1.0 + numerator / c
        f *= c * d
        if abs(1.0 - c * d) < 1e-14:
            break
    return front * (f - 1.0)


def at_least(x: float, n: float, p: float) -> float:
    return 1.0 if x <= 0 else 0.0 if x >= n + 1 else beta_share(x, n - x + 1, p)


def at_most(x: float, n: float, p: float) -> float:
    return at_least(n - x, n, 1.0 - p)


class Tails(unittest.TestCase):
    def test_the_continued_fraction_is_the_sum(self):
        for n, p in ((7, 0.3), (150, 0.4), (400, 0.02)):
            for k in (1, n // 2, n):
                summed = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
                self.assertAlmostEqual(at_least(k, n, p), summed, 9, (k, n, p))
                self.assertAlmostEqual(at_least(k, n, p) + at_most(k - 1, n, p), 1.0, 9)


def pooled() -> tuple[dict, dict]:
    """Numerator, denominator, first and last month of the newest three complete months, of jobcentres and of the country."""
    rows = [
        row
        for row in published.rows("local_indicators")
        if row["breakdown"] == "total" and row["unit"] == "percent" and row["status"] == "final" and row["denominator"]
    ]
    newest: dict[tuple, int] = {}
    for row in rows:
        if row["area_kind"] == "country":
            of = (row["indicator"], row["benefit"])
            newest[of] = max(newest.get(of, 0), month(row["period"]))
    sums: dict[tuple, list] = {}
    for row in rows:
        of = (row["indicator"], row["benefit"])
        if row["area_kind"] in ("jobcentre", "country") and of in newest and newest[of] - 2 <= month(row["period"]) <= newest[of]:
            sums.setdefault((*of, row["area_kind"], row["area"]), []).append((row["period"], row["numerator"], row["denominator"]))
    whole = {
        key: (sum(n for _, n, _ in three), sum(d for _, _, d in three), min(three)[0], max(three)[0])
        for key, three in sums.items()
        if len(three) == 3
    }
    country = {key[:2]: counts for key, counts in whole.items() if key[2] == "country"}
    return {key: counts for key, counts in whole.items() if key[2] == "jobcentre"}, country


class Funnels(unittest.TestCase):
    def test_every_row_again(self):
        areas, country = pooled()
        wanted: dict[tuple, dict] = {}
        for of, (numerator, denominator, *_) in country.items():
            p = numerator / denominator
            if not 0 < p < 1:
                continue
            group = {key: counts for key, counts in areas.items() if key[:2] == of}
            z = {key: (n / d - p) / math.sqrt(p * (1 - p) / d) for key, (n, d, *_) in group.items()}
            ordered = sorted(z.values())
            size = len(ordered)
            dispersion = None
            if size >= 10:
                low = next(v for place, v in enumerate(ordered, 1) if place * 10 > size)
                high = max(v for place, v in enumerate(ordered, 1) if place * 10 <= size * 9)
                dispersion = max(statistics.fmean(min(max(v, low), high) ** 2 for v in ordered), 1.0)
            for key, (n, d, first, last) in group.items():
                tail = None
                if dispersion is not None:
                    tails = (at_least(n / dispersion, d / dispersion, p), at_most(n / dispersion, d / dispersion, p))
                    tail = min(2 * min(tails), 1.0)
                wanted[key] = {"counts": (n, d, first, last), "z": z[key], "dispersion": dispersion, "p": tail, "country": p}
        known = sorted(row["p"] for row in wanted.values() if row["p"] is not None)
        cut = max((p for place, p in enumerate(known, 1) if p * len(known) <= 0.05 * place), default=-1.0)

        found = {tuple(row[n] for n in ("indicator", "benefit", "area_kind", "area")): row for row in published.rows("funnels")}
        self.assertEqual(found.keys(), wanted.keys())
        self.assertGreater(len([row for row in wanted.values() if row["p"] is not None]), 100)
        for key, row in found.items():
            of = wanted[key]
            counts = tuple(row[n] for n in ("numerator", "denominator", "period_first", "period_last"))
            self.assertEqual(counts, of["counts"], key)
            self.assertAlmostEqual(row["value"], 100 * counts[0] / counts[1], 9)
            self.assertAlmostEqual(row["country_value"], 100 * of["country"], 9)
            if of["p"] is None:
                self.assertEqual((row["p_value"], row["dispersion"], row["state"]), (None, None, "insufficient"), key)
                continue
            self.assertAlmostEqual(row["dispersion"], of["dispersion"], 4, key)
            self.assertAlmostEqual(row["p_value"], of["p"], 4, key)
            state = "within" if of["p"] > cut else "above" if of["z"] > 0 else "below"
            if abs(of["p"] - cut) > 1e-4:
                self.assertEqual(row["state"], state, key)
            # The limits cut off a fortieth on either side.
            n = counts[1] / of["dispersion"]
            for limit, share in (("lower_limit", 0.025), ("upper_limit", 0.975)):
                x = row[limit] / 100 * n
                if 0 < x < n:
                    self.assertAlmostEqual(1 - at_least(x, n, of["country"]), share, 3, (key, limit))


def received() -> dict[tuple, float]:
    """Share of the expected records that has come, by kind of area, area and period."""
    official = {row["source"] for row in fixtures.reference("sources")}
    sums: dict[tuple, list] = {}
    for row in published.rows("completeness"):
        if row["source"] in official or row["source"].startswith("income-"):
            continue
        day = datetime.date.fromisoformat(row["period"] + "-28")
        expected = max(row["expected"], 1)
        missing = max(expected - row["received"], 0) if row["state"] == "incomplete" else 0
        within = [("municipality", row["area"]), ("country", "0000")]
        for area in fixtures.reference("areas"):
            since, until = area["valid_from"], area["valid_to"] or "9999-12-31"
            if area["municipality"] == row["area"] and since <= day.isoformat() <= until:
                within += [(kind, area[kind]) for kind in ("jobcentre", "cluster", "region")]
        for kind, area in within:
            of = sums.setdefault((kind, area, row["period"]), [0, 0])
            of[0] += missing
            of[1] += expected
    return {key: 1 - missing / expected for key, (missing, expected) in sums.items()}


class Nowcasts(unittest.TestCase):
    def test_every_row_again(self):
        rows = [row for row in published.rows("local_indicators") if row["breakdown"] == "total" and row["value"] is not None]
        series: dict[tuple, dict[int, dict]] = {}
        for row in rows:
            series.setdefault(tuple(row[n] for n in KEY), {})[month(row["period"])] = row
        shares = received()
        wanted = {}
        for key, months in series.items():
            for at, row in months.items():
                before = [months[m] for m in range(at - 12, at) if m in months and months[m]["status"] == "final"]
                if row["status"] != "incomplete" or len(before) < 6:
                    continue
                missing = 1 - shares[row["area_kind"], row["area"], row["period"]]
                values = [one["value"] for one in before]
                usual, low, high = statistics.median(values), min(values), max(values)
                if row["unit"] in ("percent", "weeks"):
                    weight = missing * statistics.median(one["denominator"] for one in before)
                    mixed = [(row["denominator"] * row["value"] + weight * v) / (row["denominator"] + weight) for v in (usual, low, high)]
                    of = (mixed[0], min(row["value"], mixed[1]), max(row["value"], mixed[2]))
                else:
                    of = (min(row["value"] + missing * usual, max(row["value"], high)), row["value"], row["value"] + missing * high)
                wanted[*key, row["period"]] = of
        found = {
            tuple(row[n] for n in (*KEY, "period")): tuple(row[n] for n in ("nowcast", "nowcast_low", "nowcast_high"))
            for row in published.rows("nowcasts")
        }
        self.assertEqual(found.keys(), wanted.keys())
        self.assertGreater(len(wanted), 10, "the demo's data has incomplete months")
        for key, values in wanted.items():
            for mine, theirs in zip(values, found[key], strict=True):
                self.assertAlmostEqual(mine, theirs, 6, key)
            self.assertTrue(found[key][1] <= found[key][0] + 1e-9 and found[key][0] <= found[key][2] + 1e-9, key)


if __name__ == "__main__":
    unittest.main()
