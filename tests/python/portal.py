"""A server over published tables and readers of it, for the checks of the portal tables."""

from __future__ import annotations

import contextlib
import io
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

import web

SECONDS_MAX = 90

JOBCENTRE, OPERATOR = (token for _, token, *_ in web.TOKENS)


class Answer:
    """What a server answered, whatever the status."""

    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


class Place:
    """What serves the tables, by its address."""

    def __init__(self, address: str):
        self.address = address

    def get(self, path: str, token: str | None = None, method: str = "GET", **headers: str) -> Answer:
        request = urllib.request.Request(f"{self.address}{path}", method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


class Demo(Place):
    """A demo that commits epochs; `arguments` without its name."""

    def __init__(self, arguments: list, log: pathlib.Path, address: str):
        super().__init__(address)
        self.log_file = log
        with log.open("w", encoding="utf-8") as file:
            given = [web.PROGRAM, "demo", *map(str, arguments)]
            self.process = subprocess.Popen(given, stdout=file, stderr=file, stdin=subprocess.DEVNULL)

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def wait_for_tables(self):
        """Until an epoch is shown."""
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the program ended:\n{self.log}")
            with contextlib.suppress(OSError):
                if self.get("/tables").status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"no epoch was shown within {SECONDS_MAX} s:\n{self.log}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


class Gone(Exception):
    """The file of an epoch is no longer kept."""


class Ranges(io.RawIOBase):
    """A file behind HTTP that is read by ranges, each a request of its own; all must be of one `ETag`."""

    def __init__(self, program: Place, path: str, token: str | None = None):
        self.program, self.path, self.token, self.place, self.requests = program, path, token, 0, 0
        head = program.get(path, token, method="HEAD")
        if head.status == 410:
            raise Gone(path)
        if head.status != 200 or head.headers["Accept-Ranges"] != "bytes":
            raise AssertionError(f"{path}: {head.status} {head.headers}")
        self.size, self.etag = int(head.headers["Content-Length"]), head.headers["ETag"]

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.place

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        self.place = base + offset
        return self.place

    def readinto(self, buffer):
        wanted = min(len(buffer), self.size - self.place)
        if wanted <= 0:
            return 0
        buffer[:wanted] = self.part(self.place, self.place + wanted)
        self.place += wanted
        return wanted

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, which lies within the file."""
        answer = self.program.get(self.path, self.token, Range=f"bytes={start}-{end - 1}", If_Range=self.etag)
        if answer.status == 410:
            raise Gone(self.path)
        named = f"bytes {start}-{end - 1}/{self.size}"
        if (answer.status, answer.headers["Content-Range"], answer.headers["ETag"]) != (206, named, self.etag):
            raise AssertionError(f"{self.path}: {answer.status} {answer.headers} for {named}")
        if len(answer.body) != end - start:
            raise AssertionError(f"{self.path}: {len(answer.body)} bytes for {named}")
        self.requests += 1
        return answer.body
