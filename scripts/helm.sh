#!/usr/bin/env bash
# Builds the Helm that the tests run, and prints its path.
#
# tests/helm/go.mod says which, go.sum what every file of it must be. Built once per content of these into the user's
# cache; with it there, neither the network nor the disk is touched. Two runs at the same time build once.
#
#   export RETTIDIG_HELM=$(scripts/helm.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

package=helm.sh/helm/v4/cmd/helm
version=$(sed -n 's/^\t\{0,1\}helm\.sh\/helm\/v4 v\([^ ]*\).*/\1/p; s/^require helm\.sh\/helm\/v4 v\([^ ]*\).*/\1/p' tests/helm/go.mod)
[[ -n $version ]] || { echo "helm: tests/helm/go.mod names no version of helm.sh/helm/v4" >&2; exit 1; }
key=$(cat tests/helm/go.mod tests/helm/go.sum | sha256sum | cut -c1-12)
helm=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rettidig/helm-$version-$key

# The file gets its name last: one that is there is whole.
if [[ ! -x $helm ]]; then
    mkdir -p "$(dirname "$helm")"
    exec {lock}>"$helm.lock"
    flock --timeout 1800 "$lock" || { echo "helm: another run has been building $helm for 30 minutes" >&2; exit 1; }
    if [[ ! -x $helm ]]; then
        echo "helm: building Helm $version into $helm" >&2
        # Two at a time: its largest packages take a gigabyte each.
        go=$PWD/scripts/go.sh
        (cd tests/helm && "$go" build -p 2 -mod=readonly -trimpath -o "$helm.part" \
            -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=v$version" "$package") >&2
        mv "$helm.part" "$helm"
    fi
    exec {lock}>&-
fi
printf '%s\n' "$helm"
