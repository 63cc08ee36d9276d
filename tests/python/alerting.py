"""What the checks of the alerts share: the files, the tools, and a real Alertmanager with somebody to write to.

Nothing here listens on anything but 127.0.0.1, every wait has a limit, and what was started is ended by its own id.
"""

from __future__ import annotations

import base64
import csv
import dataclasses
import email
import email.policy
import functools
import http.server
import json
import pathlib
import re
import socket
import socketserver
import subprocess
import threading
import time
import typing
import urllib.request

import fixtures
import yaml

HELM = fixtures.ROOT / "helm"
RULES = HELM / "alerts"
RUNBOOKS = HELM / "runbooks"
CASES = fixtures.ROOT / "tests" / "alerts"
OWNERS = HELM / "owners.csv"
GLOBAL = HELM / "alertmanager" / "global.yaml"
TEXTS = HELM / "alertmanager" / "rettidig.tmpl"
ROUTES = fixtures.ROOT / "tests" / "golden" / "alerts" / "routes.yaml"
OPERATIONS = "operations"


@functools.cache
def folder() -> pathlib.Path:
    """Where Prometheus and Alertmanager are; fetches them the first time."""
    script = fixtures.ROOT / "scripts" / "prometheus.sh"
    told = subprocess.run([script], stdout=subprocess.PIPE, text=True, timeout=330, check=True)
    return pathlib.Path(told.stdout.strip())


def tool(name: str, *arguments: str | pathlib.Path, cwd: pathlib.Path | None = None) -> tuple[int, str]:
    """Exit code and all that promtool or amtool says."""
    command = [folder() / "usr" / "bin" / name, *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False, cwd=cwd or folder()
    )
    return done.returncode, done.stdout


@functools.cache
def rules() -> dict[str, list[dict]]:
    """Name of a file in helm/alerts -> the rules of its one group."""
    out = {}
    for path in sorted(RULES.glob("*.yaml")):
        (group,) = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        if group["name"] != path.stem:
            raise ValueError(f"{path.name}: its group is {group['name']}")
        out[path.stem] = group["rules"]
    return out


def alerts() -> list[dict]:
    """All alerting rules."""
    return [rule for found in rules().values() for rule in found if "alert" in rule]


def owners() -> list[dict[str, str]]:
    """The owner registry."""
    with OWNERS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def configuration() -> str:
    """Alertmanager's configuration as README says to make it."""
    return GLOBAL.read_text(encoding="utf-8") + ROUTES.read_text(encoding="utf-8")


def wait_until(what: str, holds: typing.Callable[[], object], seconds: float = 20) -> object:
    """What `holds` returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return found


@dataclasses.dataclass
class Notice:
    """What somebody was told: by webhook (`to` is the path) or mail (`to` is the address)."""

    to: str
    secret: str
    firing: list[dict]
    resolved: list[dict]
    subject: str = ""
    text: str = ""


class Listeners:
    """A web server and a mail server that keep what they are told."""

    def __init__(self, user: str, password: str):
        self.notices: list[Notice] = []
        self.problems: list[str] = []
        listeners = self

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                of = {status: [a for a in told["alerts"] if a["status"] == status] for status in ("firing", "resolved")}
                secret = self.headers.get("Authorization", "")
                listeners.notices.append(Notice(self.path, secret, of["firing"], of["resolved"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Mail(socketserver.StreamRequestHandler):
            timeout = 10

            def say(self, line: str):
                self.wfile.write(line.encode() + b"\r\n")

            def handle(self):
                try:
                    self.talk()
                except ConnectionError:
                    # Whoever hangs up before the end of a mail has told nothing; the test waits for it in vain.
                    pass

            def talk(self):
                self.say("220 here")
                to, secret = "", ""
                while line := self.rfile.readline().decode().strip():
                    verb = line[:4].upper()
                    if verb == "EHLO":
                        self.say("250-here")
                        self.say("250 AUTH PLAIN")
                    elif verb == "AUTH":
                        secret = base64.b64decode(line.split(" ", 2)[2]).decode()
                        right = secret == f"\0{user}\0{password}"
                        self.say("235 ok" if right else "535 no")
                        if not right:
                            listeners.problems.append("a mail with another password")
                    elif verb == "RCPT":
                        to = re.search("<(.*)>", line).group(1)
                        self.say("250 ok")
                    elif verb == "DATA":
                        self.say("354 go on")
                        body = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            body += part.removeprefix(b".") if part.startswith(b"..") else part
                        listeners.notices.append(mail(to, secret, body))
                        self.say("250 ok")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

        def mail(to: str, secret: str, body: bytes) -> Notice:
            message = email.message_from_bytes(body, policy=email.policy.default)
            text = message.get_body(("plain",)).get_content()
            of = {"Gælder / firing: ": [], "Ophørt / resolved: ": []}
            for line in text.splitlines():
                for word, found in of.items():
                    if line.startswith(word):
                        found.append({"annotations": {"summary": line.removeprefix(word)}})
            firing, resolved = of.values()
            return Notice(to, secret, firing, resolved, message["Subject"], text)

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
        for server in (self.web, self.mail):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self):
        for server in (self.web, self.mail):
            server.shutdown()
            server.server_close()

    def told(self, to: str, text: str, *, resolved: bool = False) -> list[Notice]:
        """Notices to somebody with an alert whose summary has `text` in it."""
        return [
            notice
            for notice in list(self.notices)
            if notice.to == to
            and any(text in a["annotations"]["summary"] for a in (notice.resolved if resolved else notice.firing))
        ]

    def everybody_told(self, text: str) -> set[str]:
        """To whom an alert whose summary has `text` in it was told as firing."""
        return {notice.to for notice in list(self.notices) if self.told(notice.to, text)}


class Server:
    """A program that listens on a free port of this machine until `stop`."""

    def __init__(self, name: str, given: list[str], work: pathlib.Path):
        self.name = name
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.place = "127.0.0.1:%d" % free.getsockname()[1]
        self.log = work / f"{name}.log"
        command = [folder() / "usr" / "bin" / name, *given, f"--web.listen-address={self.place}"]
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, cwd=folder(), stdout=log, stderr=log)
        try:
            wait_until(f"{name} is ready", self.is_ready)
        except BaseException:
            self.end()
            raise

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended: {self.log.read_text(encoding='utf-8')}")
        try:
            with urllib.request.urlopen(f"http://{self.place}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def ask(self, path: str, body: object = None) -> object:
        """The answer in JSON; with a body it is a POST, which answers nothing."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.place}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer) if data is None else None


class Alertmanager(Server):
    """A running Alertmanager with `configuration()`, but for the addresses, which are here, and the waits, which are short."""

    def __init__(self, work: pathlib.Path):
        self.listeners = Listeners("rettidig", "the mail's password")
        path = work / "alertmanager.yml"
        path.write_text(yaml.safe_dump(self.on_this_machine(work)), encoding="utf-8")
        given = [f"--config.file={path}", f"--storage.path={work / 'alertmanager'}", "--cluster.listen-address="]
        try:
            super().__init__("prometheus-alertmanager", given, work)
        except BaseException:
            self.listeners.stop()
            raise

    def on_this_machine(self, work: pathlib.Path) -> dict:
        config = yaml.safe_load(configuration())
        secrets = work / "secrets"
        secrets.mkdir()

        def secret(path: str, content: str) -> str:
            here = secrets / pathlib.Path(path).name
            here.write_text(content, encoding="utf-8")
            return str(here)

        settings = config["global"]
        settings["smtp_smarthost"] = "127.0.0.1:%d" % self.listeners.mail.server_address[1]
        settings["smtp_require_tls"] = False
        settings["smtp_auth_password_file"] = secret(settings["smtp_auth_password_file"], "the mail's password")
        config["templates"] = [str(TEXTS)]
        for route in [config["route"], *config["route"]["routes"]]:
            for wait in {"group_wait", "group_interval"} & route.keys():
                route[wait] = "200ms"
        for receiver in config["receivers"]:
            for hook in receiver.get("webhook_configs", []):
                url = hook["url"].split("/", 3)
                hook["url"] = f"http://127.0.0.1:{self.listeners.web.server_address[1]}/{url[2]}/{url[3]}"
                if "http_config" in hook:
                    told = hook["http_config"]["authorization"]
                    told["credentials_file"] = secret(told["credentials_file"], f"token of {receiver['name']}")
        return config

    def stop(self):
        self.end()
        self.listeners.stop()

    def post(self, *alerts: dict):
        self.ask("/api/v2/alerts", alerts)

    def state(self, alert: dict) -> dict | None:
        """What Alertmanager knows of an alert."""
        return next((known for known in self.ask("/api/v2/alerts") if known["labels"] == alert["labels"]), None)


class Prometheus(Server):
    """A running Prometheus with the rules of helm/alerts, but for their waits: it looks every half second."""

    def __init__(self, work: pathlib.Path, scraped: str, told: Alertmanager):
        rules = work / "rules"
        rules.mkdir()
        for path in RULES.glob("*.yaml"):
            text = re.sub(r"\bfor: \d+m$", "for: 1s", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            (rules / path.name).write_text(text, encoding="utf-8")
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(rules / "*.yaml")],
            "scrape_configs": [{"job_name": "rettidig", "static_configs": [{"targets": [scraped]}]}],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [told.place]}]}]},
        }
        path = work / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        given = [f"--config.file={path}", f"--storage.tsdb.path={work / 'prometheus'}", "--rules.alert.resend-delay=1s"]
        super().__init__("prometheus", given, work)

    def states(self, alert: str) -> set[tuple[str, ...]]:
        """State, jobcentre and indicator of an alert's instances."""
        found = self.ask("/api/v1/alerts")["data"]["alerts"]
        return {
            (one["state"], one["labels"].get("jobcentre", ""), one["labels"].get("indicator", ""))
            for one in found
            if one["labels"]["alertname"] == alert
        }
