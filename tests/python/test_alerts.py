"""The alerts: rules, their cases, and a runbook for each.

Goal: every alert fires when it must and is silent when it must be, tells whom it concerns and what to do, and asks for nothing that
the program does not tell. Method: promtool checks the rules and runs `tests/alerts`; the rest reads rules and runbooks as text.
SQL of the runbooks is bound against empty tables of the published columns, PromQL is parsed by promtool.
"""

from __future__ import annotations

import pathlib
import re
import tempfile
import unittest

import alerting
import duckdb
import fixtures
import published
import yaml

SEVERITIES = {"critical", "warning", "info"}
# Of what an alert tells: the labour market, the data, or the program.
ABOUT = {"target", "data", "operation"}
SECTIONS = ["What it means", "Look first", "Mend", "Over when", "False alarm"]
NAME = re.compile(r"(?<![\w:])rettidig_[a-z0-9_]+")


def without_suffix(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name) if "_seconds_" in name else name


def runbooks() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in alerting.RUNBOOKS.glob("*.md")}


def blocks(text: str, language: str) -> list[str]:
    return [block.strip() for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def commands(text: str) -> list[str]:
    """Commands of a runbook, one a line; a line inside quotes goes on."""
    joined = re.sub(r'"[^"]*"', lambda quoted: re.sub(r"\s+", " ", quoted.group()), "\n".join(blocks(text, "sh")))
    return joined.splitlines()


def minutes(duration: str | None) -> float:
    if duration is None:
        return 0
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()
    return int(number) * {"s": 1 / 60, "m": 1, "h": 60}[unit]


class Rules(unittest.TestCase):
    def test_promtool_takes_the_rules(self):
        files = sorted(alerting.RULES.glob("*.yaml"))
        code, said = alerting.tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", *files)
        self.assertEqual(code, 0, said)
        self.assertEqual(said.count("SUCCESS"), len(files), said)

    def test_one_alert_a_file_with_labels_texts_and_a_runbook(self):
        for name, rules in alerting.rules().items():
            alerts = [rule for rule in rules if "alert" in rule]
            self.assertEqual({rule["alert"] for rule in alerts}, {name}, "a file is named after its alert")
            self.assertEqual(len({rule["labels"]["severity"] for rule in alerts}), len(alerts))
            self.assertEqual(len({rule["labels"]["about"] for rule in alerts}), 1)
            for rule in alerts:
                with self.subTest(alert=name, severity=rule["labels"]["severity"]):
                    self.assertIn(rule["labels"]["severity"], SEVERITIES)
                    self.assertIn(rule["labels"]["about"], ABOUT)
                    self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook_url"})
                    self.assertTrue(all(text.strip() for text in rule["annotations"].values()))
                    self.assertEqual(rule["annotations"]["runbook_url"], f"helm/runbooks/{name}.md")
                    self.assertTrue((fixtures.ROOT / rule["annotations"]["runbook_url"]).is_file())
        self.assertEqual(set(runbooks()), set(alerting.rules()), "no runbook without an alert")

    def test_data_are_told_to_be_late_before_anything_is_said_about_a_target(self):
        waits = {about: set() for about in ABOUT}
        for rule in alerting.alerts():
            waits[rule["labels"]["about"]].add(minutes(rule.get("for")))
        self.assertLess(max(waits["data"]), min(waits["target"]))

    def test_targets_are_of_figures_whose_lateness_is_told_with_jobcentre_and_indicator(self):
        """SourceLate and DeliveryIncomplete tell of an indicator through its one official source, or through all systems of its jobcentre
        if it is made of records of persons: nothing else would hold an alarm back."""
        sources = {row["source"] for row in fixtures.reference("sources")}
        feeds = lambda indicator: re.search(r"^-- feeds: (.+)$", (fixtures.ROOT / "sql" / "indicators" / f"{indicator}.sql").read_text(encoding="utf-8"), re.MULTILINE).group(1)
        for indicator in {row["indicator"] for row in fixtures.reference("targets")}:
            self.assertIn(feeds(indicator), sources)
        own = {feeds(row["indicator"]) for row in fixtures.reference("local_targets")}
        for name in ("SourceLate", "DeliveryIncomplete"):
            (rule,) = alerting.rules()[name]
            self.assertEqual(set(re.findall(r'rettidig_indicator_source_info\{source="([^"]+)"\}', rule["expr"])), own)

    def test_rules_ask_for_what_the_program_tells(self):
        told = set()
        for path in (fixtures.ROOT / "pipeline").glob("*/src/**/*.rs"):
            told |= set(re.findall(r'"(rettidig_[a-z0-9_]+)"', path.read_text(encoding="utf-8")))
        texts = [path.read_text(encoding="utf-8") for path in alerting.RULES.glob("*.yaml")]
        asked = {without_suffix(name) for text in [*texts, *runbooks().values()] for name in NAME.findall(text)}
        self.assertEqual(asked - told, set())


class Cases(unittest.TestCase):
    def test_promtool_runs_them(self):
        paths = sorted(alerting.CASES.glob("*.yaml"))
        self.assertEqual([path.stem for path in paths], list(alerting.rules()))
        for path in paths:
            with self.subTest(alert=path.stem):
                code, said = alerting.tool("promtool", "test", "rules", path)
                self.assertEqual(code, 0, said)

    def test_each_alert_must_fire_and_must_not(self):
        for name, rules in alerting.rules().items():
            with self.subTest(alert=name):
                cases = yaml.safe_load((alerting.CASES / f"{name}.yaml").read_text(encoding="utf-8"))
                self.assertEqual(cases["rule_files"], [f"../../helm/alerts/{name}.yaml"])
                fired, quiet = set(), 0
                for case in cases["tests"]:
                    expected = case["alert_rule_test"]
                    self.assertEqual({one["alertname"] for one in expected}, {name})
                    quiet += not any(one["exp_alerts"] for one in expected)
                    fired |= {alert["exp_labels"]["severity"] for one in expected for alert in one["exp_alerts"]}
                self.assertEqual(fired, {rule["labels"]["severity"] for rule in rules if "alert" in rule})
                self.assertGreater(quiet, 0, "one case at least in which it never fires")


class Runbooks(unittest.TestCase):
    def test_sections(self):
        for name, text in runbooks().items():
            with self.subTest(runbook=name):
                self.assertTrue(text.startswith(f"# {name}: "))
                self.assertEqual(re.findall(r"^## (.+)$", text, re.MULTILINE), SECTIONS)
                look = text.split("## Look first")[1].split("## Mend")[0]
                self.assertTrue(blocks(look, "promql") or blocks(look, "sh"), "something to look at")
                for link in re.findall(r"\]\(([^)]+)\)", text):
                    self.assertTrue((alerting.RUNBOOKS / link).is_file(), link)

    def test_queries_are_promql(self):
        queries = {f"q:{name}:{n}": q for name, t in runbooks().items() for n, q in enumerate(blocks(t, "promql"))}
        self.assertGreater(len(queries), len(alerting.rules()))
        rules = [{"record": record.replace("-", "_"), "expr": query} for record, query in queries.items()]
        with tempfile.TemporaryDirectory() as work:
            path = pathlib.Path(work) / "queries.yaml"
            path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}), encoding="utf-8")
            code, said = alerting.tool("promtool", "check", "rules", "--lint=none", path)
        self.assertEqual(code, 0, said)

    def test_sql_asks_for_columns_that_are_published(self):
        connection = duckdb.connect()
        for table, columns in published.COLUMNS.items():
            declared = ", ".join(f'"{column}" {published.DUCKDB[kind]}' for column, kind in columns.items())
            connection.execute(f'CREATE TABLE "{table}" ({declared})')
        asked = 0
        for name, text in runbooks().items():
            for command in commands(text):
                if command.startswith("rettidig query "):
                    with self.subTest(runbook=name, command=command):
                        connection.execute(re.search(r'"(SELECT .*)"', command).group(1)).fetchall()
                        asked += 1
        self.assertGreater(asked, 0)

    def test_commands_are_those_of_the_program(self):
        sources = (fixtures.ROOT / "pipeline" / "cli" / "src").glob("*.rs")
        code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
        main = (fixtures.ROOT / "pipeline" / "cli" / "src" / "main.rs").read_text(encoding="utf-8")
        variants = re.findall(r"^    ([A-Z]\w+)[ ({,]", main.split("enum Command {")[1].split("\n}\n")[0], re.MULTILINE)
        known = {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", variant).lower() for variant in variants}
        self.assertIn("dead-letters", known)
        for name, text in runbooks().items():
            prose = [found.strip("`") for found in re.findall(r"`rettidig [^`]*`", text)]
            for command in [*commands(text), *prose]:
                words = command.split()
                if words[0] != "rettidig":
                    self.assertIn(words[0], {"curl", "df", "du"}, command)
                    continue
                with self.subTest(runbook=name, command=command):
                    self.assertIn(words[1], known)
                    for flag in re.findall(r"(?<= )--([a-z-]+)", command):
                        self.assertRegex(code, rf'\b{flag.replace("-", "_")}: |long = "{flag}"')


if __name__ == "__main__":
    unittest.main()
