#!/usr/bin/env bash
# Makes a machine ready to build and test Rettidig, and says what it does.
#
# Installs only what is missing; with nothing missing it takes about a second and touches neither the
# network nor the disk. System packages go through apt-get, as root or with sudo. Where neither is to be
# had, it prints the command that an administrator has to run and exits with 1.
#
# Python packages are not installed here: scripts/python.sh keeps them in a folder of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# --- system packages ------------------------------------------------------------------------------
# Each line: is it there? else the Debian package that brings it, and what needs it.
packages=()
need() { # package, why, test command...
    local package=$1 why=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        say "missing: $package ($why)"
        packages+=("$package")
    fi
}
c_header() { printf '#include <%s>\n' "$1" | cc -fsyntax-only -x c -; }
python_venv() { python3 -c 'import venv, ensurepip'; }
postgres_server() { has postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres'; }
java_version() { [[ $(java -version 2>&1) =~ version\ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= 17)); }
# The newest of the system's packages that is new enough; its names differ between releases.
java_package() {
    local package
    for package in openjdk-{25,21,17}-jre-headless; do
        [[ $(apt-cache policy "$package" 2>/dev/null) == *Candidate:\ [0-9]* ]] && break
    done
    echo "$package"
}
python_version() { python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }

need gcc "librdkafka, zstd, OpenSSL and ring are C" has cc
need g++ "librdkafka has a C++ part" has c++
need libc6-dev "headers of the C library" c_header stdlib.h
need cmake "builds librdkafka" has cmake
need make "builds OpenSSL" has make
need perl "configures OpenSSL" perl -MFindBin -MIPC::Cmd -e 1
need pkg-config "lets librdkafka find zlib" has pkg-config
need zlib1g-dev "gzip in librdkafka" c_header zlib.h
need python3 "the checks with other engines" has python3
need python3-venv "keeps the checks' packages apart" python_venv
need postgresql "the table poller is tested against a server of its own" postgres_server
need openssh-client "makes the keys of the SFTP test" has ssh-keygen
need openssh-server "reading over SFTP is tested against a server of its own" test -x /usr/sbin/sshd
need ca-certificates "connections over TLS trust the system's authorities" test -s /etc/ssl/certs/ca-certificates.crt
need util-linux "lets one of two runs make the Python environment" has flock
need unixodbc "the SQL endpoint is asked as Excel asks it" has isql
need odbc-postgresql "the ODBC driver for that" compgen -G '/usr/lib/*/odbc/psqlodbcw.so'
need chromium "the pages are looked at with a browser" has chromium
need chromium-driver "drives the browser" has chromedriver
need "$(java_version || java_package)" "the tests start an Apache Kafka" java_version
need maven "fetches the Apache Kafka of the tests" has mvn

if ((${#packages[@]})); then
    install=(apt-get install --yes --no-install-recommends "${packages[@]}")
    has apt-get || fail "no apt-get here: install with your own package manager what brings: ${packages[*]}"
    if ((EUID == 0)); then
        as_root=(env DEBIAN_FRONTEND=noninteractive)
    elif has sudo && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
        as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
    else
        fail "not root and no sudo: have an administrator run: apt-get update && ${install[*]}"
    fi
    say "installing ${packages[*]}"
    # The tests start sshd themselves; installing it must not open this machine to logins from outside.
    if [[ " ${packages[*]} " == *" openssh-server "* ]] && has systemctl; then
        if "${as_root[@]}" systemctl mask ssh.service ssh.socket >&2; then
            say "the system's own SSH server stays off; to have it: systemctl unmask ssh.service ssh.socket"
        else
            say "could not mask ssh.service: look whether installing openssh-server has started it"
        fi
    fi
    "${as_root[@]}" apt-get update --quiet >&2
    "${as_root[@]}" "${install[@]}" >&2
fi
java_version || fail "java is $(java -version 2>&1 | head -n1), Apache Kafka needs 17 or newer: put a newer one first in PATH"
python_version || fail "python3 is $(python3 --version 2>&1), the checks need 3.11 or newer: install one and put it first in PATH"

# --- Rust -----------------------------------------------------------------------------------------
wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
[[ -n $wanted ]] || fail "Cargo.toml names no rust-version"
[[ -f ${CARGO_HOME:-${HOME:-/root}/.cargo}/env ]] && PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"

if ! has rustup && ! has cargo; then
    if has apt-get && ((EUID == 0)) && [[ $(apt-cache policy rustup 2>/dev/null) == *Candidate:\ [0-9]* ]]; then
        say "installing rustup from the system's packages"
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends rustup >&2
    else
        fail "no Rust here: install rustup (see https://rustup.rs, or your system's package 'rustup'), then run this again"
    fi
fi
new_enough() {
    local version
    version=$(rustc --version 2>/dev/null | cut -d' ' -f2)
    [[ -n $version && $(printf '%s\n%s\n' "$wanted" "$version" | sort -V | head -n1) == "$wanted" ]]
}
if ! new_enough; then
    has rustup || fail "$(rustc --version) is too old, $wanted is needed: install rustup (https://rustup.rs)"
    say "installing Rust $wanted"
    rustup toolchain install "$wanted" --no-self-update --profile minimal --component rustfmt --component clippy >&2 &&
        rustup default "$wanted" >&2 || fail "could not install Rust $wanted: install it by hand, then run this again"
fi
for tool in fmt clippy; do
    cargo "$tool" --version >/dev/null 2>&1 || fail "cargo $tool is missing: rustup component add rustfmt clippy"
done

say "ready (rustc $(rustc --version | cut -d' ' -f2), $(python3 --version))"
