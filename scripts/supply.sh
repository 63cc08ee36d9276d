#!/usr/bin/env bash
# What is built in: asks cargo-deny whether every crate has a licence that allows it, comes from crates.io, and is no second Arrow
# (deny.toml); with a file name, also writes a bill of materials (CycloneDX 1.5, JSON) of the binary.
#
#   scripts/supply.sh [--advisories] [SBOM.json]
#
# With --advisories also what is known of its faults (RustSec), by cargo-deny and cargo-audit: their data has to be fetched from the network.
# cargo-deny and cargo-audit come built (tests/supply/tools.txt); what writes the bill is built once into the user's cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rettidig

# Prints the path of a tool; two runs at the same time build once.
tool() { # crate, version
    local place=$cache/$1-$2
    # The folder gets its name last: one that is there is whole.
    if [[ ! -x $place/bin/$1 ]]; then
        mkdir -p "$cache"
        exec {lock}>"$place.lock"
        flock --timeout 1800 "$lock" || { echo "supply: another run has been building $place for 30 minutes" >&2; exit 1; }
        if [[ ! -x $place/bin/$1 ]]; then
            echo "supply: building $1 $2 into $place" >&2
            rm -rf "$place.part"
            CARGO_TARGET_DIR=$place.build cargo install --quiet --locked --version "=$2" --root "$place.part" "$1" >&2
            rm -rf "$place.build"
            mv "$place.part" "$place"
        fi
        exec {lock}>&-
    fi
    printf '%s\n' "$place/bin/$1"
}

tools=$(RETTIDIG_REQUIREMENTS=tests/supply/tools.txt scripts/python.sh -c 'import sys; print(sys.prefix + "/bin")')
"$tools/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources

if [[ ${1:-} == --advisories ]]; then
    shift
    "$tools/cargo-deny" --locked check --hide-inclusion-graph advisories
    "$tools/cargo-audit" audit
fi

if [[ -n ${1:-} ]]; then
    cyclonedx=$(tool cargo-cyclonedx 0.5.9)
    # It writes beside the manifest.
    "$cyclonedx" cyclonedx --manifest-path pipeline/cli/Cargo.toml --format json --spec-version 1.5 --override-filename bill-of-materials
    mv pipeline/cli/bill-of-materials.json "$1"
    find . -name bill-of-materials.json -not -path './target/*' -delete
fi
