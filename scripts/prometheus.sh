#!/usr/bin/env bash
# Brings Prometheus and Alertmanager, with promtool and amtool, for the tests of the alerts, and prints the folder they are in.
#
# They are taken out of Debian's packages into the user's cache: nothing is installed, no service is started, and root is
# not needed. With them there it touches neither the network nor the disk. Two runs at the same time fetch once: the second waits.
#
#   folder=$(scripts/prometheus.sh); "$folder/usr/bin/promtool" --version
#
# Start prometheus-alertmanager with that folder as its working folder: it reads its own templates there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

prometheus=2.42.0 alertmanager=0.25.0
say() { printf 'prometheus: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

key=$(sha256sum <scripts/prometheus.sh | cut -c1-12)
folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/rettidig/prometheus-$prometheus-$key

# The folder gets its name last: one that is there is whole.
if [[ ! -d $folder ]]; then
    mkdir -p "$(dirname "$folder")"
    exec {lock}>"$folder.lock"
    flock --timeout 300 "$lock" || fail "another run has been fetching $folder for 5 minutes"
    if [[ ! -d $folder ]]; then
        command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
            fail "no apt-get and dpkg here: the tests of the alerts take Prometheus from Debian's packages"
        say "fetching Prometheus $prometheus and Alertmanager $alertmanager into $folder"
        part=$folder.part
        rm -rf "$part"
        mkdir -p "$part/apt/lists/partial" "$part/apt/cache/archives/partial"
        # Lists of its own, so that the system's are neither needed nor changed.
        apt=(apt-get --quiet=2 -o "Dir::State::Lists=$part/apt/lists" -o "Dir::Cache=$part/apt/cache" -o APT::Sandbox::User=)
        "${apt[@]}" update >&2
        (cd "$part/apt" && "${apt[@]}" download "prometheus=$prometheus*" "prometheus-alertmanager=$alertmanager*" >&2) ||
            fail "the system's package sources have no Prometheus $prometheus with Alertmanager $alertmanager (Debian 12 has)"
        for package in "$part"/apt/*.deb; do dpkg-deb --extract "$package" "$part"; done
        rm -rf "$part/apt"
        # Debian builds in where the templates are; the same bytes without the first slash are a relative path.
        LC_ALL=C sed --in-place 's#/usr/share/prometheus/alertmanager#usr/share/prometheus//alertmanager#g' \
            "$part/usr/bin/prometheus-alertmanager" "$part/usr/bin/amtool"
        mv "$part" "$folder"
    fi
    exec {lock}>&-
fi
printf '%s\n' "$folder"
