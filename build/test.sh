#!/usr/bin/env bash
# Is it right? build/test.sh [GROUP…] runs the groups of build/suites, all of them without an argument,
# counts each apart, and ends with one line: N passed, N failed, N skipped.
# A test that skips itself prints `skipped: NAME: reason`; it counts as skipped, not as passed.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
export PATH=$PATH:/usr/sbin:/sbin CARGO_TARGET_DIR=$PWD/target CARGO_TERM_COLOR=never INSTA_UPDATE=no INSTA_WORKSPACE_ROOT=$PWD NO_COLOR=1 RUST_BACKTRACE=0
unset RUSTFLAGS LIBSECCOMP_LINK_TYPE
logs=$PWD/target/test
mkdir -p "$logs"
images=$(mktemp -d /tmp/learnctr-images.XXXXXX)
trap 'rm -rf "$images"' EXIT
chmod 711 "$images"
export LEARNCTR_TEST_DATA
groups=${*:-plain root user page lessons house vm}
passed=0 failed=0 skipped=0 last=$SECONDS

# add GROUP NAME PASSED FAILED SKIPPED: one line with the seconds since the last, and into the sums.
add() {
    passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
    printf '%-8s %-17s %4d passed %4d failed %4d skipped %5d s\n' "$@" $((SECONDS - last))
    last=$SECONDS
}

# tests GROUP NAME COMMAND…: a test program; what it printed is shown when it failed, else only what was skipped.
tests() {
    local group=$1 name=$2 log=$logs/$1-$2.log status=0 counts
    shift 2
    timeout --kill-after=10 1200 "$@" --show-output </dev/null >"$log" 2>&1 || status=$?
    # A test is skipped when its output says so and it did not fail; libtest shows each test's output under its name.
    counts=$(awk '
        /^successes:$/ { good = 1 } /^failures:$/ { good = 0 }
        /^---- / { test = $2; told = 0 }
        /^skipped: / && good && !told { self++; told = 1 }
        /^test result: / { for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i
                                                   if ($(i+1) ~ /^ignored/) n += $i } }
        END { print p - self, f + 0, n + self }' "$log")
    # shellcheck disable=SC2086
    set -- $counts
    # Ended badly without saying so: a crash, a signal, the time limit.
    if [ $status != 0 ] && [ "$2" = 0 ]; then set -- "$1" 1 "$3"; fi
    if [ $status != 0 ]; then
        echo "-- $group $name ended with $status:"
        cat "$log"
    fi
    add "$group" "$name" "$@"
    awk '/^successes:$/ { good = 1 } /^failures:$/ { good = 0 } /^---- / { test = $2 }
        /^skipped: / && good { sub(/^skipped: /, ""); print "         skipped: " test ": " $0 }
        /^test .* \.\.\. ignored/ { test = $2; sub(/.* ignored,? */, ""); print "         skipped: " test ": " $0 }' "$log" | sort -u
}

# check GROUP NAME COMMAND…: something that passes or fails as one.
check() {
    local group=$1 name=$2 log=$logs/$1-$2.log
    shift 2
    if "$@" </dev/null >"$log" 2>&1; then
        add "$group" "$name" 1 0 0
    else
        echo "-- $group $name: $*"
        cat "$log"
        add "$group" "$name" 0 1 0
    fi
}

# skip GROUP NAME REASON
skip() {
    add "$1" "$2" 0 0 1
    echo "         skipped: $2: $3"
}

suites() { awk -v group="$1" '!/^#/ { for (i = 2; i <= NF; i++) if ($i == group) print $1 }' build/suites; }
program() { awk -v name="$1" '$1 == name { print $2 }' "$logs/binaries"; }

# each GROUP [WRAPPER…]: the group's test programs, one after another.
each() {
    local group=$1 name file
    shift
    # Tests that need not watch an image being made share one: making it takes longer than most of them.
    LEARNCTR_TEST_DATA=$images/$group
    for name in $(suites "$group"); do
        file=$(program "$name")
        if [ -n "$file" ]; then
            tests "$group" "$name" "$@" "$PWD/$file"
        else
            echo "-- build/suites names $name, and cargo built no such test"
            add "$group" "$name" 0 1 0
        fi
    done
}

build() {
    build/rust.sh && build/need.sh cc pkg-config seccomp.h || return 1
    build/need.sh --optional newuidmap strace capsh setpriv lsns findmnt unshare ps ip bwrap runc tmux jq nft
    echo "building the tests"
    cargo test --locked --no-run --all-targets 2>&1 | tee "$logs/build.log" | grep -E '^(error|warning: unused)|Finished' || true
    # `Executable tests/house.rs (target/debug/deps/house-…)`; its file is named relative to here or from /.
    sed -n 's/^ *Executable \(.*\) (\(.*\))$/\1 \2/p' "$logs/build.log" |
        sed "s|^unittests src/||; s|^tests/||; s|$PWD/||" | sed 's/^\([^ ]*\)\.rs /\1 /' >"$logs/binaries"
    grep -q ' Finished ' "$logs/build.log" || { cat "$logs/build.log"; return 1; }
}

house() {
    each house
    build/rust.sh rustfmt clippy || true
    check house fmt cargo fmt --check
    check house clippy cargo clippy --quiet --locked --all-targets -- -D warnings
    build/tool.sh cargo-deny 0.20.2 >"$logs/house-tool.log" 2>&1 || { cat "$logs/house-tool.log"; add house cargo-deny 0 1 0; return; }
    PATH=$PWD/target/tools/bin:$PATH
    check house licences cargo deny --locked check licenses bans sources
    # The advisories are a repository that not every network reaches; that is told from an advisory found.
    if cargo deny --locked fetch db >"$logs/house-fetch.log" 2>&1; then
        check house advisories cargo deny --locked check advisories
    else
        skip house advisories "$(grep -o 'fatal: .*' "$logs/house-fetch.log" | tail -1)"
    fi
}

# The same groups again, in the machine: there this script is called with --built, and its last line is the sum. A machine
# for each group, side by side: emulation uses one processor at a time most of the time.
vm() {
    local group log sum status
    if ! command -v apt-get >/dev/null || [ "$(uname -m)" != x86_64 ]; then
        skip vm machine "its kernel is Debian's for x86_64, and there is no apt-get here"
        return
    fi
    build/need.sh qemu-system-x86_64 cpio xz mke2fs objcopy strace || true
    check vm made build/vm.sh make
    for group in root user; do
        {
            status=0
            build/vm.sh run --timeout 3600 -- build/test.sh --built $group >"$logs/vm-$group.log" 2>&1 || status=$?
            echo $status >"$logs/vm-$group.status"
        } &
    done
    wait
    for group in root user; do
        log=$logs/vm-$group.log status=$(cat "$logs/vm-$group.status")
        sed -E 's/^(root|user) /vm:\1 /; /^[0-9]+ passed, /d' "$log"
        read -r -a sum < <(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1 | tr -dc '0-9 \n')
        # No sum, or a bad end without a failure: the machine itself failed.
        if [ ${#sum[@]} != 3 ]; then sum=(0 1 0); fi
        if [ "$status" != 0 ] && [ "${sum[1]}" = 0 ]; then sum[1]=1; fi
        add vm "$group" "${sum[@]}"
    done
}

# The page in a real browser: node's test runner says what came of it.
page() {
    local file name log status
    if ! build/need.sh node npm chromium; then
        skip page browser "node, npm and chromium are not to be had here"
        return
    fi
    for file in tests/page/*.test.mjs; do
        name=$(basename "$file" .test.mjs) log=$logs/page-$(basename "$file").log status=0
        timeout --kill-after=10 900 build/page.sh target/debug/learnctr "$file" </dev/null >"$log" 2>&1 || status=$?
        # shellcheck disable=SC2046
        set -- $(awk '/^# pass / { p = $3 } /^# fail / { f = $3 } /^# skipped / { s = $3 } END { print p + 0, f + 0, s + 0 }' "$log")
        if [ $status != 0 ] && [ "$2" = 0 ]; then set -- "$1" 1 "$3"; fi
        [ $status = 0 ] || { echo "-- page $name ended with $status:"; cat "$log"; }
        add page "$name" "$@"
        sed -n 's/^ok [0-9]* - \(.*\) # SKIP \(.*\)/         skipped: \1: \2/p' "$log"
    done
}

if [ "${1:-}" = --built ]; then
    shift
    groups=$*
    mkdir -p "$logs"
else
    build || { add build tests 0 1 0; echo "$passed passed, $failed failed, $skipped skipped"; exit 1; }
fi

for group in $groups; do
    case $group in
        plain) each plain build/as-user.sh ;;
        root | lessons)
            if [ "$(id -u)" = 0 ]; then each $group; else for name in $(suites $group); do skip $group "$name" "needs root"; done; fi
            ;;
        user) each user build/as-user.sh ;;
        page) page ;;
        vm) vm ;;
        house) house ;;
        *) echo "no such group: $group" >&2; exit 2 ;;
    esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
