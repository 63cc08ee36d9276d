"""The chart against the program: its arguments are taken, its configurations understood, its probes answered.

Needs the binary that `cargo run` has made: RETTIDIG_PROGRAM, else the one in CARGO_TARGET_DIR or target.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import yaml

from chart import CASES, ROLES, ROOT, configuration, container, of_kind, pods, render

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = pathlib.Path(os.environ.get("RETTIDIG_PROGRAM", TARGET / "debug/rettidig"))

# Longer than anything waits for here.
SECONDS_MAX = 60


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, timeout=SECONDS_MAX, check=False, cwd="/"
    )


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class Case(unittest.TestCase):
    def setUp(self):
        self.assertTrue(PROGRAM.exists(), f"{PROGRAM} is missing: cargo build -p rettidig")
        folder = tempfile.TemporaryDirectory(prefix="rettidig-chart-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

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
        self.assertEqual(seen, {*ROLES.values(), "ballista-scheduler", "ballista-executor"})


class Configurations(Case):
    def test_check_finds_nothing_wrong_without_a_source_of_persons(self):
        checked = 0
        for case in CASES:
            for part in ROLES:
                if "config.yaml" not in (of_kind(render(case), "ConfigMap")[part].get("data") or {}):
                    continue
                config = configuration(render(case), part)
                if case == "strimzi" and part == "connectors":
                    # Its token stands in a Secret.
                    config["connectors"]["jobindsats"]["token_file"] = str(self.folder / "token")
                    (self.folder / "token").write_text("token", encoding="utf-8")
                if case != "persons" or part != "connectors":
                    done = run("check", "--config", self.write(config))
                    self.assertEqual(done.returncode, 0, (case, part, done.stdout, done.stderr))
                checked += 1
        self.assertGreaterEqual(checked, 14)

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
    def running(self, part: str):
        """A part of the work as its pod starts it, with no broker there."""
        manifests = render("minimal")
        config = configuration(manifests, part)
        config.update(data=str(self.folder / part), listen="127.0.0.1:0")
        config["kafka"]["brokers"] = "127.0.0.1:1"
        config["connectors"] = configuration(manifests, "workers")["connectors"]
        pod = container(pods(manifests)[ROLES[part]])
        arguments = [argument.replace("$(POD_NAME)", "r-worker-0") for argument in pod["args"]]
        arguments[arguments.index("--config") + 1] = self.write(config)
        process = subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.PIPE, text=True, cwd=self.folder)
        try:
            yield pod, process
        finally:
            process.kill()
            process.wait(SECONDS_MAX)
            process.stderr.close()

    def address(self, process: subprocess.Popen) -> str:
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            if select.select([process.stderr], [], [], 1)[0]:
                line = process.stderr.readline()
                if found := re.search(r"(http://127\.0\.0\.1:\d+)/metrics", line):
                    return found[1]
                self.assertTrue(line, "it ended")
        self.fail("it does not say where it listens")

    def test_each_part_is_alive_and_scraped_without_a_broker_and_only_a_committer_is_not_ready(self):
        for part in ROLES:
            with self.subTest(part), self.running(part) as (pod, process):
                address = self.address(process)
                self.assertEqual(status(address + pod["startupProbe"]["httpGet"]["path"]), 200)
                self.assertEqual(status(address + pod["livenessProbe"]["httpGet"]["path"]), 200)
                self.assertEqual(status(address + "/metrics"), 200)
                ready = status(address + pod["readinessProbe"]["httpGet"]["path"])
                self.assertEqual(ready, 503 if part == "committers" else 200)


class Binary(Case):
    def test_it_needs_no_library_that_the_image_lacks(self):
        """debian:bookworm-slim has the C library, libgcc and zlib (dpkg needs it); readelf says what the binary asks for."""
        done = subprocess.run(["readelf", "--dynamic", PROGRAM], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout))
        loader = {name for name in needed if name.startswith("ld-linux")}
        self.assertIn("libc.so.6", needed)
        self.assertLessEqual(needed - loader, {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libz.so.1"})


if __name__ == "__main__":
    unittest.main()
