"""The chart against the program: its arguments are taken, its configurations understood, its probes answered.

Needs the binary that `cargo run` has made (RETTIDIG_PROGRAM, else the one in CARGO_TARGET_DIR or target), and tables for web to show.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import select
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import psycopg
import published
import yaml

from chart import CASES, PARTS, ROLES, ROOT, configuration, container, of_kind, pods, render
from test_access import certificate

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = pathlib.Path(os.environ.get("RETTIDIG_PROGRAM", TARGET / "debug/rettidig"))

# Of the one reader that with_files knows.
TOKEN = "token-of-vagt"

# Longer than anything waits for here.
SECONDS_MAX = 60


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False, cwd="/"
    )


def status(url: str | urllib.request.Request, context: ssl.SSLContext | None = None) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class Case(unittest.TestCase):
    def setUp(self):
        self.assertTrue(PROGRAM.exists(), f"{PROGRAM} is missing: cargo build -p rettidig")
        folder = tempfile.TemporaryDirectory(prefix="rettidig-chart-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def with_files(self, config: dict) -> dict:
        """The configuration of web with what its Secrets would hold."""
        tls, tokens = self.folder / "tls", self.folder / "tokens.yaml"
        tls.mkdir()
        crt, key = certificate(tls)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        tokens.write_text(f"[{{name: vagt, sha256: {digest}, role: operator}}]", encoding="utf-8")
        made = {**config, "tls": {"certificate_file": str(crt), "key_file": str(key)}}
        self.assertEqual(pathlib.Path(config["access"]["tokens_file"]).name, tokens.name)
        self.assertEqual(pathlib.Path(config["tls"]["certificate_file"]).name, crt.name)
        self.assertEqual(pathlib.Path(config["tls"]["key_file"]).name, key.name)
        return {**made, "access": {**config["access"], "tokens_file": str(tokens)}}

    def write(self, config: dict) -> str:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return str(path)


class Arguments(Case):
    def test_the_program_takes_them(self):
        seen = set()
        for case in CASES:
            for name, pod in pods(render(case)).items():
                arguments = [
                    argument.replace("$(POD_NAME)", "r-worker-0").replace("$(POD_IP)", "10.0.0.1")
                    for argument in container(pod)["args"]
                ]
                self.assertNotIn("$(", "".join(arguments))
                # What stands before --help is read, and refused if it is not known.
                done = run(*arguments, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(run(*arguments, "--surprise", "--help").returncode, 2)
                seen.add(name)
        self.assertEqual(seen, {*PARTS.values(), "ballista-scheduler", "ballista-executor"})


class Configurations(Case):
    def test_check_finds_nothing_wrong_without_a_source_of_persons(self):
        checked = 0
        for case in CASES:
            for part in PARTS:
                if "config.yaml" not in (of_kind(render(case), "ConfigMap")[part].get("data") or {}):
                    continue
                config = configuration(render(case), part)
                if case == "strimzi" and part == "connectors":
                    # Its token stands in a Secret.
                    config["connectors"]["jobindsats"]["token_file"] = str(self.folder / "token")
                    (self.folder / "token").write_text("token", encoding="utf-8")
                if case == "persons" and part == "web":
                    config = self.with_files(config)
                if case != "persons" or part != "connectors":
                    done = run("check", "--config", self.write(config))
                    self.assertEqual(done.returncode, 0, (case, part, done.stdout, done.stderr))
                checked += 1
        self.assertGreaterEqual(checked, 19)

    def test_check_says_what_of_web_is_missing(self):
        config = configuration(render("persons"), "web")
        done = run("check", "--config", self.write(config))
        self.assertNotEqual(done.returncode, 0)
        for section, key in (("access", "tokens_file"), ("tls", "certificate_file"), ("tls", "key_file")):
            self.assertRegex(done.stdout + done.stderr, f"{section}.{key}: .*{config[section][key]}")

    def test_check_understands_sources_of_persons_once_their_files_are_there(self):
        config = configuration(render("persons"), "connectors")
        text = yaml.safe_dump(config)
        for path in set(re.findall(r"/(?:etc/rettidig|srv)/\S+", text)):
            here = self.folder / path.lstrip("/")
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_text("0123456789abcdef" * 4, encoding="utf-8")
            text = text.replace(path, str(here))
        done = run("check", "--config", self.write(yaml.safe_load(text)))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        config["feeds"]["yr-west"]["plaec"] = "x"
        done = run("check", "--config", self.write(config))
        self.assertIn("unknown key feeds.yr-west.plaec", done.stdout + done.stderr)


class Probes(Case):
    @contextlib.contextmanager
    def running(self, part: str, case: str = "minimal"):
        """A part of the work as its pod starts it, with no broker there."""
        manifests = render(case)
        config = configuration(manifests, part)
        config.update(data=str(self.folder / part), listen="127.0.0.1:0")
        if "kafka" in config:
            config["kafka"]["brokers"] = "127.0.0.1:1"
        if "tls" in config:
            config = self.with_files(config)
        if "sql" in config:
            config["sql"]["listen"] = "127.0.0.1:0"
        config["connectors"] = configuration(manifests, "workers")["connectors"]
        pod = container(pods(manifests)[PARTS[part]])
        arguments = [argument.replace("$(POD_NAME)", "r-worker-0") for argument in pod["args"]]
        arguments[arguments.index("--config") + 1] = self.write(config)
        process = subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.PIPE, bufsize=0, cwd=self.folder)
        try:
            yield pod, process
        finally:
            process.kill()
            process.wait(SECONDS_MAX)
            process.stderr.close()

    def address(self, process: subprocess.Popen, pattern: str = r"(https?://127\.0\.0\.1:\d+)/") -> str:
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            if select.select([process.stderr], [], [], 1)[0]:
                # Unbuffered: what is read ahead would not be seen by `select`.
                line = process.stderr.readline().decode()
                if found := re.search(pattern, line):
                    return found[1]
                self.assertTrue(line, "it ended")
        self.fail("it does not say where it listens")

    def test_each_part_is_alive_and_scraped_without_a_broker_and_is_ready_only_if_it_has_its_place(self):
        for part in PARTS:
            with self.subTest(part), self.running(part) as (pod, process):
                address = self.address(process)
                self.assertEqual(status(address + pod["startupProbe"]["httpGet"]["path"]), 200)
                self.assertEqual(status(address + pod["livenessProbe"]["httpGet"]["path"]), 200)
                self.assertEqual(status(address + "/metrics"), 200)
                ready = status(address + pod["readinessProbe"]["httpGet"]["path"])
                self.assertEqual(ready, 200 if part == "connectors" else 503)
                # It waits for the broker, and does not end.
                self.assertIsNone(process.poll())

    def until_ready(self, url: str, context: ssl.SSLContext | None = None):
        deadline = time.monotonic() + SECONDS_MAX
        while status(url, context) != 200:
            self.assertLess(time.monotonic(), deadline, f"{url} is not ready")
            time.sleep(0.1)

    def test_web_is_ready_as_soon_as_somebody_has_committed_an_epoch(self):
        with self.running("web") as (pod, process):
            address = self.address(process)
            ready = address + pod["readinessProbe"]["httpGet"]["path"]
            self.assertEqual(status(ready), 503)
            # It is there while web runs, as from a committer.
            shutil.copytree(published.folder().parents[1], self.folder / "web", dirs_exist_ok=True)
            self.until_ready(ready)
            self.assertEqual(status(address + "/tables"), 200)
            # What is left when the ServiceMonitor has dropped what the committer tells too.
            (monitor,) = of_kind(render("strimzi"), "ServiceMonitor").values()
            (relabeling,) = monitor["spec"]["endpoints"][0]["metricRelabelings"]
            with urllib.request.urlopen(address + "/metrics", timeout=30) as answer:
                names = re.findall(r"(?m)^(\w+)", answer.read().decode())
            kept = [name for name in names if not re.fullmatch(relabeling["regex"], f"web;{name}")]
            self.assertGreater(len(names), 5000)
            self.assertLess(len(kept), 200)
            self.assertIn("rettidig_epoch_number", kept)

    def test_web_with_tls_is_probed_over_tls_and_answers_sql(self):
        shutil.copytree(published.folder().parents[1], self.folder / "web")
        with self.running("web", "persons") as (pod, process):
            address = self.address(process)
            sql = self.address(process, r"sql: (127\.0\.0\.1:\d+)")
            # The kubelet takes any certificate; here it is known.
            context = ssl.create_default_context(cafile=str(self.folder / "tls/tls.crt"))
            probes = [pod[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
            self.assertEqual({probe["scheme"] for probe in probes}, {"HTTPS"})
            for probe in probes:
                self.until_ready(address + probe["path"], context)
            self.assertEqual(status(address + "/metrics", context), 200)
            host, port = sql.split(":")
            root = str(self.folder / "tls/tls.crt")
            with psycopg.connect(host=host, port=port, dbname="rettidig", user="public", sslmode="verify-full",
                                 sslrootcert=root, connect_timeout=SECONDS_MAX) as connection:
                (rows,) = connection.execute("SELECT count(*) FROM indicators").fetchone()
            self.assertGreater(rows, 0)

    def test_web_writes_nothing_but_who_read_closed_tables(self):
        """So it needs the shared volume to write to, and no other place."""
        data = self.folder / "web"
        shutil.copytree(published.folder().parents[1], data)
        shutil.rmtree(data / "audit", ignore_errors=True)

        def files() -> dict[str, tuple[int, int]]:
            found = [path for path in self.folder.rglob("*") if path.is_file()]
            return {str(path.relative_to(self.folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}

        with self.running("web", "persons") as (pod, process):
            address = self.address(process)
            context = ssl.create_default_context(cafile=str(self.folder / "tls/tls.crt"))
            self.until_ready(address + pod["readinessProbe"]["httpGet"]["path"], context)
            before = files()
            closed = urllib.request.Request(address + "/tables/refund_watch.parquet", headers={"Authorization": f"Bearer {TOKEN}"})
            self.assertEqual(status(address + "/tables/refund_watch.parquet", context), 403)
            self.assertEqual(files(), before)
            self.assertEqual(status(closed, context), 200)
            after = files()
            written = {name for name, state in after.items() if before.get(name) != state}
            self.assertEqual((written, set(before) - set(after)), ({"web/audit/closed.jsonl"}, set()))
            # Where it cannot be written, closed tables are not told; the others are.
            (data / "audit/closed.jsonl").unlink()
            (data / "audit/closed.jsonl").mkdir()
            self.assertGreaterEqual(status(closed, context), 500)
            self.assertEqual(status(address + "/tables", context), 200)


class Binary(Case):
    def test_it_needs_no_library_that_the_image_lacks(self):
        """The image has the C library and libgcc, and zlib is copied; readelf says what the binary asks for."""
        done = subprocess.run(["readelf", "--dynamic", PROGRAM], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout))
        loader = {name for name in needed if name.startswith("ld-linux")}
        self.assertIn("libc.so.6", needed)
        self.assertLessEqual(needed - loader, {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libz.so.1"})


if __name__ == "__main__":
    unittest.main()
