#!/usr/bin/env bash
# The gate behind `make test` and CI: setup, Apache Kafka's jars, Prometheus, Helm, licences, formatting, the Rust tests, then one run
# of the demo whose tables are read and recomputed by other engines, the alerts by Prometheus and Alertmanager, and the chart
# (tests/python), at last clippy.
#
# A part that fails does not stop the later ones, except where they cannot run without it. The last line is
# always "N passed, N failed, N skipped" over cargo and Python together; a failed part that is not itself a
# set of tests (formatting, clippy, the demo run) counts as one failure, so the line never says 0 failed on
# a red run. Exit code 0 only if nothing failed and something passed.
#
# Limits in seconds, each a hard stop: RETTIDIG_TEST_SECONDS_MAX for the Rust tests with their compilation,
# RETTIDIG_DEMO_SECONDS_MAX for the demo run with its compilation, RETTIDIG_PYTHON_SECONDS_MAX for Python. Lints begin before
# RETTIDIG_LINT_BEFORE or are skipped.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"

test_seconds_max=${RETTIDIG_TEST_SECONDS_MAX:-4200}
demo_seconds_max=${RETTIDIG_DEMO_SECONDS_MAX:-900}
python_seconds_max=${RETTIDIG_PYTHON_SECONDS_MAX:-1500}
lint_before=${RETTIDIG_LINT_BEFORE:-3600}

target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d "${TMPDIR:-/tmp}/rettidig-test.XXXXXX") || exit 1
passed=0 failed=0 skipped=0
running=
declare -a report=()

# Ctrl-C and TERM end what is running, with its children, instead of leaving it behind.
stop() {
    [[ -n $running ]] && kill -TERM "$running" 2>/dev/null
    rm -rf "$work"
    echo "test: interrupted" >&2
    exit 130
}
trap stop INT TERM
trap 'rm -rf "$work"' EXIT

# Runs a command with a limit, its output both shown and kept in $work/<name>.log. `timeout` puts it in a
# process group of its own and, told to stop, stops that group; it runs in the background because bash
# handles a signal at once only while it waits.
run() { # name, seconds, command...
    local name=$1 seconds=$2 begun=$SECONDS status
    shift 2
    printf '\n== %s: %s\n' "$name" "$*" >&2
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    tee "$work/$name.log" <"$work/pipe" &
    local shown=$!
    timeout --kill-after=20 "$seconds" "$@" >"$work/pipe" 2>&1 </dev/null &
    running=$!
    wait "$running"
    status=$?
    running=
    # A grandchild that outlives its parent may keep the pipe open: give the log a moment, then go on.
    for _ in {1..50}; do
        kill -0 "$shown" 2>/dev/null || break
        sleep 0.1
    done
    kill "$shown" 2>/dev/null
    wait "$shown" 2>/dev/null
    local verdict=ok
    if ((status == 124 || status == 137)); then
        verdict="STOPPED after its limit of $seconds s"
    elif ((status != 0)); then
        verdict="FAILED (exit code $status)"
    fi
    report+=("$(printf '%-12s %5d s  %s' "$name" $((SECONDS - begun)) "$verdict")")
    return "$status"
}

finish() {
    printf '\n== durations\n' >&2
    printf '%s\n' "${report[@]}" >&2
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    ((failed == 0 && passed > 0))
    exit
}

if ! run setup 1800 scripts/setup.sh; then
    failed=1
    finish
fi

# Without the jars the tests that start Apache Kafka fail and say so; the others are of use nevertheless.
run kafka 900 scripts/kafka.sh || failed=$((failed + 1))
# Asked again, not read from the log: Maven's first run writes colours in front of the path.
RETTIDIG_KAFKA_JARS=$(scripts/kafka.sh 2>/dev/null)
export RETTIDIG_KAFKA_JARS
run prometheus 330 scripts/prometheus.sh || failed=$((failed + 1))

# Built once; without it the checks of the chart fail and say so.
run helm 1800 scripts/helm.sh || failed=$((failed + 1))

run supply 600 scripts/supply.sh || failed=$((failed + 1))

run fmt 120 cargo fmt --all --check || failed=$((failed + 1))

# Many tests wait, for sessions of Kafka's to end or processes to come up: more at a time than there are cores.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
run cargo-test "$test_seconds_max" cargo test --workspace --locked --no-fail-fast
cargo_status=$?
read -r cargo_passed cargo_failed cargo_skipped < <(
    awk '/^test result: / {
             for (i = 2; i <= NF; i++) {
                 if ($i ~ /^passed/)  p += $(i - 1)
                 if ($i ~ /^failed/)  f += $(i - 1)
                 if ($i ~ /^ignored/) s += $(i - 1)
             }
         }
         END { print p + 0, f + 0, s + 0 }' "$work/cargo-test.log"
)
# Red without a counted failure: it did not compile, was stopped, or a test program died.
((cargo_status != 0 && cargo_failed == 0)) && cargo_failed=1
passed=$((passed + cargo_passed)) failed=$((failed + cargo_failed)) skipped=$((skipped + cargo_skipped))

# With some days of the simulated country, so that the tables of persons hold something. The demo's folder is kept after the run, so that a failing table can be looked at.
data=$target/python-checks/data
rm -rf "$data"
mkdir -p "$data"
data=$(cd "$data" && pwd)
RETTIDIG_PROGRAM=$(cd "$target" && pwd)/debug/rettidig
export RETTIDIG_PROGRAM
if run demo "$demo_seconds_max" cargo run --locked -p rettidig -- demo --once --days 1 --speed 0 --persons 6000 --data "$data"; then
    run python "$python_seconds_max" scripts/python_checks.sh --data "$data" --summary "$work/python.txt"
else
    failed=$((failed + 1))
    echo "test: the demo did not finish, so the tables were not checked; the reference files are" >&2
    run python "$python_seconds_max" scripts/python_checks.sh --summary "$work/python.txt"
fi
python_status=$?
python_passed=0 python_failed=0 python_skipped=0
[[ -f $work/python.txt ]] && read -r python_passed python_failed python_skipped <"$work/python.txt"
((python_status != 0 && python_failed == 0)) && python_failed=1
passed=$((passed + python_passed)) failed=$((failed + python_failed)) skipped=$((skipped + python_skipped))

# Last, because on a machine that has compiled nothing it compiles all crates a second time, in its own way, for some twenty minutes: there
# it is skipped, and said so; the next run on that machine does it in a minute.
if ((SECONDS < lint_before)); then
    run clippy 1800 cargo clippy --workspace --all-targets --locked -- -D warnings || failed=$((failed + 1))
else
    report+=("clippy: skipped, more than $lint_before s have gone; scripts/lint.sh does it")
    skipped=$((skipped + 1))
fi

finish
