#!/bin/sh
# Is there a Rust that can build this? build/rust.sh [COMPONENT…] says what to do when not, and gets rustup's components.
# A toolchain is not installed from here: whose it is, and where it goes, is for the machine's owner to say.
set -eu

cd "$(dirname "$0")/.."
least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || true
if [ -z "$found" ] || ! command -v cargo >/dev/null 2>&1 ||
    [ "$(printf '%s\n' "$least" "$found" | sort -V | head -n 1)" != "$least" ]; then
    echo "Rust $least or later is missing here${found:+ (this is $found)}: see https://rustup.rs, or, where rustup is there:" >&2
    echo "  rustup update stable && rustup default stable" >&2
    exit 1
fi

absent=
for component; do
    # rustup leaves a command of that name in PATH whether the component is there or not: it must be asked.
    case $component in rustfmt) command=fmt ;; *) command=$component ;; esac
    cargo "$command" --version >/dev/null 2>&1 || absent="$absent $component"
done
[ -n "$absent" ] || exit 0
command -v rustup >/dev/null 2>&1 || { echo "missing:$absent (parts of the Rust toolchain; there is no rustup here)" >&2; exit 1; }
echo "getting what is missing here (${absent# }): rustup component add$absent" >&2
# shellcheck disable=SC2086
rustup component add $absent >&2
