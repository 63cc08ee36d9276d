"""Goal: what we publish is plain Parquet that three engines read alike, described in the file itself.

Method: every table of the latest epoch is opened with DuckDB, Polars and PyArrow and compared value by
value; columns and types with the contract; metadata, sidecar and `_epoch.json` with the file.
"""

from __future__ import annotations

import collections
import hashlib
import math
import re
import unittest

import pyarrow
import pyarrow.parquet

import fixtures
import polars
import published

# A municipality's own system, e.g. ky-101.
OWN_SOURCE = re.compile(r"^[a-z-]+-\d{3}$")


class Engines(unittest.TestCase):
    def test_columns_and_types_are_the_contract(self):
        for table, columns in published.COLUMNS.items():
            with self.subTest(table=table):
                schema = pyarrow.parquet.ParquetFile(published.path(table)).schema_arrow
                self.assertEqual({f.name: f.type for f in schema}, {c: published.ARROW[t] for c, t in columns.items()})
                self.assertEqual(schema.names, list(columns), "column order")
                self.assertEqual(
                    published.duckdb_types(table), {c: published.DUCKDB[t] for c, t in columns.items()}, "DuckDB"
                )
                self.assertEqual(
                    dict(polars.read_parquet_schema(published.path(table))),
                    {c: published.POLARS[t] for c, t in columns.items()},
                    "Polars",
                )

    def test_three_engines_read_identical_rows(self):
        for table in published.COLUMNS:
            with self.subTest(table=table):
                arrow = published.arrow_columns(table)
                if table not in published.NEEDS_YEARS:
                    self.assertGreater(len(next(iter(arrow.values()))), 0, "an empty table proves nothing")
                for engine, columns in (
                    ("DuckDB", published.duckdb_columns(table)),
                    ("Polars", published.polars_columns(table)),
                ):
                    self.assertEqual(list(columns), list(arrow), engine)
                    for name, values in columns.items():
                        self.assertEqual(len(values), len(arrow[name]), f"{engine} {name}")
                        different = [i for i, (a, b) in enumerate(zip(arrow[name], values)) if a != b]
                        self.assertEqual(different[:5], [], f"{engine} {name}: rows that differ from PyArrow")

    def test_no_nan_and_no_infinity(self):
        # Both would pass for numbers in a report; a missing number is null.
        for table, columns in published.COLUMNS.items():
            for name, kind in columns.items():
                if kind == published.FLOAT:
                    values = published.arrow_columns(table)[name]
                    bad = [v for v in values if v is not None and not math.isfinite(v)]
                    self.assertEqual(bad[:5], [], f"{table}.{name}")


class Description(unittest.TestCase):
    def test_metadata_is_in_the_file(self):
        number = published.epoch()["epoch"]
        for table, columns in published.COLUMNS.items():
            with self.subTest(table=table):
                found = published.metadata(table)
                self.assertTrue(found.get("rettidig.table.description"), "description of the table")
                grain = [part.strip() for part in found.get("rettidig.table.grain", "").split(",")]
                self.assertEqual(grain, published.GRAIN[table])
                # The epoch that wrote the file: an unchanged table keeps its file.
                self.assertLessEqual(int(found.get("rettidig.epoch")), number)
                for name in columns:
                    self.assertTrue(found.get(f"rettidig.column.{name}.description"), f"description of {name}")
                    self.assertTrue(found.get(f"rettidig.column.{name}.unit"), f"unit of {name}")
                    self.assertTrue(found.get(f"rettidig.column.{name}.danish"), f"Danish name of {name}")

    def test_sidecar_says_the_same(self):
        for table, columns in published.COLUMNS.items():
            with self.subTest(table=table):
                found, sidecar = published.metadata(table), published.sidecar(table)
                self.assertEqual(sidecar["table"], table)
                self.assertEqual(sidecar["description"], found["rettidig.table.description"])
                self.assertEqual(sidecar["grain"], published.GRAIN[table])
                for name in ("danish", "changes", "change_policy"):
                    self.assertEqual(sidecar[name], found[f"rettidig.table.{name}"])
                self.assertEqual(str(sidecar["version"]), found["rettidig.table.version"])
                self.assertEqual(str(sidecar["epoch"]), found["rettidig.epoch"])
                self.assertEqual(
                    sidecar["columns"],
                    [
                        {
                            "name": name,
                            "danish": found[f"rettidig.column.{name}.danish"],
                            "type": kind,
                            "nullable": pyarrow.parquet.ParquetFile(published.path(table)).schema_arrow.field(name).nullable,
                            "unit": found[f"rettidig.column.{name}.unit"],
                            "description": found[f"rettidig.column.{name}.description"],
                        }
                        for name, kind in columns.items()
                    ],
                )

    def test_epoch_file_names_every_file_and_its_checksum(self):
        epoch = published.epoch()
        self.assertIsInstance(epoch["epoch"], int)
        self.assertEqual(
            sorted(epoch["files"]),
            sorted(p.name for p in published.folder().glob("*.parquet")),
            "files named and files there",
        )
        self.assertLessEqual({f"{t}.parquet" for t in published.COLUMNS}, set(epoch["files"]))
        for name, entry in epoch["files"].items():
            with self.subTest(file=name):
                content = (published.folder() / name).read_bytes()
                self.assertEqual(hashlib.sha256(content).hexdigest(), entry["sha256"])
                self.assertEqual(pyarrow.parquet.ParquetFile(published.folder() / name).metadata.num_rows, entry["rows"])

    def test_one_epoch_everywhere(self):
        number = published.epoch()["epoch"]
        self.assertEqual({row["epoch"] for row in published.rows("indicators") if row["epoch"] > number}, set())
        self.assertEqual({row["epoch"] for row in published.rows("revisions") if row["epoch"] > number}, set())


class Rows(unittest.TestCase):
    def test_grain_is_unique_and_not_null(self):
        for table, grain in published.GRAIN.items():
            with self.subTest(table=table):
                keys = [tuple(row[name] for name in grain) for row in published.rows(table)]
                self.assertEqual([k for k in keys if None in k][:5], [], "null in the grain")
                twice = [k for k, n in collections.Counter(keys).items() if n > 1]
                self.assertEqual(twice[:5], [], "more than one row")

    def test_codes_keep_their_leading_zeros(self):
        municipalities = {row["municipality"] for row in fixtures.reference("areas")}
        shape = {
            "municipality": municipalities,
            "jobcentre": {row["jobcentre"] for row in fixtures.reference("areas")},
            "cluster": {row["cluster"] for row in fixtures.reference("areas")},
            "region": {row["region"] for row in fixtures.reference("areas")},
            "country": {fixtures.COUNTRY},
        }
        for table in ("indicators", "targets", "revisions"):
            found = {(row["area_kind"], row["area"]) for row in published.rows(table)}
            self.assertEqual([a for a in found if a[1] not in shape.get(a[0], ())][:5], [], table)
        self.assertEqual(
            {row["area"] for row in published.rows("indicators") if row["area_kind"] == "municipality"},
            municipalities,
            "all 98 municipalities, and nothing else",
        )
        completeness = {row["area"] for row in published.rows("completeness")}
        self.assertEqual(completeness - municipalities - {fixtures.COUNTRY}, set())

    def test_words_come_from_closed_lists(self):
        for table, column, allowed in (
            ("indicators", "area_kind", published.AREA_KINDS),
            ("indicators", "status", published.STATUSES),
            ("targets", "state", published.STATES),
            ("revisions", "cause", published.CAUSES),
        ):
            self.assertEqual({row[column] for row in published.rows(table)} - allowed, set(), f"{table}.{column}")
        for row in published.rows("indicators"):
            self.assertRegex(row["period"], r"^\d{4}(-(0[1-9]|1[0-2]))?$")
            self.assertEqual(row["breakdown"] == "total", row["breakdown_value"] == "total", row)
        sources = {row["source"] for row in fixtures.reference("sources")}
        for table in ("completeness", "freshness"):
            for source in {row["source"] for row in published.rows(table)} - sources:
                self.assertRegex(source, OWN_SOURCE, table)

    def test_missing_is_never_zero_and_hidden_shows_nothing(self):
        for row in published.rows("indicators"):
            numbers = (row["value"], row["numerator"], row["denominator"])
            if row["status"] in published.VISIBLE:
                self.assertIsNotNone(row["value"], row)
            else:
                self.assertEqual(numbers, (None, None, None), row)

    def test_ratios_follow_from_their_parts(self):
        # A visible ratio carries what it was made of; a count carries itself or nothing.
        for row in published.rows("indicators"):
            if row["status"] not in published.VISIBLE or row["numerator"] is None or not row["denominator"]:
                continue
            ratio = row["numerator"] / row["denominator"]
            self.assertTrue(
                any(math.isclose(row["value"], ratio * factor, rel_tol=1e-9) for factor in (1, 100)),
                row,
            )

    def test_targets_are_those_of_the_reference(self):
        key = ("area_kind", "area", "indicator", "benefit")
        wanted = {tuple(row[k] for k in key): row for row in fixtures.reference("targets")}
        self.assertEqual({tuple(row[k] for k in key) for row in published.rows("targets")}, set(wanted))
        for row in published.rows("targets"):
            source = wanted[tuple(row[k] for k in key)]
            self.assertEqual(row["zero_date"].isoformat(), source["zero_date"])
            self.assertEqual(row["target_date"].isoformat(), source["target_date"])
            self.assertEqual(row["zero_value"], float(source["zero_value"]))
            self.assertEqual(row["target_value"], float(source["target_value"]))
            if row["value"] is None:
                self.assertIsNone(row["realised_ratio"], row)
                self.assertNotIn(row["state"], {"on_track", "drifting"}, row)
            else:
                ratio = (row["value"] - row["zero_value"]) / (row["target_value"] - row["zero_value"])
                self.assertTrue(math.isclose(row["realised_ratio"], ratio, rel_tol=1e-9, abs_tol=1e-12), row)
            if row["probability"] is not None:
                self.assertTrue(0 <= row["probability"] <= 1, row)
            if row["lower_limit"] is not None and row["upper_limit"] is not None:
                self.assertLessEqual(row["lower_limit"], row["upper_limit"], row)

    def test_completeness_counts(self):
        for row in published.rows("completeness"):
            self.assertGreaterEqual(row["received"], 0, row)
            if OWN_SOURCE.match(row["source"]):
                # Records of persons are told in tens: a few of them may be a few persons.
                self.assertEqual((row["expected"] % 10, row["received"] % 10), (0, 0), row)
                self.assertEqual(row["ratio"] is None, row["expected"] == 0, row)
            if row["ratio"] is not None:
                self.assertGreater(row["expected"], 0, row)
                self.assertTrue(math.isclose(row["ratio"], row["received"] / row["expected"], rel_tol=1e-9), row)

    def test_freshness_states_the_lag_it_replaces(self):
        lag = {row["source"]: int(row["official_lag_days"]) for row in fixtures.reference("sources")}
        for row in published.rows("freshness"):
            self.assertEqual(row["official_lag_days"], lag.get(row["source"]), row)
            self.assertEqual(row["published"] is None, row["source"] not in lag, row)
            self.assertGreaterEqual(row["age_seconds"], 0, row)


if __name__ == "__main__":
    unittest.main()
