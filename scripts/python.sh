#!/usr/bin/env bash
# Runs Python with the other engines (DuckDB, Polars, PyArrow), in an environment of their own, which is made once per
# version of requirements.txt and kept in the user's cache. RETTIDIG_REQUIREMENTS names another list of requirements.
#
#   scripts/python.sh FILE [ARGUMENT...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

requirements=${RETTIDIG_REQUIREMENTS:-tests/python/requirements.txt}
key=$({ cat "$requirements" && python3 --version; } | sha256sum | cut -c1-12)
venv=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rettidig/python-$key

# The marker is written last: a folder without it is what an interrupted run left behind.
if [[ ! -f $venv/complete ]]; then
    echo "python: making an environment in $venv" >&2
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --requirement "$requirements"
    touch "$venv/complete"
fi
exec "$venv/bin/python" -B "$@"
