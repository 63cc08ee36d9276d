"""Goal: every cell of the scorecard is what its definition says.

Method: the published figures of persons and the labour force are read, and KL's scorecard is made of them again in plain
Python, one cell at a time; the shipped SQL is not read. The labour force itself is made again from the official figures.
Cells that the scorecard leaves empty must be those that cannot be known.
"""

from __future__ import annotations

import collections
import datetime
import statistics
import unittest

import fixtures
import published

RESULTS = {
    "more": "local_full_time_persons",
    "faster": "local_mean_running_weeks",
    "staying": "local_employed_after_3",
    "staying_6": "local_employed_after_6",
    "staying_12": "local_employed_after_12",
}


def month_of(period: str) -> int:
    year, month = period.split("-")
    return int(year) * 12 + int(month) - 1


def figures() -> dict[str, dict[tuple[str, str, str, int], dict]]:
    """Indicator -> (area kind, area, benefit, month) -> row."""
    out: dict[str, dict[tuple[str, str, str, int], dict]] = collections.defaultdict(dict)
    for row in published.rows("local_indicators"):
        if row["breakdown"] == "total":
            key = (row["area_kind"], row["area"], row["benefit"], month_of(row["period"]))
            out[row["indicator"]][key] = row
    return out


def labour_forces() -> dict[tuple[str, str], int]:
    """(area kind, area) -> labour force, from the published count and rate of the newest twelve months."""
    series: dict[tuple[str, str], dict[str, list]] = collections.defaultdict(lambda: collections.defaultdict(lambda: [None, None]))
    for row in published.rows("indicators"):
        names = ("full_time_unemployed", "full_time_unemployed_rate")
        if row["indicator"] in names and row["benefit"] == "total" and row["breakdown"] == "total":
            series[row["area_kind"], row["area"]][row["period"]][names.index(row["indicator"])] = row["value"]
    implied = {}
    for key, periods in series.items():
        if key[0] in ("municipality", "country"):
            known = sorted((p for p, (count, rate) in periods.items() if count is not None and rate), reverse=True)[:12]
            if known:
                counts, rates = (sum(periods[p][i] for p in known) for i in (0, 1))
                implied[key] = round(counts * 100 / rates)
    today = [row for row in fixtures.reference("areas") if not row["valid_to"]]
    members = collections.defaultdict(list)
    for row in today:
        for kind in ("jobcentre", "cluster", "region"):
            members[kind, row[kind]].append(implied.get(("municipality", row["municipality"])))
    return implied | {key: sum(parts) for key, parts in members.items() if None not in parts}


def development(result: str, now: float | None, before: float | None) -> float | None:
    if now is None or before is None:
        return None
    if result.startswith("staying"):
        return now - before
    return (now / before - 1) * 100 if before > 0 else None


def arrow(result: str, now: float | None, before: float | None) -> int | None:
    if now is None or before is None:
        return None
    is_share = result.startswith("staying")
    if now == before or abs(now - before) < (1 if is_share else before / 100):
        return 0
    return 1 if (now > before) == is_share else -1


def thirds(result: str, levels: dict[str, float | None]) -> dict[str, int | None]:
    known = [level for level in levels.values() if level is not None]
    is_better = (lambda a, b: a > b) if result.startswith("staying") else (lambda a, b: a < b)
    return {
        area: None if level is None or len(known) < 3 else 1 + 3 * sum(is_better(o, level) for o in known) // len(known)
        for area, level in levels.items()
    }


class Scorecard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.figures = figures()
        cls.forces = labour_forces()
        cls.clusters = {row["jobcentre"]: row["cluster"] for row in fixtures.reference("areas") if not row["valid_to"]}
        cls.rows = published.rows("scorecard")

    def value(self, indicator: str, kind: str, area: str, benefit: str, month: int) -> float | None:
        row = self.figures[indicator].get((kind, area, benefit, month))
        return None if row is None else row["value"]

    def net_yearly_cost(self, benefit: str, month: int) -> float | None:
        net, persons = 0.0, 0.0
        for at in range(month - 11, month + 1):
            paid, refund, full_time = (
                self.value(name, "country", fixtures.COUNTRY, benefit, at)
                for name in ("local_benefits_paid", "local_refund_expected", "local_full_time_persons")
            )
            if None in (paid, refund, full_time):
                return None
            net, persons = net + paid - refund, persons + full_time
        return net * 12 / persons if persons > 0 else None

    def level(self, result: str, kind: str, area: str, benefit: str, month: int) -> float | None:
        value = self.value(RESULTS[result], kind, area, benefit, month)
        if result != "more" or value is None:
            return value
        force = self.forces.get((kind, area))
        return None if force is None else value * 100 / force

    def excess(self, area: str, benefit: str, month: int) -> float | None:
        """Full-time persons above the level of the cluster."""
        own = self.level("more", "jobcentre", area, benefit, month)
        cluster = self.level("more", "cluster", self.clusters[area], benefit, month)
        return None if None in (own, cluster) else max(own - cluster, 0) / 100 * self.forces["jobcentre", area]

    def potential(self, area: str, benefit: str, month: int, price_of: int) -> float | None:
        excess, price = self.excess(area, benefit, month), self.net_yearly_cost(benefit, price_of)
        return None if None in (excess, price) else excess * price / 1e6

    def same(self, row: dict, column: str, wanted: float | None) -> bool:
        """Whether a cell is what was wanted; notes it if not."""
        found = row[column]
        if found is None or wanted is None:
            is_same = found is None and wanted is None
        else:
            is_same = abs(found - wanted) <= 1e-6 * max(1.0, abs(wanted))
        self.compared[column] += found is not None
        if not is_same:
            self.wrong.append((row["jobcentre"], row["benefit"], row["period"], column, found, wanted))
        return is_same

    def test_every_cell_is_what_plain_python_makes_of_the_published_figures(self):
        self.compared, self.wrong = collections.Counter(), []
        members = collections.defaultdict(list)
        for area, cluster in self.clusters.items():
            members[cluster].append(area)
        for row in self.rows:
            area, benefit, month = row["jobcentre"], row["benefit"], month_of(row["period"])
            cluster = self.clusters[area]
            self.assertEqual(row["cluster"], cluster)
            for result in ("more", "faster", "staying"):
                indicator = RESULTS[result]
                own, before = (self.value(indicator, "jobcentre", area, benefit, at) for at in (month, month - 12))
                now, last = (self.value(indicator, "cluster", cluster, benefit, at) for at in (month, month - 12))
                levels = {
                    other: self.level(result, "jobcentre", other, benefit, month) for other in members[cluster]
                }
                self.compare(row, result, own, before, levels)
                if self.has(indicator, area, benefit, month):
                    mean = self.level(result, "cluster", cluster, benefit, month)
                    self.same(row, f"{result}_cluster_mean", mean)
                    self.same(row, f"{result}_cluster_development", development(result, now, last))
                else:
                    self.same(row, f"{result}_cluster_mean", None)
            self.same(row, "more_share", self.level("more", "jobcentre", area, benefit, month))
            for months in (6, 12):
                name = f"staying_{months}"
                self.same(row, f"{name}_own", self.value(RESULTS[name], "jobcentre", area, benefit, month))
            if self.has(RESULTS["more"], area, benefit, month):
                levels = {other: self.potential(other, benefit, month, month) for other in members[cluster]}
                own, before = levels[area], self.potential(area, benefit, month - 12, month)
                self.compare(row, "potential", own, before, levels)
                known = [level for level in levels.values() if level is not None]
                self.same(row, "potential_cluster_mean", statistics.fmean(known) if known else None)
        self.assertEqual(self.wrong[:10], [], f"{len(self.wrong)} cells of {sum(self.compared.values())} differ")
        # Of a small simulated country only the large jobcentres show what becomes of people.
        columns = ("more_own", "more_development", "more_tercile", "faster_own", "faster_arrow", "potential_own", "potential_arrow")
        for column, least in {**dict.fromkeys(columns, 50), "staying_own": 20}.items():
            self.assertGreater(self.compared[column], least, column)

    def has(self, indicator: str, area: str, benefit: str, month: int) -> bool:
        return ("jobcentre", area, benefit, month) in self.figures[indicator]

    def compare(self, row: dict, result: str, own: float | None, before: float | None, levels: dict[str, float | None]):
        area = row["jobcentre"]
        self.same(row, f"{result}_own", own)
        if not self.has(RESULTS.get(result, RESULTS["more"]), area, row["benefit"], month_of(row["period"])):
            return
        self.same(row, f"{result}_last_year", before)
        self.same(row, f"{result}_development", development(result, own, before))
        self.same(row, f"{result}_arrow", arrow(result, own, before))
        known = [level for level in levels.values() if level is not None]
        best, worst = (max, min) if result.startswith("staying") else (min, max)
        self.same(row, f"{result}_cluster_best", best(known) if known else None)
        self.same(row, f"{result}_cluster_worst", worst(known) if known else None)
        self.same(row, f"{result}_tercile", thirds(result, levels)[area])

    def test_a_month_that_still_runs_is_not_compared(self):
        tomorrow = datetime.date.fromisoformat(published.epoch()["as_of"]) + datetime.timedelta(1)
        running = f"{tomorrow:%Y-%m}"
        self.assertIn(running, {row["period"] for row in published.rows("local_indicators")})
        self.assertLess(max(row["period"] for row in self.rows), running)

    def test_the_labour_force_is_what_the_published_rate_implies(self):
        rows = {(row["area_kind"], row["area"]): row["labour_force"] for row in published.rows("labour_force")}
        self.assertEqual(rows, self.forces)
        self.assertGreater(len(rows), 150)
        # Denmark's labour force of 16 to 66 years is about three million.
        self.assertTrue(2_700_000 < rows["country", fixtures.COUNTRY] < 3_300_000, rows["country", fixtures.COUNTRY])

    def test_hidden_figures_leave_no_trace(self):
        hidden = 0
        for row in self.rows:
            key = ("jobcentre", row["jobcentre"], row["benefit"], month_of(row["period"]))
            for result, indicator in list(RESULTS.items())[:3]:
                figure = self.figures[indicator].get(key)
                if figure is not None and figure["status"] == "hidden":
                    hidden += 1
                    for column in ("own", "development", "arrow", "tercile"):
                        self.assertIsNone(row[f"{result}_{column}"], (row["jobcentre"], column))
                    if result == "more":
                        self.assertIsNone(row["more_share"])
                        self.assertIsNone(row["potential_own"])
        self.assertGreater(hidden, 0)


if __name__ == "__main__":
    unittest.main()
