#!/usr/bin/env bash
# The benchmarks, compiled for release. Arguments go to the benchmark program; its file says which it takes.
# Read ratios, not absolutes, when other work runs on the same cores.
#
#   scripts/bench.sh --bench persons -- DIR ROWS [files|kafka]    W1: payments of the simulator
#   scripts/bench.sh engines [--limit SECONDS] DIR [ENGINE...]    the same rows in DuckDB, Polars and Pathway, compared
#   scripts/bench.sh --bench day -- DIR PERSONS [SPEED]           a day of the country
#   scripts/bench.sh --bench freshness -- DIR                     official events onto the demo's history
#   scripts/bench.sh --bench apache -- DIR ROWS [SECONDS]         Apache Kafka: bare, one process, workers and committer
#   scripts/bench.sh --bench drift [-- WORLDS [counts|shares]]   false alarms of drift, and how soon it finds a change
#   scripts/bench.sh --bench broker                               the embedded broker
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ ${1:-} == engines ]]; then
    shift
    exec scripts/python.sh tests/bench/engines.py "$@"
fi
if [[ " $* " == *" apache "* ]]; then
    RETTIDIG_KAFKA_JARS=$(scripts/kafka.sh)
    export RETTIDIG_KAFKA_JARS
fi
# The whole workspace: with one package alone, features differ and DataFusion would be compiled once more.
exec cargo bench --locked --workspace "$@"
