#!/usr/bin/env bash
# Does the page work in a real browser? build/page.sh PROGRAM [TEST…] drives it with Debian's chromium through playwright-core;
# both are got here when they are missing, and kept out of the source tree. build/page.sh PROGRAM --bench measures it.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
shift
build/need.sh node npm chromium
modules=$PWD/target/page
mkdir -p "$modules"
if ! cmp -s tests/page/package-lock.json "$modules/package-lock.json"; then
    cp tests/page/package.json tests/page/package-lock.json "$modules/"
    (cd "$modules" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || { rm -f "$modules/package-lock.json"; exit 1; }
fi
export LEARNCTR=$program NODE_MODULES=$modules
CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
export CHROMIUM
[ "${1:-}" != --bench ] || exec node bench/page.mjs
[ $# != 0 ] || set -- tests/page/*.test.mjs
# One after another: each has a browser and a machine's worth of containers.
exec node --test --test-reporter=tap --test-concurrency=1 "$@"
