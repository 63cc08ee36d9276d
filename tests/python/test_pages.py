"""The web pages, in a real browser and by plain HTTP, against the tables that they show.

Goal: every page loads in both languages without an error, its figures are those of the published tables, a hidden figure is a word and
never a number, everything can be reached by keyboard, and the files that a page offers hold what it says. Method: `rettidig run --role
web` serves a copy of the data folder; headless Chromium reads the pages, PyArrow the tables. With UPDATE_SCREENSHOTS=1 the pictures in
tests/web are made anew.
"""

from __future__ import annotations

import collections
import csv
import html
import html.parser
import io
import json
import math
import os
import pathlib
import re
import shutil
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import docx
import fixtures
import openpyxl
import published
import pyarrow.parquet
import pypdf
import web
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PICTURES = fixtures.ROOT / "tests" / "web"
SECONDS_MAX = 60
WIDTH, HEIGHT = 1280, 1600
LANGUAGES = ("da", "en")
HIDDEN = {"da": "diskretioneret", "en": "hidden"}
STATUS = {
    "da": {"final": "endelig", "provisional": "foreløbig", "incomplete": "ufuldstændig", "hidden": "diskretioneret", "missing": "mangler"},
    "en": {name: name for name in ("final", "provisional", "incomplete", "hidden", "missing")},
}

# A jobcentre with targets and one in which figures are hidden.
LARGE = "0101"

PAGES = {
    "start": "/",
    "find": "/jobcentre?q=Hor",
    "jobcentre": f"/jobcentre/{LARGE}",
    "compare": "/compare?indicator=full_time_unemployed_rate&benefit=total&period=2026-07&within=cluster-2&area=0101",
    "compare-all": "/compare",
    "compose": "/compose?indicator=full_time_unemployed&kind=region&benefit=total&from=2024-07&to=2026-07",
    "compose-hidden": "/compose?indicator=long_term_unemployed&kind=jobcentre&benefit=cash&from=2026-07&to=2026-07",
    "compose-own": "/compose?indicator=local_full_time_persons&kind=region&benefit=cash&breakdown=age",
    "theory": "/theory",
    "tables": "/tables",
    "table": "/tables/indicators",
    "table-closed": "/tables/refund_watch",
    "about": "/about",
    "error": "/jobcentre/9999",
}
PICTURED = ("start", "jobcentre", "compare", "compose", "theory", "tables", "table", "about", "error")


def written(value: float, decimals: int, language: str) -> str:
    """A figure as the language writes it."""
    text = f"{abs(value):,.{decimals}f}"
    if language == "da":
        text = text.translate(str.maketrans(",.", ".,"))
    return ("\u2212" if value < 0 and re.search("[1-9]", text) else "") + text


def decimals(value: float, unit: str) -> int:
    if unit == "kr.":
        return 0
    if unit in ("percent", "weeks"):
        return 1
    return 0 if abs(value - round(value)) < 1e-9 else 1


def both_targets() -> list[dict]:
    """Targets of official figures and of figures of persons: both are judged."""
    return published.rows("targets") + published.rows("local_drift")


class Table(html.parser.HTMLParser):
    """The tables of a page: lists of rows, each a list of (text, exact value or None)."""

    def __init__(self, text: str):
        super().__init__()
        self.tables: list[list[list[tuple[str, float | None]]]] = []
        self.cell: list[str] | None = None
        self.value: float | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell, self.value = [], None
        elif tag == "br" and self.cell is not None:
            self.cell.append(" ")
        elif tag == "data" and self.cell is not None and self.value is None:
            self.value = float(dict(attrs)["value"])

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None:
            self.tables[-1][-1].append((" ".join("".join(self.cell).split()), self.value))
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)


def chromium() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}", "--force-color-profile=srgb"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=shutil.which("chromedriver")))
    browser.set_page_load_timeout(SECONDS_MAX)
    return browser


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shown = web.Web()
        cls.addClassCleanup(shown.stop)
        cls.place = f"http://{shown.http}"
        cls.browser = chromium()
        cls.addClassCleanup(cls.browser.quit)

    @classmethod
    def get(cls, path: str, method: str = "GET", **headers: str):
        request = urllib.request.Request(cls.place + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def text(self, path: str) -> str:
        status, body, _ = self.get(path)
        self.assertEqual(status, 200, f"{path}: {body[:400]!r}")
        return body.decode()

    def table(self, path: str, caption: str) -> list[list[tuple[str, float | None]]]:
        """Body rows of the first table behind a caption."""
        text = self.text(path)
        found = re.search(rf"<table[^>]*>\s*<caption>[^<]*{re.escape(caption)}.*?</table>", text, re.S)
        self.assertIsNotNone(found, f"{path} has no table {caption!r}")
        return [row for row in Table(found.group()).tables[0] if row][1:]

    def same(self, shown: float | None, true: float | None, what: object = None):
        """The page reads figures from JSON, which may cost the last bit of 53."""
        if true is None:
            self.assertIsNone(shown, what)
        else:
            self.assertIsNotNone(shown, what)
            self.assertAlmostEqual(shown, true, delta=1e-14 * max(1, abs(true)), msg=what)

    # --- every page ---------------------------------------------------------------------------------

    def test_every_page_loads_in_both_languages_without_an_error(self):
        for language in LANGUAGES:
            for name, path in PAGES.items():
                with self.subTest(language=language, page=name):
                    self.browser.get(f"{self.place}/{language}{path}")
                    errors = [entry["message"] for entry in self.browser.get_log("browser")]
                    if name == "error":
                        errors = [error for error in errors if "404" not in error]
                    self.assertEqual(errors, [])
                    self.assertEqual(self.browser.find_element(By.TAG_NAME, "html").get_attribute("lang"), language)
                    self.assertTrue(self.browser.title.endswith("– Rettidig"), self.browser.title)
                    self.assertEqual(len(self.browser.find_elements(By.TAG_NAME, "h1")), 1)
                    shown = self.browser.find_element(By.CLASS_NAME, "epoch").text
                    self.assertIn(str(published.epoch()["epoch"]), shown)
                    # The style sheet was taken.
                    bar = self.browser.find_element(By.CSS_SELECTOR, "header.top").value_of_css_property("background-color")
                    self.assertNotIn("rgba(0, 0, 0, 0)", bar)
                    # No text was left untranslated, no value unset.
                    body = self.browser.find_element(By.TAG_NAME, "body").text
                    for fault in ("{ $", "undefined", "none none", "NaN", "None"):
                        self.assertNotIn(fault, body)
                    if os.environ.get("UPDATE_SCREENSHOTS") == "1" and name in PICTURED:
                        PICTURES.mkdir(exist_ok=True)
                        self.browser.save_screenshot(str(PICTURES / f"{name}-{language}.png"))

    def test_pictures_of_every_page_are_kept(self):
        for language in LANGUAGES:
            for name in PICTURED:
                with self.subTest(language=language, page=name):
                    picture = (PICTURES / f"{name}-{language}.png").read_bytes()
                    self.assertEqual(picture[:8], b"\x89PNG\r\n\x1a\n")
                    self.assertEqual(int.from_bytes(picture[16:20], "big"), WIDTH)

    def test_no_page_has_a_serious_fault_of_accessibility(self):
        import axe_core_python

        script = (pathlib.Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
        for language in LANGUAGES:
            for name, path in PAGES.items():
                with self.subTest(language=language, page=name):
                    self.browser.get(f"{self.place}/{language}{path}")
                    # What is folded is looked at too: axe takes its place for where it would be drawn.
                    self.browser.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true;")
                    self.browser.execute_script(script)
                    found = self.browser.execute_async_script("const done = arguments[0]; axe.run().then(found => done(found));")
                    faults = [
                        (fault["id"], fault["impact"], [node["html"][:160] for node in fault["nodes"][:3]])
                        for fault in found["violations"]
                        if fault["impact"] in ("serious", "critical")
                    ]
                    self.assertEqual(faults, [])
                    self.assertGreater(len(found["passes"]), 15)

    def test_the_keyboard_reaches_the_skip_link_and_every_control(self):
        for name in ("start", "jobcentre", "compare", "compose"):
            with self.subTest(page=name):
                self.browser.get(f"{self.place}/da{PAGES[name]}")
                wanted = {element.id for element in self.browser.find_elements(By.CSS_SELECTOR, "input:not([type=hidden]), select, button, summary, .button")}
                self.assertGreater(len(wanted), 2)
                body = self.browser.find_element(By.TAG_NAME, "body")
                reached: list[str] = []
                for _ in range(700):
                    webdriver.ActionChains(self.browser).send_keys(Keys.TAB).perform()
                    focus = self.browser.switch_to.active_element
                    if focus.id == body.id or (reached and focus.id == reached[0]):
                        break
                    reached.append(focus.id)
                    if len(reached) == 1:
                        self.assertEqual(focus.get_attribute("class"), "skip")
                        self.assertGreaterEqual(focus.rect["x"], 0, "the skip link is seen when it has the focus")
                    if wanted <= set(reached):
                        break
                self.assertEqual(wanted - set(reached), set())
        self.browser.get(f"{self.place}/da/")
        webdriver.ActionChains(self.browser).send_keys(Keys.TAB, Keys.ENTER).perform()
        self.comes_to("#content")

    def comes_to(self, end: str):
        """Waits until the address ends so: a key or a click returns before the browser has followed it."""
        try:
            WebDriverWait(self.browser, web.SECONDS_MAX).until(lambda browser: browser.current_url.endswith(end))
        except TimeoutException:
            self.fail(f"expected an address that ends with {end}, got {self.browser.current_url}")

    def test_who_logs_in_sees_the_economy_of_the_own_jobcentre(self):
        browser = chromium()
        self.addCleanup(browser.quit)
        name, token, _, areas = web.TOKENS[0]
        browser.get(f"{self.place}/en/jobcentre/{areas[0]}")
        self.assertNotIn("Accounts of the year", browser.page_source)
        self.assertEqual(browser.find_element(By.CSS_SELECTOR, ".epoch a").get_attribute("href"), f"{self.place}/login?language=en")
        # Given with the address, as no one can type into the browser's own window here.
        browser.get(f"{self.place.replace('//', f'//{name}:{token}@')}/login?language=en")
        self.assertEqual(browser.current_url.rsplit("/", 2)[1:], ["en", ""])
        browser.get(f"{self.place}/en/jobcentre/{areas[0]}")
        self.assertIn(name, browser.find_element(By.CLASS_NAME, "epoch").text)
        self.assertIn("Accounts of the year", browser.page_source)
        self.assertEqual(browser.find_elements(By.CSS_SELECTOR, ".epoch a"), [])

    def test_forms_work_without_javascript(self):
        self.browser.get(f"{self.place}/da/")
        self.browser.find_element(By.ID, "find-top").send_keys("Horsens", Keys.ENTER)
        self.comes_to("/da/jobcentre/0615")
        WebDriverWait(self.browser, web.SECONDS_MAX).until(lambda browser: browser.find_element(By.CLASS_NAME, "language")).click()
        self.comes_to("/en/jobcentre/0615")
        self.assertNotIn("<script", self.text("/da/").lower())

    # --- figures ------------------------------------------------------------------------------------

    def test_who_drifts_is_who_drifts_in_the_tables(self):
        wanted = [row for row in both_targets() if row["newest"] and row["area_kind"] == "jobcentre" and row["state"] == "drifting"]
        self.assertGreater(len(wanted), 10)
        for language, captions in (("da", ("De mest sikre først", "De øvrige")), ("en", ("The surest first", "The others"))):
            rows = [row for caption in captions for row in self.table(f"/{language}/", caption)]
            self.assertEqual(len(rows), len(wanted))
            shown = sorted((row[2][1], row[3][1], row[4][1], row[5][1], row[7][1]) for row in rows)
            limit = {"down": "upper_limit", "up": "lower_limit"}
            true = sorted((row["value"], row["level"], row["expected_level"], row[limit[row["direction"]]], row["p_value"]) for row in wanted)
            for one, other in zip(shown, true):
                for a, b in zip(one, other):
                    self.assertAlmostEqual(a, b, delta=1e-9 * max(1, abs(b)))
            for row in rows:
                self.assertIn(written(row[3][1], 0, language), row[3][0])

    def test_freshness_is_that_of_the_tables(self):
        true = {row["source"]: row for row in published.rows("freshness") if row["official_lag_days"] is not None}
        rows = self.table("/da/", "Officielle kilder")
        shown = {row[0][0].split()[-1]: row for row in rows}
        self.assertLessEqual(set(true), set(shown))
        for source, row in true.items():
            self.assertEqual(shown[source][3][1], row["age_seconds"])
            self.assertEqual(shown[source][4][1], row["official_lag_days"])
            self.assertEqual(shown[source][6][0] == "forsinket", row["late"], source)

    def test_the_page_of_a_jobcentre_has_its_targets_and_scorecard(self):
        points = [row for row in both_targets() if row["area"] == LARGE and row["area_kind"] == "jobcentre"]
        indicators = sorted({row["indicator"] for row in points})
        text = self.text(f"/en/jobcentre/{LARGE}")
        tables = Table(text).tables
        self.assertGreaterEqual(len(indicators), 2)
        for place, indicator in enumerate(indicators):
            true = sorted((row for row in points if row["indicator"] == indicator), key=lambda row: row["period"], reverse=True)
            shown = [row for row in tables[place] if row][1:]
            self.assertEqual(len(shown), len(true))
            for row, point in zip(shown, true):
                for column, name in enumerate(("value", "expected", "level", "expected_level", "lower_limit", "upper_limit"), start=1):
                    self.same(row[column][1], point[name], f"{indicator} {point['period']} {name}")
        cards = [row for row in published.rows("scorecard") if row["jobcentre"] == LARGE]
        for benefit in sorted({row["benefit"] for row in cards}):
            card = max((row for row in cards if row["benefit"] == benefit), key=lambda row: row["period"])
            rows = self.scorecard(f"/en/jobcentre/{LARGE}?benefit={benefit}")
            for row, key in zip(rows, ("more", "faster", "staying", "potential")):
                self.same(row[1][1], card[f"{key}_own"], (benefit, key))
                self.same(row[2][1], card[f"{key}_last_year"], (benefit, key))
                self.same(row[5][1], card[f"{key}_cluster_mean"], (benefit, key))
                if card[f"{key}_own"] is None:
                    self.assertEqual(row[1][0], card[f"{key}_status"])
                arrow = {None: "no figure", 1: "better", 0: "unchanged", -1: "worse"}[card[f"{key}_arrow"]]
                self.assertIn(arrow, row[3][0])
                third = {None: "not placed", 1: "best third", 2: "middle third", 3: "worst third"}[card[f"{key}_tercile"]]
                self.assertIn(third, row[7][0])

    def scorecard(self, path: str):
        text = self.text(path)
        return [row for row in Table(re.search(r'<table class="scorecard">.*?</table>', text, re.S).group()).tables[0] if row][1:]

    def test_compare_ranks_what_the_tables_say(self):
        true = {
            row["area"]: row
            for row in published.rows("comparisons")
            if row["indicator"] == "full_time_unemployed_rate" and row["area_kind"] == "jobcentre" and row["benefit"] == "total" and row["period"] == "2026-07"
        }
        text = self.text("/en/compare?indicator=full_time_unemployed_rate&benefit=total&period=2026-07")
        rows = [row for row in Table(text).tables[0] if row][1:]
        areas = re.findall(r'<th scope="row"><a href="/en/jobcentre/(\d+)">', text)
        self.assertEqual(set(areas), set(true))
        for area, row in zip(areas, rows):
            self.same(row[2][1], true[area]["value"])
            self.same(row[3][1], true[area]["last_year"])
            if true[area]["value"] is None:
                self.assertEqual(row[2][0], true[area]["status"])
        values = [row[2][1] for row in rows if row[2][1] is not None]
        self.assertEqual(values, sorted(values))
        self.assertEqual([row[0][0] for row in rows[: len(values)]], [str(rank + 1) for rank in range(len(values))])

    def selections(self):
        return {
            "region": ("indicators", {"indicator": "full_time_unemployed", "kind": "region", "benefit": "total", "breakdown": "total", "from": "2025-07", "to": "2026-07"}),
            "hidden": ("indicators", {"indicator": "long_term_unemployed", "kind": "jobcentre", "benefit": "cash", "breakdown": "total", "from": "2026-06", "to": "2026-07"}),
            "cut": ("local_indicators", {"indicator": "local_full_time_persons", "kind": "region", "benefit": "cash", "breakdown": "age", "from": "2026-06", "to": "2026-07"}),
            "offer": ("indicators", {"indicator": "activation_spells", "kind": "jobcentre", "benefit": "cash", "breakdown": "offer", "from": "2026-07", "to": "2026-07"}),
        }

    def true_rows(self, table: str, asked: dict[str, str]) -> list[dict]:
        rows = [
            row
            for row in published.rows(table)
            if row["indicator"] == asked["indicator"]
            and row["area_kind"] == asked["kind"]
            and row["benefit"] == asked["benefit"]
            and row["breakdown"] == asked["breakdown"]
            and asked["from"] <= row["period"] <= asked["to"]
        ]
        return sorted(rows, key=lambda row: (row["area"], row["period"], row["breakdown_value"]))

    def test_compose_shows_and_sends_the_rows_of_the_table(self):
        hidden = 0
        for name, (table, asked) in self.selections().items():
            true = self.true_rows(table, asked)
            query = urllib.parse.urlencode(asked)
            for language in LANGUAGES:
                with self.subTest(selection=name, language=language):
                    text = self.text(f"/{language}/compose?{query}")
                    rows = [row for row in Table(text).tables[-1] if row][1:]
                    self.assertEqual(len(rows), min(len(true), 300))
                    place = 2 if asked["breakdown"] == "total" else 3
                    for row, cell in zip(rows, true):
                        self.same(row[place][1], cell["value"])
                        word = STATUS[language][cell["status"]]
                        self.assertEqual(row[place + 2][0], word)
                        if cell["value"] is None:
                            hidden += cell["status"] == "hidden"
                            self.assertEqual(row[place][0], word)
                        else:
                            self.assertEqual(row[place][0], written(cell["value"], decimals(cell["value"], cell["unit"]), language))
            with self.subTest(selection=name, form="files"):
                self.check_files(query, true)
        self.assertGreater(hidden, 5, "no hidden figure was among them: the test shows nothing")

    def check_files(self, query: str, true: list[dict]):
        columns = list(true[0])
        status, body, headers = self.get(f"/da/compose.parquet?{query}")
        self.assertEqual(status, 200)
        self.assertIn("attachment", headers["Content-Disposition"])
        file = pyarrow.parquet.ParquetFile(io.BytesIO(body))
        self.assertEqual(file.metadata.metadata[b"epoch"].decode(), str(published.epoch()["epoch"]))
        found = file.read()
        self.assertEqual(found.column_names, columns)
        for name in columns:
            column = found.column(name)
            if pyarrow.types.is_timestamp(column.type):
                column = column.cast(pyarrow.int64())
            self.assertEqual(column.to_pylist(), [row[name] for row in true], name)
        rows = list(csv.DictReader(io.StringIO(self.get(f"/da/compose.csv?{query}")[1].decode())))
        self.assertEqual(len(rows), len(true))
        for row, cell in zip(rows, true):
            self.assertEqual(float(row["value"]) if row["value"] else None, cell["value"])
            self.assertEqual((row["area"], row["status"]), (cell["area"], cell["status"]))
        book = openpyxl.load_workbook(io.BytesIO(self.get(f"/da/compose.xlsx?{query}")[1]))
        sheet = list(book["data"].values)
        self.assertEqual(list(sheet[0]), columns)
        value, area = columns.index("value"), columns.index("area")
        self.assertEqual([(row[area], row[value]) for row in sheet[1:]], [(row["area"], row["value"]) for row in true])
        self.assertEqual(dict(book["about"].values)["epoch"], str(published.epoch()["epoch"]))

    def test_the_address_that_compose_offers_shows_the_same_again(self):
        text = self.text("/en/compose?indicator=cash_recipients&kind=jobcentre&area=0101&area=0147")
        link = re.search(r'class="permalink" href="([^"]+)"', text).group(1).replace("&amp;", "&")
        self.assertIn(f"epoch={published.epoch()['epoch']}", link)
        again = self.text(link)
        self.assertEqual(Table(again).tables[-1], Table(text).tables[-1])

    def test_an_address_of_an_earlier_epoch_shows_what_that_epoch_published(self):
        newest = published.epoch()["epoch"]
        vintages = [row for row in published.rows("vintages") if row["area_kind"] == "jobcentre" and row["breakdown"] == "total"]
        changed = sorted({row["epoch"] for row in vintages} - {1})
        self.assertGreater(len(changed), 1, "figures were published more than once")
        # Of each epoch that changed official figures: those before and those it left, of an indicator that it changed.
        moved = 0
        for number in changed[:3]:
            indicator, benefit = collections.Counter((row["indicator"], row["benefit"]) for row in vintages if row["epoch"] == number).most_common(1)[0][0]
            shown = {}
            for epoch in (number - 1, number):
                asked = f"indicator={indicator}&kind=jobcentre&benefit={benefit}&breakdown=total&epoch={epoch}"
                file = pyarrow.parquet.read_table(io.BytesIO(self.get(f"/en/compose.parquet?{asked}")[1])).to_pylist()
                known: dict[tuple[str, str], dict] = {}
                told = [row for row in vintages if (row["indicator"], row["benefit"]) == (indicator, benefit) and row["epoch"] <= epoch]
                for row in sorted(told, key=lambda row: row["known_at"]):
                    known[row["area"], row["period"]] = row
                periods = {row["period"] for row in file}
                true = {key: row["value"] for key, row in known.items() if key[1] in periods}
                self.assertGreater(len(true), 90 if told else -1)
                self.assertEqual({(row["area"], row["period"]): row["value"] for row in file}, true)
                # The newest month of then is provisional, unless it is hidden or missing.
                last = max((period for _, period in known), default=None)
                words = {row["status"] for row in file if row["period"] == last}
                self.assertTrue(last not in periods or "provisional" in words or words <= {"hidden", "missing"}, words)
                self.assertNotIn("provisional", {row["status"] for row in file if row["period"] != last})
                shown[epoch] = true
                page = self.text(f"/en/compose?{asked}")
                self.assertEqual(f"as they were published at epoch {epoch}" in page, epoch != newest)
            moved += shown[number] != shown[number - 1]
        self.assertGreater(moved, 0)
        self.assertEqual(self.get("/en/compose?epoch=0")[0], 400)
        self.assertEqual(self.get(f"/en/compose?epoch={newest + 1}")[0], 400)
        # Figures of persons are not kept: the page says so.
        self.assertIn("of the newest epoch alone", self.text("/en/compose?indicator=local_full_time_persons&kind=region&epoch=1"))

    def test_those_hardest_to_help_the_country_and_incomplete_figures_stand_beside_a_jobcentre(self):
        of = lambda table, area: [row for row in published.rows(table) if row["area_kind"] == "jobcentre" and row["area"] == area]
        for table, caption, columns in (
            ("creaming_guard", "Those who are hardest to help", ((2, "value"), (4, "hardest_value"), (5, "hardest_last_year"))),
            ("funnels", "Shares beside the country’s", ((2, "value"), (3, "country_value"), (4, "lower_limit"), (5, "upper_limit"))),
            ("nowcasts", "What incomplete figures will be", ((2, "value"), (3, "received_ratio"), (4, "nowcast"), (5, "nowcast_low"), (6, "nowcast_high"))),
        ):
            counts = collections.Counter(row["area"] for row in published.rows(table) if row["area_kind"] == "jobcentre")
            for area, _ in counts.most_common(2):
                with self.subTest(table=table, area=area):
                    true = of(table, area)
                    shown = self.table(f"/en/jobcentre/{area}", caption)
                    if table == "nowcasts":
                        newest = sorted(true, key=lambda row: (row["period"]), reverse=True)[: len(shown)]
                        self.assertEqual(len(shown), min(len(true), 12))
                        true = [row for row in true if row["period"] >= newest[-1]["period"]]
                    else:
                        self.assertEqual(len(shown), len(true))
                    wanted = {tuple(row[name] for _, name in columns) for row in true}
                    for row in shown:
                        found = tuple(row[place][1] for place, _ in columns)
                        self.assertTrue(any(self.close(found, one) for one in wanted), (found, caption))

    def test_vintages_and_own_targets_stand_on_the_page_of_a_jobcentre(self):
        own = lambda table: [row for row in published.rows(table) if row["area_kind"] == "jobcentre" and row["area"] == LARGE]
        path = f"/en/jobcentre/{LARGE}"
        whole = [row for row in own("revisions") if row["benefit"] == "total" and row["breakdown"] == "total" and row["cause"] != "first"]
        self.assertGreater(len(whole), 12)
        shown = [(row[2][1], row[3][1]) for row in self.table(path, "The latest changes of published figures")]
        newest = sorted((row["new_known_at"] for row in whole), reverse=True)[:12][-1]
        self.assertEqual(len(shown), 12)
        wanted = {(row["old"], row["new"]) for row in whole if row["new_known_at"] >= newest}
        for pair in shown:
            self.assertTrue(any(self.close(pair, one) for one in wanted), pair)
        settling = [row for row in own("comparisons") if row["benefit"] == "total" and row["breakdown"] == "total" and row["status"] != "final"]
        wanted = {(row["value"], row["settled_estimate"]) for row in settling}
        shown = [(row[2][1], row[3][1]) for row in self.table(path, "Figures that are not final yet")]
        self.assertEqual(len(shown), min(8, len(settling)))
        for pair in shown:
            self.assertTrue(any(self.close(pair, one) for one in wanted), pair)
        targets = [row for row in published.rows("local_targets") if row["newest"] and row["area"] == LARGE and row["area_kind"] in ("jobcentre", "municipality")]
        shown = [tuple(row[place][1] for place in (2, 3, 4, 5)) for row in self.table(path, "Targets for figures from own systems")]
        self.assertEqual(len(shown), len(targets))
        wanted = {(row["value"], row["expected"], row["target_value"], row["realised_ratio"]) for row in targets}
        self.assertGreater(len(wanted), 1)
        for one in shown:
            self.assertTrue(any(self.close(one, other) for other in wanted), one)

    @staticmethod
    def close(found: tuple, wanted: tuple) -> bool:
        same = lambda a, b: a is b if None in (a, b) else math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
        return all(map(same, found, wanted))

    def test_the_tree_has_every_node_and_claims_no_cause(self):
        text = html.unescape(self.text("/da/theory"))
        shown = [float(value) for value in re.findall(r'<data value="([^"]+)">', text)]
        for row in published.rows("theory_of_change"):
            self.assertIn(row["danish"], text)
            if row["value"] is not None:
                self.assertTrue(any(abs(value - row["value"]) <= 1e-14 * abs(value) for value in shown), row["node"])
        self.assertNotIn("forårsag", text.lower())

    def test_every_table_is_told_with_its_columns_and_files(self):
        contracts = json.loads((fixtures.ROOT / "pipeline/model/contracts.json").read_text(encoding="utf-8"))
        closed = 0
        for language, caption, other in (("da", "Tabellerne i denne epoke", "Der er ingen tabel"), ("en", "The tables of this epoch", "There is no table")):
            rows = self.table(f"/{language}/tables", caption)
            names = re.findall(rf'href="/{language}/tables/(\w+)"', self.text(f"/{language}/tables"))
            self.assertEqual(sorted(names), sorted(file.removesuffix(".parquet") for file in published.epoch()["files"]))
            for name, row in zip(names, rows):
                # How many rows a closed table has is for those who may read it.
                is_closed = row[3][0] in ("kun for dem, der styrer området", "only for those who steer the area")
                closed += is_closed
                self.assertEqual(row[4][1], None if is_closed else published.arrow(name).num_rows, name)
                page = html.unescape(self.text(f"/{language}/tables/{name}"))
                columns = [line[0][0].split()[0] for line in Table(page).tables[0] if line][1:]
                self.assertEqual(columns, [column["name"] for column in contracts[name]["columns"]], name)
                files = re.findall(r'href="(/data/[^"]+)"', page)
                self.assertIn(f"/data/{name}.schema.json", files)
                self.assertEqual(len(files) > 1, not is_closed, name)
                for file in files:
                    self.assertEqual(self.get(file, "HEAD")[0], 200, file)
            status, body, _ = self.get(f"/{language}/tables/indicator")
            self.assertEqual(status, 404)
            self.assertIn(other, body.decode())
            self.assertIn(f"/{language}/tables/indicators", html.unescape(body.decode()))
        self.assertGreater(closed, 10, "closed tables were among them")

    def test_language_schools_stand_beside_their_goal(self):
        rounds = sorted({row["round"] for row in published.rows("school_rounds")}, reverse=True)[:3]
        true = [row for row in published.rows("school_rounds") if row["round"] in rounds]
        shown = self.table("/en/theory", "Danish tests by language school")
        self.assertEqual(len(shown), len(true))
        wanted = sorted(((row["tests"], row["pass_rate"], row["goal"], row["above_goal"]) for row in true), key=str)
        found = sorted((tuple(row[place][1] for place in (2, 3, 4, 5)) for row in shown), key=str)
        self.assertTrue(all(map(self.close, found, wanted)), (found, wanted))
        self.assertGreater(sum(row["pass_rate"] is not None for row in true), 1, "some are shown")

    # --- reports ------------------------------------------------------------------------------------

    def test_reports_hold_the_figures_of_the_page(self):
        targets = [row for row in both_targets() if row["area"] == LARGE and row["area_kind"] == "jobcentre" and row["newest"]]
        self.assertGreaterEqual(len(targets), 2)
        for language in LANGUAGES:
            with self.subTest(language=language):
                status, body, headers = self.get(f"/{language}/jobcentre/{LARGE}/report.docx")
                self.assertEqual(status, 200, body[:300])
                self.assertEqual(headers["Content-Type"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
                document = docx.Document(io.BytesIO(body))
                cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
                texts = cells + [paragraph.text for paragraph in document.paragraphs]
                self.assertGreaterEqual(len(document.inline_shapes), len(targets), "a chart for each target")
                status, body, _ = self.get(f"/{language}/jobcentre/{LARGE}/report.pdf")
                self.assertEqual(status, 200, body[:300])
                reader = pypdf.PdfReader(io.BytesIO(body))
                self.assertTrue(reader.trailer["/Root"]["/MarkInfo"]["/Marked"], "tagged for screen readers")
                self.assertEqual(reader.trailer["/Root"]["/Lang"], language)
                pdf = "\n".join(page.extract_text() for page in reader.pages)
                for text in ("\n".join(texts), pdf):
                    self.assertIn("København", text)
                    for row in targets:
                        self.assertIn(written(row["value"], 0, language), text)
                        if row["level"] is not None:
                            self.assertIn(written(row["level"], 0, language), text)
                        self.assertIn(written(row["target_value"], decimals(row["target_value"], "persons"), language), text)

    def test_a_report_says_hidden_for_what_is_hidden(self):
        cards = [row for row in published.rows("scorecard") if row["more_status"] == "hidden" and row["benefit"] == "cash" and row["period"] == "2026-07"]
        self.assertTrue(cards)
        area = cards[0]["jobcentre"]
        for language in LANGUAGES:
            rows = self.scorecard(f"/{language}/jobcentre/{area}?benefit=cash")
            self.assertEqual(rows[0][1], (HIDDEN[language], None))
            document = docx.Document(io.BytesIO(self.get(f"/{language}/jobcentre/{area}/report.docx?benefit=cash")[1]))
            self.assertIn(HIDDEN[language], [cell.text for table in document.tables for row in table.rows for cell in row.cells])

    # --- requests -----------------------------------------------------------------------------------

    def test_what_is_asked_wrongly_is_refused_with_what_was_expected(self):
        cases = {
            "/da/compose?indicator=nonsense": (400, "full_time_unemployed"),
            "/da/compose?indicatr=full_time_unemployed": (400, "indicator"),
            "/da/compose?indicator=cash_recipients&benefit=total": (400, "cash"),
            "/da/compose?from=2026-07&to=2025-07": (400, "2025-07"),
            "/da/compose?kind=region&area=0101": (400, "1084"),
            "/da/compose?benefit=total&benefit=cash": (400, "benefit"),
            "/da/compose.csv?indicator=nonsense": (400, "full_time_unemployed"),
            "/da/compare?kind=village": (400, "jobcentre"),
            "/da/jobcentre/0102": (404, "/da/jobcentre/0101"),
            "/da/jobcentre/Kobenhavn": (404, "/da/jobcentre/0101"),
            "/da/jobcentre/0101/report.odt": (404, "report.odt"),
            "/da/nowhere": (404, "nowhere"),
        }
        for path, (wanted, said) in cases.items():
            with self.subTest(path=path):
                status, body, headers = self.get(path)
                self.assertEqual(status, wanted)
                self.assertIn(said, html.unescape(body.decode()))
                self.assertTrue(headers["Content-Type"].startswith("text/html"))

    def test_what_a_reader_sends_comes_back_escaped(self):
        attack = "<script>alert(1)</script>'\";--"
        for path in (f"/da/jobcentre/{urllib.parse.quote(attack, safe='')}", f"/da/jobcentre?q={urllib.parse.quote(attack)}", f"/da/compose?indicator={urllib.parse.quote(attack)}", f"/da/{urllib.parse.quote(attack, safe='')}", f"/da/?{urllib.parse.quote(attack)}=1"):
            with self.subTest(path=path):
                _, body, headers = self.get(path)
                self.assertNotIn("<script", body.decode())
                self.assertIn("&lt;script&gt;", body.decode())
                self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
                self.assertNotIn("unsafe", headers["Content-Security-Policy"])

    def test_languages_validators_and_head(self):
        self.browser.get(self.place + "/")
        for asked, wanted in (("en-GB,en;q=0.8", "/en/"), ("da", "/da/"), ("fr", "/da/")):
            opener = urllib.request.build_opener(NoRedirect)
            with self.assertRaises(urllib.error.HTTPError) as caught:
                opener.open(urllib.request.Request(self.place + "/", headers={"Accept-Language": asked}), timeout=SECONDS_MAX)
            self.assertEqual((caught.exception.code, caught.exception.headers["Location"]), (307, wanted))
            caught.exception.close()
        status, body, headers = self.get("/da/about")
        self.assertEqual((status, headers["Cache-Control"], headers["Content-Language"]), (200, "no-cache", "da"))
        self.assertEqual(self.get("/da/about", **{"If-None-Match": headers["ETag"]})[0], 304)
        self.assertNotEqual(self.get("/en/about")[2]["ETag"], headers["ETag"])
        status, nothing, head = self.get("/da/about", method="HEAD")
        self.assertEqual((status, nothing, head["Content-Length"]), (200, b"", str(len(body))))
        status, body, headers = self.get("/da/", Authorization=f"Bearer {web.TOKENS[0][1]}")
        self.assertEqual(status, 200)
        self.assertIn("koebenhavn", body.decode())
        self.assertIn("private", headers["Cache-Control"])


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


if __name__ == "__main__":
    unittest.main()
