#!/usr/bin/env bash
# Arbitrary bytes for what reads others' bytes, with libFuzzer; not part of `make test`, bounded in time and memory.
#
#   scripts/fuzz.sh                        each target of tests/fuzz for ten minutes
#   scripts/fuzz.sh 60 person feeds        some of them for a minute each
#   RETTIDIG_FUZZ_FINDINGS=DIR             where inputs that break something are kept; never in the checkout
#
# A finding is repeated with `cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none TARGET FILE`; it becomes an ordinary test
# of the crate concerned. Inputs that reach new code are added to tests/fuzz/corpus/TARGET, which git ignores but for
# the seeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"
fail() {
    echo "fuzz: $*" >&2
    exit 1
}

seconds=${1:-600}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "expected seconds, got '$seconds': scripts/fuzz.sh [SECONDS] [TARGET...]"
shift || true
cargo +nightly --version >/dev/null 2>&1 ||
    fail "the nightly toolchain is missing: rustup toolchain install nightly --profile minimal"
cargo fuzz --version >/dev/null 2>&1 || fail "cargo-fuzz is missing: cargo install cargo-fuzz --locked"
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir tests/fuzz)

findings=${RETTIDIG_FUZZ_FINDINGS:-${XDG_CACHE_HOME:-$HOME/.cache}/rettidig/fuzz-findings}
# Files that a target makes are many and short-lived.
[[ -d /dev/shm && -w /dev/shm ]] && export TMPDIR=/dev/shm
# No sanitizer: no crate of ours has unsafe code, and without one a target is faster and its memory is its own.
failed=()
for target in "${targets[@]}"; do
    mkdir -p "$findings/$target"
    echo "fuzz: $target for $seconds s" >&2
    features=()
    case $target in sql | manifest | range) features=(--features engine) ;; esac
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none "${features[@]}" "$target" "tests/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$findings/$target/" || failed+=("$target")
done
((${#failed[@]} == 0)) || fail "findings of ${failed[*]}: look in $findings"
