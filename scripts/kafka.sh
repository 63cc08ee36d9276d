#!/usr/bin/env bash
# Brings the Apache Kafka that the tests start, and prints the folder with its jars.
#
# tests/kafka/pom.xml says which; Maven resolves it once per content of that file into the user's cache. With the
# jars there it touches neither the network nor the disk. Two runs at the same time fetch once: the second waits.
#
#   export RETTIDIG_KAFKA_JARS=$(scripts/kafka.sh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pom=tests/kafka/pom.xml
version=$(sed -n 's/.*<kafka\.version>\(.*\)<.*/\1/p' "$pom")
key=$(sha256sum <"$pom" | cut -c1-12)
jars=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rettidig/kafka-$version-$key

# The folder gets its name last: one that is there is whole.
if [[ ! -d $jars ]]; then
    mkdir -p "$(dirname "$jars")"
    exec {lock}>"$jars.lock"
    flock --timeout 900 "$lock" || { echo "kafka: another run has been fetching $jars for 15 minutes" >&2; exit 1; }
    if [[ ! -d $jars ]]; then
        command -v mvn >/dev/null 2>&1 || { echo "kafka: no Maven (mvn) here: 'make setup' installs it" >&2; exit 1; }
        echo "kafka: fetching Apache Kafka $version into $jars" >&2
        rm -rf "$jars.part"
        mvn --quiet --batch-mode --no-transfer-progress --file "$pom" \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$jars.part" >&2
        mv "$jars.part" "$jars"
    fi
    exec {lock}>&-
fi
printf '%s\n' "$jars"
