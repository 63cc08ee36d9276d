#!/usr/bin/env bash
# Runs the Python checks (tests/python).
#
#   scripts/python_checks.sh [--data DIR] [--summary FILE] [MODULE...]
#
# The checks of the alerts fetch Prometheus and Alertmanager the first time (scripts/prometheus.sh).
# DIR is a folder in which `rettidig demo --once --days 1 --speed 0 --persons 6000 --data DIR` has finished. Without it only the checks that
# need no tables run. FILE gets one line: passed, failed, skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec scripts/python.sh tests/python/run.py "$@"
