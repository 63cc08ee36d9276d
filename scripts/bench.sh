#!/usr/bin/env bash
# The benchmarks, compiled for release. Arguments go to the benchmark program.
# Read ratios, not absolutes, when other work runs on the same cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo bench --locked -p rettidig-tests -- "$@"
