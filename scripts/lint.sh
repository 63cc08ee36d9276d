#!/usr/bin/env bash
# Formatting and lints, licences and bans (deny.toml), changing nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
scripts/supply.sh
