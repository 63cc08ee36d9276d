#!/usr/bin/env bash
# Runs Python with the other engines (DuckDB, Polars, PyArrow) and a server like S3 (moto), in an environment of their
# own, which is made once per version of requirements.txt and kept in the user's cache. The list is whole: nothing comes
# beside it. RETTIDIG_REQUIREMENTS names another list of requirements. Two runs at the same time make it once: the second waits for the first.
#
#   scripts/python.sh FILE [ARGUMENT...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

requirements=${RETTIDIG_REQUIREMENTS:-tests/python/requirements.txt}
key=$({ cat "$requirements" && python3 --version; } | sha256sum | cut -c1-12)
venv=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rettidig/python-$key

# The marker is written last: a folder without it is what an interrupted run left behind.
if [[ ! -f $venv/complete ]]; then
    mkdir -p "$(dirname "$venv")"
    exec {lock}>"$venv.lock"
    flock --timeout 900 "$lock" || { echo "python: another run has been making $venv for 15 minutes" >&2; exit 1; }
    if [[ ! -f $venv/complete ]]; then
        echo "python: making an environment in $venv" >&2
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$requirements"
        touch "$venv/complete"
    fi
    # Closed, or the program below would hold the lock as long as it runs.
    exec {lock}>&-
fi
exec "$venv/bin/python" -B "$@"
