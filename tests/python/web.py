"""A `rettidig run --role web` over a copy of the data folder, for checks that ask it as readers do."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.request

import fixtures
import published

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", fixtures.ROOT / "target"))
PROGRAM = pathlib.Path(os.environ.get("RETTIDIG_PROGRAM", TARGET / "debug/rettidig"))

SECONDS_MAX = 60

# Name, token, role, areas.
TOKENS = (
    ("koebenhavn", "token-of-koebenhavn", "jobcentre", ["0101"]),
    ("vagt", "token-of-vagt", "operator", []),
)


class Web:
    """The process; `http` and `sql` say where it listens. `settings` go into its configuration."""

    def __init__(self, settings: dict | None = None, ssl_context: ssl.SSLContext | None = None):
        if not PROGRAM.exists():
            raise AssertionError(f"{PROGRAM} is missing: cargo build -p rettidig")
        self.work = tempfile.TemporaryDirectory(prefix="rettidig-web-")
        work = pathlib.Path(self.work.name)
        self.data = work / "data"
        shutil.copytree(published.folder().parents[1], self.data)
        self.tokens = work / "tokens.yaml"
        self.give_out(TOKENS)
        config = {
            "data": str(self.data),
            "listen": "127.0.0.1:0",
            "sql": {"listen": "127.0.0.1:0"},
            "access": {"tokens_file": str(self.tokens), "requests_per_minute": None},
        }
        for key, value in (settings or {}).items():
            config[key] = config.get(key, {}) | value if isinstance(value, dict) else value
        (work / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
        self.log = work / "web.log"
        with self.log.open("w", encoding="utf-8") as file:
            given = [PROGRAM, "run", "--role", "web", "--config", work / "config.yaml"]
            self.process = subprocess.Popen(given, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        self.http = self.told(r"web: https?://([0-9.:]+)/")
        self.sql = self.told(r"sql: ([0-9.:]+)")
        self.wait(ssl_context)

    def give_out(self, tokens) -> None:
        """These tokens and no others are known; a running process looks every ten seconds."""
        lines = [
            {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "role": role} | ({"areas": areas} if areas else {})
            for name, token, role, areas in tokens
        ]
        self.tokens.write_text(json.dumps(lines), encoding="utf-8")

    def told(self, pattern: str) -> str:
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text(encoding="utf-8")):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{pattern} is not in\n{self.log.read_text(encoding='utf-8') if self.log.exists() else ''}")

    def wait(self, context: ssl.SSLContext | None) -> None:
        """Until it shows an epoch."""
        deadline = time.monotonic() + SECONDS_MAX
        address = f"http{'s' if context else ''}://{self.http}/readyz"
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(address, timeout=10, context=context):
                    return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise AssertionError(f"{address} is not ready")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.work.cleanup()
