"""Goal: over HTTP and SQL everybody gets what is theirs, over TLS where it is set up, and nobody can take the service from the others.

Method: requests of the standard library against `rettidig run --role web`; each point of pipeline/docs/security.md names its test here or elsewhere.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import html
import http.client
import ipaddress
import json
import math
import pathlib
import re
import socket
import ssl
import tempfile
import time
import unittest

import psycopg
import published
import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKENS = {name: token for name, token, *_ in web.TOKENS}


def setUpModule():
    global server
    server = web.Web()


def tearDownModule():
    server.stop()


def ask(path: str, token: str | None = None, method: str = "GET", headers: dict | None = None):
    connection = http.client.HTTPConnection(server.http, timeout=30)
    try:
        shown = {"Authorization": f"Bearer {token}"} if token is not None else {}
        connection.request(method, path, headers=shown | (headers or {}))
        answer = connection.getresponse()
        return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), answer.read()
    finally:
        connection.close()


class Tokens(unittest.TestCase):
    def test_a_closed_file_is_for_operators(self):
        self.assertEqual(ask("/tables/refund_watch.parquet")[0], 403)
        self.assertEqual(ask("/tables/refund_watch.parquet", TOKENS["koebenhavn"])[0], 403)
        status, _, body = ask("/tables/refund_watch.parquet", TOKENS["vagt"])
        self.assertEqual(status, 200)
        self.assertEqual(body, published.path("refund_watch").read_bytes())
        # Neither a condition nor a range nor a method leads around it.
        digest = hashlib.sha256(body).hexdigest()
        for headers in ({"If-None-Match": f'"{digest}"'}, {"If-None-Match": "*"}, {"Range": "bytes=0-3"}):
            self.assertEqual(ask("/tables/refund_watch.parquet", headers=headers)[0], 403, headers)
        self.assertEqual(ask("/tables/refund_watch.parquet", method="HEAD")[0], 403)
        for path in ("/tables/../tables/refund_watch.parquet", "/tables/%2e%2e/latest/refund_watch.parquet", "/tables/..%2frefund_watch.parquet"):
            self.assertIn(ask(path)[0], (400, 403, 404), path)
        self.assertEqual(ask("/tables/indicators.parquet")[0], 200)

    def test_the_economy_of_a_jobcentre_is_on_the_page_of_who_may_see_it(self):
        def shown(area, token=None):
            status, _, body = ask(f"/en/jobcentre/{area}", token)
            self.assertEqual(status, 200, body[:300])
            return html.unescape(body.decode())

        accounts = [row for row in published.rows("year_accounts") if row["area"] == "0101"]
        newest = max(row["year"] for row in published.rows("year_accounts"))
        accounts = [row for row in accounts if row["year"] == newest and row["actual_oere"] is not None]
        weeks = sorted({row["week"] for row in published.rows("refund_watch")}, reverse=True)[:8]
        refunds = [row for row in published.rows("refund_watch") if row["area"] == "0101" and row["week"] in weeks and row["booked_oere"] is not None]
        self.assertGreater(min(len(accounts), len(refunds)), 2)
        lines = lambda: (server.data / "audit/closed.jsonl").read_text(encoding="utf-8").count('"for":"accounts_shown"')
        before = lines() if (server.data / "audit/closed.jsonl").exists() else 0
        for token in (TOKENS["koebenhavn"], TOKENS["vagt"]):
            text = shown("0101", token)
            values = [float(value) for value in re.findall(r'<data value="([^"]+)">', text)]
            for amount in [row["actual_oere"] for row in accounts] + [row["booked_oere"] for row in refunds]:
                self.assertTrue(any(math.isclose(value, amount / 100, rel_tol=1e-12) for value in values), amount)
        self.assertEqual(lines(), before + 2, "that it was read is written down")
        # Nobody else: not anybody, and not the token of another jobcentre.
        for area, token in (("0101", None), ("0851", TOKENS["koebenhavn"])):
            text = shown(area, token)
            self.assertNotIn("Accounts of the year", text)
            self.assertNotIn("State refund by week", text)
        self.assertEqual(lines(), before + 2)

    def test_a_token_that_nobody_has_is_refused_everywhere(self):
        for path in ("/tables", "/tables/indicators.parquet", "/tables/refund_watch.parquet"):
            for token in ("wrong", "", "token-of-vagt ", hashlib.sha256(b"token-of-vagt").hexdigest()):
                status, headers, body = ask(path, token)
                if token.strip() == "token-of-vagt":
                    continue
                self.assertEqual(status, 401, (path, token))
                self.assertEqual(headers["www-authenticate"], "Bearer")
                self.assertNotIn(b"token-of", body)

    def test_a_browser_shows_the_token_as_a_password_under_its_name(self):
        basic = lambda name, password: {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
        self.assertEqual(ask("/tables/refund_watch.parquet", headers=basic("vagt", TOKENS["vagt"]))[0], 200)
        self.assertEqual(ask("/tables/refund_watch.parquet", headers=basic("koebenhavn", TOKENS["koebenhavn"]))[0], 403)
        for name, password in (("koebenhavn", TOKENS["vagt"]), ("vagt", "wrong"), ("", TOKENS["vagt"]), ("vagt", "")):
            status, headers, _ = ask("/tables", headers=basic(name, password))
            self.assertEqual(status, 401, name)
            self.assertTrue(headers["www-authenticate"].startswith("Basic realm="), "the browser asks again")
        for language, words in (("da", "Log ind"), ("en", "Log in")):
            status, headers, body = ask(f"/login?language={language}")
            self.assertEqual(status, 401)
            self.assertTrue(headers["www-authenticate"].startswith("Basic realm="))
            self.assertIn(words, body.decode())
            self.assertIn(f'href="/login?language={language}"', ask(f"/{language}/")[2].decode())
            status, headers, _ = ask(f"/login?language={language}", headers=basic("koebenhavn", TOKENS["koebenhavn"]))
            self.assertEqual((status, headers["location"]), (303, f"/{language}/"))
            self.assertNotIn("/login", ask(f"/{language}/", TOKENS["koebenhavn"])[2].decode(), "who is known is not asked")

    def test_tokens_are_not_in_the_log(self):
        ask("/tables/refund_watch.parquet", TOKENS["vagt"])
        ask("/tables", "wrong-token-that-must-not-be-logged")
        log = server.log.read_text(encoding="utf-8")
        self.assertNotIn("token-of", log)
        self.assertNotIn("must-not-be-logged", log)


class TakenBack(unittest.TestCase):
    def test_tokens_are_read_again_and_who_lost_one_is_out_in_http_and_sql(self):
        service = web.Web()
        self.addCleanup(service.stop)

        def status(token: str) -> int:
            connection = http.client.HTTPConnection(service.http, timeout=30)
            self.addCleanup(connection.close)
            connection.request("GET", "/tables/refund_watch.parquet", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status

        def until(token: str, wanted: int):
            deadline = time.monotonic() + web.SECONDS_MAX
            while status(token) != wanted:
                self.assertLess(time.monotonic(), deadline, f"{token} is not answered {wanted}: {service.log.read_text()}")
                time.sleep(0.2)

        host, port = service.sql.split(":")
        given = {"host": host, "port": port, "dbname": "rettidig", "autocommit": True}
        lost = psycopg.connect(user="vagt", password=TOKENS["vagt"], **given)
        self.addCleanup(lost.close)
        self.assertGreater(lost.execute("SELECT count(*) FROM refund_watch").fetchone()[0], 0)
        self.assertEqual((status(TOKENS["vagt"]), status("token-of-ny")), (200, 401))
        # A file with faults takes nothing from anybody.
        service.tokens.write_text("- {name: half")
        deadline = time.monotonic() + web.SECONDS_MAX
        while "the new tokens cannot be used" not in service.log.read_text():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        self.assertEqual(status(TOKENS["vagt"]), 200)
        service.give_out([("ny", "token-of-ny", "operator", [])])
        until("token-of-ny", 200)
        self.assertEqual(status(TOKENS["vagt"]), 401)
        with self.assertRaisesRegex(psycopg.Error, "taken back"):
            lost.execute("SELECT count(*) FROM refund_watch")
        with self.assertRaises(psycopg.OperationalError):
            psycopg.connect(user="vagt", password=TOKENS["vagt"], **given)
        with psycopg.connect(user="ny", password="token-of-ny", **given) as new:
            self.assertGreater(new.execute("SELECT count(*) FROM refund_watch").fetchone()[0], 0)


class Told(unittest.TestCase):
    def test_every_answer_has_the_headers(self):
        for path in ("/tables", "/tables/indicators.parquet", "/metrics", "/healthz", "/tables/nothing.parquet", "/nothing"):
            headers = ask(path)[1]
            self.assertEqual(headers["x-content-type-options"], "nosniff", path)
            self.assertEqual(headers["x-frame-options"], "DENY", path)
            self.assertEqual(headers["referrer-policy"], "no-referrer", path)
            self.assertIn("default-src 'none'", headers["content-security-policy"], path)
            self.assertNotIn("server", headers, path)

    def test_nothing_is_written_over_http(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
            for path in ("/tables", "/tables/indicators.parquet", "/metrics"):
                self.assertEqual(ask(path, TOKENS["vagt"], method)[0], 405, (method, path))


class Limits(unittest.TestCase):
    def test_who_asks_too_often_waits_and_the_watchers_do_not(self):
        limited = web.Web({"access": {"requests_per_minute": 60}})
        self.addCleanup(limited.stop)
        connection = http.client.HTTPConnection(limited.http, timeout=30)
        self.addCleanup(connection.close)

        def status(path: str) -> int:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        asked = [status("/tables") for _ in range(140)]
        # Twice as many at once, and one a second.
        self.assertGreaterEqual(asked.count(200), 100)
        self.assertGreater(asked.count(429), 5)
        self.assertEqual([status("/healthz") for _ in range(5)], [200] * 5)
        self.assertEqual(status("/metrics"), 200)

    def test_who_does_not_come_to_the_point_loses_the_connection(self):
        host, port = server.http.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(b"GET /tables HTTP/1.1\r\nHost: rettidig\r\nX-More: ")
            told = b""
            while part := slow.recv(4096):
                told += part
        # It is closed, with an answer or without, before any limit of this test; others are served meanwhile and after.
        self.assertTrue(told == b"" or told.startswith(b"HTTP/1.1 408"), told[:60])
        self.assertEqual(ask("/tables")[0], 200)


def certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for this machine, its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rettidig test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = (folder / "tls.crt", folder / "tls.key")
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


class Encrypted(unittest.TestCase):
    def test_http_and_sql_over_tls(self):
        work = tempfile.TemporaryDirectory(prefix="rettidig-tls-")
        self.addCleanup(work.cleanup)
        crt, key = certificate(pathlib.Path(work.name))
        context = ssl.create_default_context(cafile=str(crt))
        secure = web.Web({"tls": {"certificate_file": str(crt), "key_file": str(key)}}, context)
        self.addCleanup(secure.stop)

        connection = http.client.HTTPSConnection(secure.http, timeout=30, context=context)
        self.addCleanup(connection.close)
        connection.request("GET", "/tables", headers={"Authorization": f"Bearer {TOKENS['vagt']}"})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertIn("max-age=", answer.headers["strict-transport-security"])
        self.assertGreater(json.loads(answer.read())["epoch"], 0)
        self.assertIn(connection.sock.version(), ("TLSv1.2", "TLSv1.3"))

        plain = http.client.HTTPConnection(secure.http, timeout=10)
        self.addCleanup(plain.close)
        with self.assertRaises((http.client.HTTPException, OSError)):
            plain.request("GET", "/tables")
            plain.getresponse()

        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(crt)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            refused = http.client.HTTPSConnection(secure.http, timeout=10, context=old)
            refused.request("GET", "/tables")

        host, port = secure.sql.split(":")
        with psycopg.connect(
            host=host, port=port, user="vagt", password=TOKENS["vagt"], dbname="rettidig", sslmode="verify-full", sslrootcert=str(crt)
        ) as sql:
            self.assertGreater(sql.execute("SELECT count(*) FROM refund_watch").fetchone()[0], 0)


if __name__ == "__main__":
    unittest.main()
