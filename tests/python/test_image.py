"""The Dockerfile, as far as it can be looked at without building it."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import unittest

from chart import CHART, ROOT, load

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", TEXT)).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line]


def all_of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last pattern that fits it, or a folder above it, decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        plain = [part for part in parts] if pattern.startswith("**/") else []
        if any(fnmatch.fnmatchcase(one, pattern) for one in above) or pattern.removeprefix("**/") in plain:
            sent = line.startswith("!")
    return sent


class Image(unittest.TestCase):
    def test_what_is_copied_is_there_and_is_sent(self):
        copied = [rest.split() for rest in all_of("COPY") if not rest.startswith("--from")]
        self.assertGreaterEqual(len(copied), 5)
        for *paths, _ in copied:
            for path in paths:
                self.assertTrue((ROOT / path).exists(), path)
                self.assertTrue(is_sent(path), path)

    def test_all_members_of_the_workspace_and_what_they_compile_in_are_copied(self):
        folders = {path for rest in all_of("COPY") if not rest.startswith("--from") for path in rest.split()[:-1]}
        workspace = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
        members = re.findall(r'"(.+)"', re.search(r"members = \[(.*?)\]", workspace, re.DOTALL)[1])
        self.assertGreater(len(members), 8)
        for member in members:
            self.assertIn(member.split("/")[0], folders)
            self.assertTrue(is_sent(f"{member}/Cargo.toml"))
        for path in [*(ROOT / "pipeline").rglob("*.rs"), *(ROOT / "connectors/src").rglob("*.rs")]:
            for included in re.findall(r'include_(?:str|bytes|dir)!\("([^"]+)"\)', path.read_text(encoding="utf-8")):
                crate = next(parent for parent in path.parents if (parent / "Cargo.toml").exists())
                place = (path.parent / included.replace("$CARGO_MANIFEST_DIR", str(crate))).resolve()
                self.assertTrue(place.exists(), place)
                relative = place.relative_to(ROOT)
                self.assertIn(relative.parts[0], folders)
                self.assertTrue(is_sent(str(relative)))

    def test_only_what_is_needed_is_sent(self):
        for path in (".git", "target", "data", "helm", "scripts", "README.md", "tests/fuzz/corpus", "data/run/demo.key"):
            self.assertFalse(is_sent(path), path)

    def test_it_compiles_the_lock_file_with_the_rust_of_the_workspace(self):
        version = re.search(r'^rust-version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
        build, run = all_of("FROM")
        # One Debian for both, bookworm is 12: the binary wants the C library it was linked against.
        self.assertEqual((build, run), (f"rust:{version}-bookworm AS build", "gcr.io/distroless/cc-debian12:nonroot"))
        self.assertIn("cargo build --locked --release --package rettidig", all_of("RUN"))
        # That image has the C library, libgcc and certificates.
        self.assertEqual(all_of("RUN")[-1], "cp --dereference /lib/*-linux-gnu/libz.so.1 /usr/lib/libz.so.1")
        self.assertIn("--from=build /usr/lib/libz.so.1 /usr/lib/libz.so.1", all_of("COPY"))
        self.assertIn("--from=build /src/target/release/rettidig /usr/local/bin/rettidig", all_of("COPY"))
        self.assertEqual(all_of("WORKDIR"), ["/src"])

    def test_what_setup_installs_to_compile_is_installed(self):
        """What scripts/setup.sh needs for librdkafka and OpenSSL; compilers and make come with the image of Rust."""
        setup = (ROOT / "scripts/setup.sh").read_text(encoding="utf-8")
        needed = set(re.findall(r'^need (\S+) "[^"]*(?:librdkafka|OpenSSL)', setup, re.MULTILINE))
        self.assertIn("cmake", needed)
        installed = set(re.search(r"--no-install-recommends ([^&]+)", all_of("RUN")[0])[1].split())
        self.assertEqual(needed - installed, {"gcc", "g++", "make"})

    def test_it_runs_as_nobody_and_without_a_shell(self):
        (user,) = all_of("USER")
        pods = load(CHART / "values.yaml")["pods"]
        self.assertEqual(user, f"{pods['user']}:{pods['group']}")
        (entry,) = all_of("ENTRYPOINT")
        self.assertEqual(json.loads(entry), ["/usr/local/bin/rettidig"])
        self.assertEqual({name for name, _ in instructions()},
                         {"FROM", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "ENTRYPOINT"})


class Ignored(unittest.TestCase):
    def test_every_tracked_file_of_the_build_is_sent(self):
        listed = subprocess.run(["git", "ls-files", "sql", "connectors", "pipeline"], cwd=ROOT, capture_output=True, text=True,
                                timeout=60, check=True).stdout.splitlines()
        self.assertGreater(len(listed), 100)
        self.assertEqual([path for path in listed if not is_sent(path)], [])


if __name__ == "__main__":
    unittest.main()
