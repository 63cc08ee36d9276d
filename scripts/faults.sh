#!/usr/bin/env bash
# The fault suite at length; `make test` runs a few seeds of the same tests. Bounded in time, on this machine alone.
#
#   RETTIDIG_SEEDS=5 RETTIDIG_OUTAGE_SECONDS=600 scripts/faults.sh
#
# tests/tests/engine/faults.rs         storage that dies at a step, fails, loses answers, is damaged; clocks; two writers
# tests/tests/engine/roles.rs          workers and committers given up, a rebalance every second for two minutes
# tests/tests/engine/dead_letters.rs   poison messages, unknown codes, replays
# tests/tests/engine/silence.rs        a municipality that falls silent, delivers a hundredth, or delivers late
# pipeline/cli/tests/program/roles.rs  processes on Apache Kafka: kill -9, SIGSTOP past the session
# tests/tests/kafka/apache/            topics truncated, made again, given more partitions; rights; brokers that go away
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"
RETTIDIG_KAFKA_JARS=$(scripts/kafka.sh)
export RETTIDIG_KAFKA_JARS RETTIDIG_SEEDS="${RETTIDIG_SEEDS:-5}"
export RETTIDIG_OUTAGE_SECONDS="${RETTIDIG_OUTAGE_SECONDS:-600}"
echo "faults: $RETTIDIG_SEEDS seeds, brokers away for $RETTIDIG_OUTAGE_SECONDS s" >&2
exec timeout --kill-after=20 "${RETTIDIG_FAULT_SECONDS_MAX:-5400}" \
    cargo test --locked --workspace --no-fail-fast \
    --test engine --test program --test kafka -- --test-threads=1 --nocapture \
    faults:: roles:: dead_letters:: silence:: apache::
