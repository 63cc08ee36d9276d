"""Goal: drivers of other languages get the published tables over PostgreSQL's protocol, as they are in the files, and closed ones by
token only.

Method: `psql` and psycopg (simple and extended queries, text and binary) against `rettidig run --role web`; the rows are compared with those of the
Parquet files. Limits, refusals and epochs that come meanwhile: pipeline/serve/src/sql/tests.rs.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import subprocess
import unittest

import psycopg
import published
import pyodbc
import test_dashboards
import web

CLOSED = ("base_budgets", "budget_follow_up", "contract_results", "investments", "refund_watch", "year_accounts")
SHOWN = 20_000


def setUpModule():
    global server
    server = web.Web()


def tearDownModule():
    server.stop()


def connect(user: str = "public", password: str = "", database: str = "rettidig", **more) -> psycopg.Connection:
    host, port = server.sql.split(":")
    return psycopg.connect(host=host, port=port, user=user, password=password, dbname=database, autocommit=True, **more)


def operator(**more) -> psycopg.Connection:
    return connect("vagt", "token-of-vagt", **more)


def psql(*arguments: str, user: str = "public", password: str = "") -> str:
    host, port = server.sql.split(":")
    given = ["psql", "-X", "-h", host, "-p", port, "-U", user, "-d", "rettidig", "-v", "ON_ERROR_STOP=1", *arguments]
    ended = subprocess.run(
        given, env=os.environ | {"PGPASSWORD": password}, capture_output=True, text=True, timeout=60, check=False
    )
    if ended.returncode:
        raise AssertionError(ended.stderr)
    return ended.stdout


def plain(value):
    """A value as both sides have it."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC)
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return value


def typed(value, kind: str):
    """A value of the files, as a driver gives one of its kind."""
    if value is None:
        return None
    if kind == published.INSTANT:
        return instant(value)
    if kind == published.DATE and isinstance(value, int):
        return datetime.date(1970, 1, 1) + datetime.timedelta(days=value)
    return plain(value)


def instant(microseconds: int) -> datetime.datetime:
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=microseconds)


class Rows(unittest.TestCase):
    def test_every_table_is_the_file_in_text_and_binary(self):
        compared = 0
        for binary in (False, True):
            with operator() as connection:
                for name, columns in published.COLUMNS.items():
                    order = ", ".join(published.GRAIN[name])
                    names = ", ".join(f'"{column}"' for column in columns)
                    limit = f" LIMIT {SHOWN}"
                    found = connection.execute(f"SELECT {names} FROM {name} ORDER BY {order}{limit}", binary=binary).fetchall()
                    rows = sorted(published.rows(name), key=lambda row, name=name: tuple(row[key] for key in published.GRAIN[name]))
                    wanted = [tuple(typed(row[column], kind) for column, kind in columns.items()) for row in rows[:SHOWN]]
                    self.assertEqual(len(found), len(wanted), name)
                    for mine, theirs in zip(wanted, found, strict=True):
                        self.assertEqual(mine, tuple(plain(value) for value in theirs), name)
                    compared += len(found)
                    count = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                    self.assertEqual(count, len(rows), name)
        self.assertGreater(compared, 100_000)

    def test_values_of_a_reader_are_values(self):
        with connect() as connection:
            asked = "SELECT count(*) FROM indicators WHERE area = %s AND value > %s AND known_at < %s"
            at = datetime.datetime(2026, 8, 20, tzinfo=datetime.UTC)
            found = connection.execute(asked, ("0101", 10.0, at)).fetchone()[0]
            wanted = [
                row for row in published.rows("indicators") if row["area"] == "0101" and (row["value"] or 0) > 10 and instant(row["known_at"]) < at
            ]
            self.assertEqual(found, len(wanted))
            self.assertGreater(found, 10)
            self.assertEqual(connection.execute(asked, ("' OR 1=1 --", 0.0, at)).fetchone()[0], 0)

    def test_psql_lists_and_describes_the_tables(self):
        listed = psql("-At", "-c", "\\dt")
        for name in ("indicators", "local_indicators", "scorecard", "areas", "catalogue"):
            self.assertIn(f"|{name}|", listed)
        described = psql("-c", "\\d targets")
        for column in ("p_value", "double precision", "target_date", "date"):
            self.assertIn(column, described)
        names = psql("-At", "-c", "SELECT a.jobcentre_name FROM areas AS a WHERE a.jobcentre = '0751' AND a.valid_to IS NULL")
        self.assertEqual(names.strip(), "Aarhus")
        known = psql("-At", "-c", "SELECT column_name FROM information_schema.columns WHERE table_name = 'funnels'").split()
        self.assertEqual(set(known), set(published.COLUMNS["funnels"]))

    def test_a_client_of_odbc_lists_and_reads_the_tables(self):
        """Excel and Power BI come so: the driver asks for the catalogue, describes what it is to fetch, and gives values as parameters."""
        host, port = server.sql.split(":")
        asked = f"DRIVER={{PostgreSQL Unicode}};Server={host};Port={port};Database=rettidig;Uid=public;Pwd=;ReadOnly=1"
        connection = pyodbc.connect(asked, autocommit=True)
        self.addCleanup(connection.close)
        cursor = connection.cursor()
        listed = {row.table_name for row in cursor.tables(schema="public", tableType="TABLE")}
        self.assertLessEqual({"indicators", "targets", "scorecard"}, listed)
        columns = {row.column_name: row.type_name for row in cursor.columns(table="targets", schema="public")}
        self.assertEqual(list(columns), list(published.COLUMNS["targets"]))
        rows = cursor.execute("SELECT * FROM targets WHERE area = ? AND newest ORDER BY indicator, benefit", "0101").fetchall()
        wanted = [row for row in published.rows("targets") if row["area"] == "0101" and row["newest"]]
        wanted.sort(key=lambda row: (row["indicator"], row["benefit"]))
        self.assertGreater(len(wanted), 1)
        self.assertEqual(len(rows), len(wanted))
        for found, row in zip(rows, wanted, strict=True):
            self.assertEqual((found.indicator, found.state, found.newest in (True, "1")), (row["indicator"], row["state"], True))
            self.assertAlmostEqual(found.value, row["value"], delta=1e-12 * abs(row["value"]))
            self.assertEqual(found.target_date, typed(row["target_date"], published.DATE))
        with self.assertRaises(pyodbc.Error):
            cursor.execute("DELETE FROM targets")

    def test_every_query_of_the_dashboards_is_answered(self):
        """With the variables and macros as Grafana replaces them."""
        stands = {
            "$indicator": "full_time_unemployed",
            "$area": "0101",
            "$benefit": "total",
            "$__timeFrom()": "'2026-08-18T00:00:00Z'",
            "$__timeTo()": "'2026-08-25T00:00:00Z'",
        }
        asked = test_dashboards.sql_queries()
        self.assertGreaterEqual(len(asked), 7)
        with connect() as connection:
            for board, title, text in asked:
                for name, value in stands.items():
                    text = text.replace(name, value)
                found = connection.execute(text)
                rows = found.fetchall()
                self.assertTrue(rows, (board, title))
                columns = [column.name for column in found.description]
                if columns[0] == "time":
                    self.assertTrue(all(isinstance(row[0], datetime.datetime) for row in rows), title)
                    self.assertEqual(columns, ["time", "metric", "value"])


class AsKnown(unittest.TestCase):
    def test_a_database_at_an_instant_is_what_was_known_then(self):
        newest = instant(max(row["known_at"] for row in published.rows("vintages")))
        at = (newest - datetime.timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        asked = "SELECT count(*) AS n, sum(CASE WHEN value > 0 THEN round(value) ELSE 0 END) AS total FROM vintages"
        with connect() as now, connect(database=f"rettidig@{at}") as then:
            newer, known = now.execute(asked).fetchone(), then.execute(asked).fetchone()
        self.assertLess(known[0], newer[0])
        self.assertGreater(known[0], 1_000)
        program = [web.PROGRAM, "query", "--json", "--data", server.data, "--as-known", at, asked]
        told = json.loads(subprocess.run(program, capture_output=True, text=True, timeout=120, check=True).stdout)
        self.assertEqual(known, (told[0]["n"], told[0]["total"]))

    def test_who_has_a_token_sees_what_was_known_of_persons_too(self):
        manifests = sorted((server.data / "epochs").glob("*.json"), key=lambda path: int(path.stem))
        epochs = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
        # The day before the newest one.
        then = [epoch for epoch in epochs if epoch["as_of"] < epochs[-1]["as_of"] and epoch["local"]][-1]
        at = then["committed_at"]
        asked = "SELECT count(*) AS n, sum(numerator) AS numerators, max(epoch) AS newest FROM local_indicators"
        program = [web.PROGRAM, "query", "--json", "--data", server.data, "--as-known", at, asked]
        (told,) = json.loads(subprocess.run(program, capture_output=True, text=True, timeout=300, check=True).stdout)
        with connect("koebenhavn", "token-of-koebenhavn", database=f"rettidig@{at}") as own:
            self.assertEqual(own.execute(asked).fetchone(), (told["n"], told["numerators"], told["newest"]))
            self.assertEqual(told["newest"], then["epoch"])
            self.assertGreater(own.execute("SELECT count(*) FROM scorecard").fetchone()[0], 100)
            areas = {row[0] for row in own.execute("SELECT DISTINCT area FROM refund_watch").fetchall()}
            self.assertLessEqual(areas, {"0101"})
        with connect(database=f"rettidig@{at}") as public, self.assertRaises(psycopg.errors.InsufficientPrivilege):
            public.execute(asked)


class Access(unittest.TestCase):
    def test_closed_tables_by_token_and_own_rows_only(self):
        with connect() as public, connect("koebenhavn", "token-of-koebenhavn") as own, operator() as all_of_them:
            seen = 0
            for name in CLOSED:
                with self.assertRaises(psycopg.errors.InsufficientPrivilege, msg=name):
                    public.execute(f"SELECT * FROM {name}")
                areas = {row[0] for row in own.execute(f"SELECT DISTINCT area FROM {name}").fetchall()}
                self.assertLessEqual(areas, {"0101"}, name)
                seen += len(areas)
                every = {row[0] for row in all_of_them.execute(f"SELECT DISTINCT area FROM {name}").fetchall()}
                self.assertEqual(every, {row["area"] for row in published.rows(name)}, name)
            self.assertGreater(seen, 0)
        verified = subprocess.run(
            [web.PROGRAM, "audit", "verify", "--json", "--data", server.data], capture_output=True, text=True, timeout=60, check=True
        )
        log = json.loads(verified.stdout)["audit/closed.jsonl"]
        self.assertGreaterEqual(log["lines"], 2 * len(CLOSED))
        self.assertIsNone(log["broken_at"])
        lines = [json.loads(line) for line in (server.data / "audit/closed.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertIn(("koebenhavn", ["refund_watch"]), [(line["as"], line["question"].get("tables")) for line in lines])
        self.assertNotIn("token-of", json.dumps(lines))

    def test_tokens_are_asked_for(self):
        for user, password in (("koebenhavn", "token-of-vagt"), ("vagt", "x"), ("postgres", "postgres-password")):
            with self.assertRaises(psycopg.OperationalError, msg=user) as refused:
                connect(user, password)
            self.assertIn("authentication failed", str(refused.exception))
            self.assertNotIn(password if len(password) > 1 else "-password", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
