#!/usr/bin/env bash
# Formatting and lints, changing nothing. Licences and bans (deny.toml) too where cargo-deny is installed;
# it is not one of the tools that setup installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
if command -v cargo-deny >/dev/null 2>&1; then
    cargo deny --locked check
else
    echo "lint: cargo-deny is not installed, deny.toml was not checked" >&2
fi
