"""Goal: the reference files are whole, so that no model has to doubt them.

Method: the standard library alone, and a YAML reader for the one tree; membership is checked on every day on which it changes, targets against
the recorded figures they were made from.
"""

from __future__ import annotations

import csv
import datetime
import re
import unittest
from decimal import ROUND_HALF_UP, Decimal

import fixtures
import yaml

HEADERS = {
    "areas": [
        "municipality", "name", "jobcentre", "jobcentre_name", "cluster", "cluster_name", "region", "region_name",
        "valid_from", "valid_to",
    ],
    "benefits": [
        "code", "number", "danish", "jobindsats_family", "gap_rule", "in_refund_ladder", "net_yearly_cost_oere",
        "valid_from", "valid_to",
    ],
    "benefit_costs": ["benefit", "administration_oere", "activity_oere", "valid_from", "valid_to", "note"],
    "budgets": [
        "area_kind", "area", "year", "service", "contract_unit", "base_clients", "activity_per_1000_clients",
        "activity_per_month", "price_oere", "note",
    ],
    "contract_goals": [
        "area_kind", "area", "year", "contract_unit", "perspective", "goal", "danish", "indicator", "benefit",
        "zero_value", "target_value", "direction", "note",
    ],
    "hardest_groups": ["indicator", "hardest", "hardest_benefit", "note"],
    "investments": [
        "investment", "danish", "area_kind", "area", "benefit", "scenario", "effort_months",
        "extra_activity_per_1000_clients", "price_oere", "effect_permille", "delay_months", "effect_months",
        "valid_from", "source",
    ],
    "language_goals": ["valid_from", "valid_to", "pass_percent", "note"],
    "local_targets": [
        "area_kind", "area", "indicator", "benefit", "zero_date", "zero_value", "target_date", "target_value",
        "direction", "owner", "note",
    ],
    "official_pairs": ["indicator", "benefit", "official", "official_benefit", "difference"],
    "rewards": [
        "area_kind", "area", "rest_regions", "benefits", "amount_oere", "valid_from", "valid_to", "note",
    ],
    "services": [
        "service", "danish", "indicator", "indicator_benefit", "counted", "activity_unit", "client_benefits", "note",
    ],
    "unit_prices": ["area_kind", "area", "service", "price_oere", "valid_from", "valid_to", "note"],
    "refund_ladder": ["valid_from", "valid_to", "first_day", "last_day", "percent"],
    "sources": [
        "source", "publisher", "table_id", "danish_title", "cadence", "official_lag_days", "tolerance_days",
        "replaced_lag",
    ],
    "targets": [
        "area_kind", "area", "indicator", "benefit", "zero_date", "zero_value", "target_date", "target_value",
        "direction", "owner", "note",
    ],
}  # fmt: skip
REGIONS = {
    "1081": "Nordjylland",
    "1082": "Midtjylland",
    "1083": "Syddanmark",
    "1084": "Hovedstaden",
    "1085": "Sjælland",
}
BENEFITS = {
    "unemployment", "cash", "education_help", "start_help", "sickness", "job_clarification", "rehabilitation",
    "pre_rehabilitation", "resource", "unemployment_flex", "flex_job", "early_pension", "early_retirement",
}  # fmt: skip
# Target indicator -> recorded table; the measure has the indicator's name.
TARGET_TABLES = {"full_time_unemployed": "y25i01", "long_term_unemployed": "y25i09"}
# The vintage that a target's zero point was read from: before the release of 2026-08-19.
ZERO_VINTAGE = 1


def day_after(date: str) -> str:
    return (datetime.date.fromisoformat(date) + datetime.timedelta(days=1)).isoformat()


class Files(unittest.TestCase):
    def test_the_folder_holds_what_is_described(self):
        found = {p.stem for p in fixtures.REFERENCE.glob("*.csv")}
        self.assertEqual(set(HEADERS), found)
        text = (fixtures.REFERENCE / "README.md").read_text(encoding="utf-8")
        for name in found:
            self.assertIn(f"## `{name}.csv`", text, "each file has its paragraph")
        self.assertIn("## `theory_of_change.yaml`", text)

    def test_form(self):
        for path in sorted(fixtures.REFERENCE.glob("*.csv")):
            with self.subTest(file=path.name):
                content = path.read_bytes()
                self.assertFalse(content.startswith(b"\xef\xbb\xbf"), "no byte order mark")
                self.assertNotIn(b"\r", content)
                self.assertTrue(content.endswith(b"\n"))
                rows = list(csv.reader(content.decode("utf-8").splitlines()))
                if path.stem in HEADERS:
                    self.assertEqual(rows[0], HEADERS[path.stem])
                self.assertEqual({len(row) for row in rows}, {len(rows[0])})
                self.assertEqual([v for row in rows for v in row if v != v.strip()], [])
                for name, column in zip(rows[0], zip(*rows[1:])):
                    if name in {"valid_from", "valid_to"} or name.endswith("_date"):
                        for value in filter(None, column):
                            datetime.date.fromisoformat(value)
                            self.assertEqual(len(value), 10)


class Areas(unittest.TestCase):
    def setUp(self):
        self.rows = fixtures.reference("areas")

    def test_codes_are_text_of_fixed_shape(self):
        for row in self.rows:
            self.assertRegex(row["municipality"], r"^0\d{3}$")
            self.assertRegex(row["jobcentre"], r"^0\d{3}$")
            self.assertIn(row["cluster"], {str(n) for n in range(1, 11)})
            self.assertEqual(REGIONS[row["region"]], row["region_name"])
        self.assertEqual({row["region"] for row in self.rows}, set(REGIONS))
        self.assertEqual(len({row["cluster"] for row in self.rows}), 10)

    def test_98_municipalities_without_gap_or_overlap(self):
        spans: dict[str, list[tuple[str, str]]] = {}
        for row in self.rows:
            spans.setdefault(row["municipality"], []).append((row["valid_from"], row["valid_to"]))
        self.assertEqual(len(spans), 98)
        for municipality, dated in spans.items():
            with self.subTest(municipality=municipality):
                dated.sort()
                self.assertEqual(dated[0][0], "2007-01-01", "the municipal reform")
                self.assertEqual(dated[-1][1], "", "open at the end")
                for (begin, end), (following, _) in zip(dated, dated[1:]):
                    self.assertLessEqual(begin, end)
                    self.assertEqual(day_after(end), following)

    def test_98_municipalities_on_every_day_of_change(self):
        days = {row["valid_from"] for row in self.rows} | {"2021-12-31", "2026-07-31", "2099-01-01"}
        days |= {row["valid_to"] for row in self.rows if row["valid_to"]}
        for day in sorted(days):
            self.assertEqual(len(fixtures.membership(day)), 98, day)

    def test_a_jobcentre_is_named_by_its_lowest_municipality_and_lies_in_one_cluster(self):
        for day in ("2007-01-01", "2021-12-31", "2022-01-01", "2026-07-31"):
            centres: dict[str, list[dict[str, str]]] = {}
            for row in fixtures.membership(day).values():
                centres.setdefault(row["jobcentre"], []).append(row)
            self.assertEqual(len(centres), 94 if day >= "2022-01-01" else 93, day)
            for code, members in centres.items():
                self.assertEqual(code, min(row["municipality"] for row in members))
                for column in ("jobcentre_name", "cluster", "region"):
                    self.assertEqual(len({row[column] for row in members}), 1, f"{code} {column} {day}")

    def test_ishoej_left_vallensbaek_at_new_year_2022(self):
        self.assertEqual(fixtures.membership("2021-12-31")["0187"]["jobcentre"], "0183")
        self.assertEqual(fixtures.membership("2022-01-01")["0187"]["jobcentre"], "0187")
        self.assertEqual(fixtures.membership("2022-01-01")["0183"]["jobcentre_name"], "Ishøj")

    def test_one_name_a_code(self):
        for code, name in (("municipality", "name"), ("cluster", "cluster_name"), ("region", "region_name")):
            names: dict[str, set[str]] = {}
            for row in self.rows:
                names.setdefault(row[code], set()).add(row[name])
            self.assertEqual([c for c, n in names.items() if len(n) != 1], [], code)


class Benefits(unittest.TestCase):
    def test_closed_list_dated_and_ruled(self):
        rows = fixtures.reference("benefits")
        self.assertEqual({row["code"] for row in rows}, BENEFITS)
        for row in rows:
            with self.subTest(benefit=row["code"]):
                self.assertTrue(row["danish"])
                self.assertRegex(row["gap_rule"], r"^(full_calendar_month|one_day|days:[1-9]\d*)$")
                self.assertEqual(row["gap_rule"] == "one_day", row["code"] == "sickness")
                self.assertIn(row["in_refund_ladder"], {"true", "false"})
                self.assertRegex(row["net_yearly_cost_oere"], r"^\d*$")
                self.assertRegex(row["jobindsats_family"], r"^(y\d\d)?$")
        for code in BENEFITS:
            dated = sorted((r["valid_from"], r["valid_to"] or "9999-12-31") for r in rows if r["code"] == code)
            for (_, end), (following, _) in zip(dated, dated[1:]):
                self.assertEqual(day_after(end), following, code)


class RefundLadder(unittest.TestCase):
    def test_ladders_follow_each_other_and_their_steps_leave_no_day_out(self):
        rows = fixtures.reference("refund_ladder")
        ladders = sorted({(row["valid_from"], row["valid_to"]) for row in rows})
        for (_, end), (following, _) in zip(ladders, ladders[1:]):
            self.assertEqual(day_after(end), following)
        self.assertEqual(ladders[-1][1], "", "the newest ladder is still valid")
        for ladder in ladders:
            self.assertTrue(ladder[0].endswith("-01"), "a ladder begins with a month: SQL cuts days by month")
            steps = [row for row in rows if (row["valid_from"], row["valid_to"]) == ladder]
            steps.sort(key=lambda row: int(row["first_day"]))
            self.assertEqual(steps[0]["first_day"], "1")
            for step, following in zip(steps, steps[1:]):
                self.assertEqual(int(step["last_day"]) + 1, int(following["first_day"]))
            self.assertEqual(steps[-1]["last_day"], "")
            self.assertTrue(all(0 <= int(row["percent"]) <= 100 for row in steps))


def indicators_of_persons() -> set[str]:
    return {path.stem for path in (fixtures.REFERENCE.parent / "indicators").glob("local_*.sql")}


class Claims(unittest.TestCase):
    def test_every_claim_of_the_readme_names_a_test_that_is_there(self):
        text = (fixtures.ROOT / "README.md").read_text(encoding="utf-8")
        (table,) = re.findall(r"## What is different\n(.*?)\n## ", text, re.DOTALL)
        rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ") and "held by" not in line]
        self.assertGreater(len(rows), 5)
        tests = [
            path.read_text(encoding="utf-8")
            for folder in ("tests", "pipeline", "connectors")
            for pattern in ("*.rs", "*.py")
            for path in (fixtures.ROOT / folder).rglob(pattern)
        ]
        for row in rows:
            name = row[-1].strip().strip("`")
            self.assertTrue(any(re.search(rf"(fn|def) {name}\b", text) for text in tests), name)


class Budgets(unittest.TestCase):
    """Prices, budgets, contracts, rewards and investments: every name is known, every invented figure says so."""

    def setUp(self):
        self.services = {row["service"]: row for row in fixtures.reference("services")}
        self.budgets = fixtures.reference("budgets")
        self.prices = fixtures.reference("unit_prices")

    def test_services_are_the_price_elements_and_each_has_an_activity(self):
        elements = {"Individuelt kontaktforløb", "Formidlingsaktivitet", "Ydelsesadministration", "Tilbud"}
        self.assertEqual({row["danish"] for row in self.services.values()}, elements)
        self.assertEqual(len(self.services), len(fixtures.reference("services")))
        self.assertNotIn("total", self.services, "the table's sum has this name")
        for row in self.services.values():
            self.assertIn(row["indicator"], indicators_of_persons())
            self.assertIn(row["indicator_benefit"], BENEFITS | {"total"})
            self.assertIn(row["counted"], {"value", "numerator"})
            self.assertLessEqual(set(row["client_benefits"].split(" ")), BENEFITS)
            self.assertIn("ours", row["note"])

    def test_budgets_are_of_known_services_and_follow_the_clients_or_not(self):
        keys = [(r["area_kind"], r["area"], r["year"], r["service"]) for r in self.budgets]
        self.assertEqual(len(set(keys)), len(keys))
        for row in self.budgets:
            self.assertIn(row["service"], self.services)
            self.assertNotEqual(bool(row["activity_per_1000_clients"]), bool(row["activity_per_month"]), row)
            self.assertRegex(row["year"], r"^20\d\d$")
            for column in ("base_clients", "price_oere"):
                self.assertGreater(int(row[column]), 0)
            self.assertIn("ours, for illustration", row["note"])

    def test_every_day_of_a_budget_has_one_price(self):
        for row in self.budgets:
            key = (row["area_kind"], row["area"], row["service"])
            dated = sorted(
                (p["valid_from"], p["valid_to"] or "9999-12-31")
                for p in self.prices
                if (p["area_kind"], p["area"], p["service"]) == key
            )
            for (_, end), (following, _) in zip(dated, dated[1:]):
                self.assertEqual(day_after(end), following, key)
            self.assertLessEqual(dated[0][0], f"{row['year']}-01-01", key)
            self.assertGreaterEqual(dated[-1][1], f"{row['year']}-12-31", key)
        for row in self.prices:
            self.assertIn(row["service"], self.services)
            self.assertGreater(int(row["price_oere"]), 0)
            self.assertIn("ours, for illustration", row["note"])

    def test_contracts_have_six_perspectives_and_nobody_below_a_team(self):
        rows = fixtures.reference("contract_goals")
        keys = [(r["area_kind"], r["area"], r["year"], r["contract_unit"], r["goal"]) for r in rows]
        self.assertEqual(len(set(keys)), len(keys))
        perspectives = {
            "economy", "labour_market_and_integration", "users", "development_and_learning",
            "staff_and_organisation", "environment_and_social_responsibility",
        }  # fmt: skip
        for year in {row["year"] for row in rows}:
            self.assertEqual({r["perspective"] for r in rows if r["year"] == year}, perspectives)
        offices = {"Forvaltning", "Jobcentre", "Ydelsesservice", "Beskæftigelsesindsats"}
        self.assertLessEqual({row["contract_unit"] for row in rows + self.budgets}, offices)
        for row in rows:
            with self.subTest(goal=row["goal"]):
                fed = [row[c] for c in ("indicator", "benefit", "zero_value", "target_value", "direction")]
                if not row["indicator"]:
                    self.assertEqual(set(fed), {""})
                    self.assertRegex(row["note"], "^not fed: ")
                    continue
                self.assertIn(row["indicator"], indicators_of_persons() | {"budget_deviation"})
                self.assertIn(row["benefit"], BENEFITS | {"total"})
                zero, target = Decimal(row["zero_value"]), Decimal(row["target_value"])
                self.assertIn(row["direction"], {"down", "up"})
                self.assertTrue(target < zero if row["direction"] == "down" else target > zero)
                self.assertIn("ours", row["note"])

    def test_targets_of_figures_of_persons_are_of_known_figures_and_lie_on_their_side_of_the_zero_point(self):
        keys = set()
        for row in fixtures.reference("local_targets"):
            key = (row["area_kind"], row["area"], row["indicator"], row["benefit"])
            self.assertNotIn(key, keys)
            keys.add(key)
            self.assertIn(row["indicator"], indicators_of_persons())
            self.assertIn(row["benefit"], BENEFITS | {"total"})
            self.assertLess(row["zero_date"], row["target_date"])
            zero, target = float(row["zero_value"]), float(row["target_value"])
            self.assertTrue(zero >= target if row["direction"] == "down" else zero <= target, row)
            self.assertIn("seed" if "seed" in row["note"] else "ours", row["note"])

    def test_hardest_groups_are_known_figures(self):
        known = {path.stem for path in (fixtures.REFERENCE.parent / "indicators").glob("*.sql")}
        rows = fixtures.reference("hardest_groups")
        self.assertEqual(len({row["indicator"] for row in rows}), len(rows))
        for row in rows:
            self.assertLessEqual({row["indicator"], row["hardest"]}, known)
            self.assertIn("ours", row["note"])

    def test_official_pairs_are_of_known_figures_and_say_how_they_differ(self):
        rows = fixtures.reference("official_pairs")
        self.assertEqual(len({(row["indicator"], row["benefit"]) for row in rows}), len(rows))
        official = {path.stem for path in (fixtures.ROOT / "sql/indicators").glob("*.sql")} - indicators_of_persons()
        for row in rows:
            self.assertIn(row["indicator"], indicators_of_persons())
            self.assertIn(row["official"], official)
            self.assertLessEqual({row["benefit"], row["official_benefit"]}, BENEFITS | {"total"})
            self.assertIn("there", row["difference"])

    def test_rewards_are_the_seeds_and_never_overlap(self):
        dated: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in fixtures.reference("rewards"):
            self.assertLessEqual(set(row["rest_regions"].split(" ")), set(REGIONS))
            self.assertLessEqual(set(row["benefits"].split(" ")), BENEFITS)
            if row["area"] == "0101":
                self.assertEqual(row["amount_oere"], "500000")
            spans = dated.setdefault((row["area_kind"], row["area"]), [])
            spans.append((row["valid_from"], row["valid_to"] or "9999-12-31"))
        for spans in dated.values():
            spans.sort()
            for (_, end), (following, _) in zip(spans, spans[1:]):
                self.assertLess(end, following)

    def test_costs_of_benefits_and_assumptions_of_investments(self):
        costs = fixtures.reference("benefit_costs")
        self.assertLessEqual({row["benefit"] for row in costs}, BENEFITS)
        for code in {row["benefit"] for row in costs}:
            spans = sorted((r["valid_from"], r["valid_to"] or "9999-12-31") for r in costs if r["benefit"] == code)
            for (_, end), (following, _) in zip(spans, spans[1:]):
                self.assertLess(end, following)
        scenarios: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in fixtures.reference("investments"):
            self.assertIn(row["benefit"], BENEFITS)
            self.assertTrue(row["source"])
            key = (row["investment"], row["area_kind"], row["area"], row["benefit"])
            of = scenarios.setdefault(key, {})
            self.assertNotIn(row["scenario"], of)
            of[row["scenario"]] = row
        for of in scenarios.values():
            self.assertEqual(set(of), {"low", "middle", "high"})
            effects = [int(of[scenario]["effect_permille"]) for scenario in ("low", "middle", "high")]
            self.assertEqual(effects, sorted(set(effects)), "three effects, the smallest first")
            for column in ("effort_months", "extra_activity_per_1000_clients", "price_oere", "effect_months"):
                self.assertEqual(len({row[column] for row in of.values()}), 1, "scenarios differ in the effect")
                self.assertGreater(int(of["low"][column]), 0)


class Sources(unittest.TestCase):
    def test_every_source_is_named_after_its_table_and_has_a_lag(self):
        rows = fixtures.reference("sources")
        self.assertEqual(len({row["source"] for row in rows}), len(rows))
        for row in rows:
            with self.subTest(source=row["source"]):
                self.assertEqual(row["source"], f"{row['publisher']}-{row['table_id']}")
                self.assertIn(row["publisher"], {"dst", "jobindsats"})
                self.assertIn(row["cadence"], {"M", "Q", "Y"})
                self.assertTrue(0 < int(row["official_lag_days"]) < 366)
                self.assertGreater(int(row["tolerance_days"]), 0)
                self.assertTrue(row["danish_title"] and row["replaced_lag"])
                # The text and the number must not drift apart.
                named = [int(n) for n in re.findall(r"\d+(?= days| to)", row["replaced_lag"])]
                self.assertEqual(max(named), int(row["official_lag_days"]))

    def test_every_recorded_table_has_its_source(self):
        tables = {row["table_id"] for row in fixtures.reference("sources") if row["publisher"] == "jobindsats"}
        self.assertEqual({p.stem for p in fixtures.VINTAGES.glob("*.csv")} - tables, set())


class Targets(unittest.TestCase):
    def setUp(self):
        self.rows = fixtures.reference("targets")

    def test_one_target_a_goal_and_a_way_to_go(self):
        keys = [(r["area_kind"], r["area"], r["indicator"], r["benefit"]) for r in self.rows]
        self.assertEqual(len(set(keys)), len(keys))
        for row in self.rows:
            self.assertIn(row["indicator"], TARGET_TABLES)
            self.assertIn(row["direction"], {"down", "up"})
            self.assertLess(row["zero_date"], row["target_date"])
            zero, target = Decimal(row["zero_value"]), Decimal(row["target_value"])
            self.assertTrue(target < zero if row["direction"] == "down" else target > zero, row)
            self.assertRegex(row["target_value"], r"^\d+\.\d$")
            self.assertIn("ours, for illustration", row["note"])
            self.assertGreaterEqual(min(zero, target), 5, "a small count is not written down, not even as a goal")

    def test_zero_points_are_the_recorded_figures_and_nothing_hidden_is_behind_them(self):
        share = {"full_time_unemployed": Decimal("0.95"), "long_term_unemployed": Decimal("0.90")}
        wanted = {}
        for indicator, table in TARGET_TABLES.items():
            cells = fixtures.vintages(table, indicator)[ZERO_VINTAGE]
            for (kind, area), members in fixtures.groups("2025-07").items():
                values = [cells.get((m, "total", "2025-07")) for m in members]
                if kind == "jobcentre" and all(v is not None and v >= 5 for v in values):
                    if sum(values) * share[indicator] >= 5:
                        wanted[indicator, area] = sum(values)
        found = {(r["indicator"], r["area"]): Decimal(r["zero_value"]) for r in self.rows}
        self.assertEqual({r["area_kind"] for r in self.rows}, {"jobcentre"})
        # Left out beyond these are zero points that disclosure control hides; test_disclosure.py looks at the tables.
        self.assertEqual(found, {key: wanted[key] for key in found})
        self.assertEqual({key for key in wanted if key[0] == "full_time_unemployed"} - found.keys(), set())
        for row in self.rows:
            exact = Decimal(row["zero_value"]) * share[row["indicator"]]
            self.assertEqual(Decimal(row["target_value"]), exact.quantize(Decimal("0.1"), ROUND_HALF_UP), row)

    def test_left_out_jobcentres_are_named(self):
        text = (fixtures.REFERENCE / "README.md").read_text(encoding="utf-8")
        centres = {row["jobcentre"]: row["jobcentre_name"] for row in fixtures.membership("2026-12-31").values()}
        for indicator in TARGET_TABLES:
            with_target = {row["area"] for row in self.rows if row["indicator"] == indicator}
            for code in centres.keys() - with_target:
                self.assertIn(f"{centres[code]} (`{code}`, `{indicator}`)", text)


class TheoryOfChange(unittest.TestCase):
    def setUp(self):
        text = (fixtures.REFERENCE / "theory_of_change.yaml").read_text(encoding="utf-8")
        self.assertNotIn("\r", text)
        self.tree = yaml.safe_load(text)
        self.goals = [node for goal in self.tree["goals"] for node in [goal, *goal.get("sub_goals", [])]]
        self.indicators = [node for goal in self.goals for node in goal["indicators"]]
        self.means = self.tree["activities"] + self.tree["resources"]

    def test_as_many_as_the_ministry_said(self):
        self.assertEqual([goal["node"] for goal in self.tree["goals"]], list("123456"))
        self.assertEqual([len(goal["sub_goals"]) for goal in self.tree["goals"]], [1, 4, 3, 2, 3, 4], "17 in all")
        self.assertEqual([node["node"] for node in self.indicators], [f"i{n:02}" for n in range(1, 40)])
        self.assertTrue(all(1 <= len(goal["indicators"]) <= 3 for goal in self.goals))
        new = [node["node"] for node in self.indicators if node.get("new_collection")]
        self.assertAlmostEqual(len(new) / len(self.indicators), 0.2, delta=0.03)
        self.assertEqual([n["node"] for n in self.indicators if n["chosen_by"] == "ministry"], ["i05", "i22", "i33"])

    def test_every_figure_has_its_source_and_what_is_not_fed_its_reason(self):
        for node in self.indicators + self.means:
            with self.subTest(node=node["node"]):
                for key in ("danish", "english", "source", "owner", "lag"):
                    self.assertEqual(node[key], node[key].strip())
                    self.assertTrue(node[key])
                self.assertIn(node["cadence"], {"M", "Q", "Y"})
                self.assertEqual("fed" in node, "not_fed" not in node)
                self.assertIn(node["better"], {"none"} if node in self.tree["resources"] else {"up", "down"})
                if "fed" in node:
                    path = fixtures.ROOT / "sql" / "indicators" / f"{node['fed']['indicator']}.sql"
                    header = dict(re.findall(r"^-- (\w+): (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))
                    self.assertIn(header["better"], {"none", node["better"]} | ({"up", "down"} if node["better"] == "none" else set()))
                    self.assertIn(node["fed"]["benefit"], BENEFITS | {"total"})

    def test_a_lag_of_a_table_that_is_read_is_the_one_in_sources(self):
        lags = {row["table_id"]: row["replaced_lag"].split(":")[0] for row in fixtures.reference("sources")}
        checked = 0
        for node in self.indicators + self.means:
            for table in re.findall(r"\b(y\d\d[a-z]\w+|[A-Z]{3,}\d\w*)\b", node["source"]):
                if table in lags:
                    self.assertEqual(node["lag"], lags[table], f"{node['node']}: {table}")
                    checked += 1
        self.assertGreaterEqual(checked, 3)

    def test_activities_serve_goals_that_exist_and_are_ours(self):
        goals = {goal["node"] for goal in self.goals}
        for node in self.means:
            self.assertTrue(node["serves"])
            for link in node["serves"]:
                self.assertIn(link["goal"], goals)
                self.assertEqual(link["source"], "ours")
                self.assertTrue(0 <= link["shows_after_months"] <= 36)


if __name__ == "__main__":
    unittest.main()
