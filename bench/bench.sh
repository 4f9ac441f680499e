#!/usr/bin/env bash
# How fast is it, beside others, in one run? The same root file system, /bin/true, no network.
#   bench/bench.sh [--record]   measures here and in the machine with cgroup v2 alone; prints a Markdown table,
#                               keeps every time in target/bench/results.json; --record writes the table into BENCHMARKS.md and keeps
#                               the times in bench/results.json
#   bench/bench.sh --here FILE  measures only here, into FILE (this is what runs inside the machine)
# Ratios are of medians within one run: times of two runs, or of two machines, are not compared.
set -euo pipefail

cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin
here=$PWD
work=$here/target/bench
learnctr=$(ls -t target/*/release/learnctr 2>/dev/null | head -1 || true)
rounds=${ROUNDS:-3} runs=${RUNS:-60}

# What is measured: a floor, the smallest useful neighbour, the full ones, and learnctr in each form.
# A command that is not here, or does not work here, is left out with a word; nothing is made up for it.
commands() {
    local true=/bin/true
    local ours="$here/$learnctr run --rootfs $work/rootfs --network none"
    local step="$here/$learnctr step --auto --trace $work/trace.json --rootfs $work/rootfs --network none"
    cat <<END
floor           $work/floor $work/rootfs $true
floor-cgroup    $work/floor --cgroup $work/rootfs $true
bubblewrap      bwrap --unshare-all --die-with-parent --bind $work/rootfs / --proc /proc --dev /dev --tmpfs /dev/shm --mqueue /dev/mqueue --hostname web --cap-drop ALL --cap-add CAP_CHOWN --cap-add CAP_NET_RAW --cap-add CAP_KILL --new-session $true
runc            runc run --bundle $work runc-bench
crun            crun run --bundle $work crun-bench
run-unlimited   $ours --skip cgroup -- $true
run             $ours -- $true
step-trace      $step -- $true
view            $here/$learnctr view $$ --json
views           $here/$learnctr view $(yes $$ | head -n 21 | paste -sd ' ') --json
END
}

prepare() {
    local tool
    build/need.sh cc hyperfine jq bwrap || true
    build/need.sh --optional runc crun
    build/release.sh
    learnctr=$(ls -t target/*/release/learnctr | head -1)
    mkdir -p "$work"
    cc -O2 -static -o "$work/floor" bench/floor.c
    cc -O2 -static -o "$work/peak" bench/peak.c
    rm -rf "$work/rootfs"
    mkdir -p "$work"/rootfs/{bin,dev,etc,proc,sys,tmp,run,var}
    # /bin/true with the libraries that it needs, where it looks for them.
    cp -L /bin/true "$work/rootfs/bin/true"
    for tool in $(ldd /bin/true | grep -o '/[^ ]*'); do
        mkdir -p "$work/rootfs$(dirname "$tool")"
        cp -L "$tool" "$work/rootfs$tool"
    done
    # The same container for runc and crun: what learnctr would build, as an OCI bundle.
    "$learnctr" spec --rootfs "$work/rootfs" --network none -- /bin/true 2>/dev/null |
        jq '.root.path = "rootfs" | .process.terminal = false | .linux.cgroupsPath = "/learnctr-bench"' >"$work/config.json"
}

measure() {
    local out=$1 name command round names=() lines=()
    command -v hyperfine >/dev/null || { echo "hyperfine is missing" >&2; exit 1; }
    while read -r name command; do
        if timeout 30 $command >"$work/try.log" 2>&1 </dev/null; then
            names+=("$name")
            lines+=("$command")
        else
            echo "left out here: $name: $(tail -n 1 "$work/try.log")" >&2
        fi
    done < <(commands)
    rm -f "$work"/round.*.json
    # Several rounds through all of them, so that a slow minute does not fall upon one alone.
    for round in $(seq "$rounds"); do
        local arguments=() at
        for at in "${!names[@]}"; do arguments+=(-n "${names[at]}" "${lines[at]}"); done
        hyperfine -N --style none --warmup 5 --runs "$runs" --export-json "$work/round.$round.json" "${arguments[@]}" >/dev/null
    done
    local peak=null size=null
    if printf '%s\n' "${names[@]}" | grep -qx run; then
        peak=$("$work/peak" $(commands | sed -n 's/^run  *//p'))
    fi
    [ -n "$learnctr" ] && size=$(stat -c %s "$learnctr")
    jq -s --arg kernel "$(uname -r)" --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" \
        --arg cgroup "$([ -e /sys/fs/cgroup/cgroup.controllers ] && echo v2 || echo 'v1 or hybrid')" \
        --argjson peak "$peak" --argjson size "$size" --argjson processors "$(nproc)" '
        def at(p): sort | .[(length - 1) * p | floor] * 1e6 | round / 1e3;
        { kernel: $kernel, cpu: $cpu, processors: $processors, cgroup: $cgroup, peak_kib: $peak, binary_bytes: $size,
          milliseconds: ([.[].results[]] | group_by(.command) | map({ key: .[0].command, value: (map(.times[]) |
            { median: at(0.5), fastest: at(0), p95: at(0.95), runs: length }) }) | from_entries) }' \
        "$work"/round.*.json >"$out"
}

# The table: what the issue allows at most, and what was measured. `-` where one of the two is not there.
table() {
    jq -r '
        def median($m; $n): .[$m].milliseconds[$n].median;
        def ratio($m; $a; $b): median($m; $a) as $x | median($m; $b) as $y |
            if $x and $y then ($x / $y * 100 | round / 100) else null end;
        def row($what; $got; $most; $unit):
            "| \($what) | \(if $got == null then "-" else "\($got)\($unit)" end) | \($most)\($unit) | " +
            (if $got == null then "not measured" elif $got <= $most then "yes" else "**no**" end) + " |";
        "| measured | median ratio | at most | held |", "|---|---|---|---|",
        row("no cgroup limits, against bubblewrap"; ratio("here"; "run-unlimited"; "bubblewrap"); 1.0; " ×"),
        row("everything, cgroup v2 alone, against crun"; ratio("machine"; "run"; "crun"); 0.5; " ×"),
        row("everything, here, against runc"; ratio("here"; "run"; "runc"); 0.6; " ×"),
        row("with --trace, against runc"; ratio("here"; "step-trace"; "runc"); 1.0; " ×"),
        row("one view of one process, as a command of its own"; median("here"; "view"); 1.0; " ms"),
        row("one view of one process, of the 20 that a command of 21 has more"; (median("here"; "views") as $all |
            median("here"; "view") as $one | if $all and $one then (($all - $one) / 20 * 1e3 | round / 1e3) else null end);
            1.0; " ms"),
        row("peak memory of run"; (.here.peak_kib | if . then (. / 1024 * 100 | round / 100) else null end); 8; " MiB"),
        row("the static binary"; (.here.binary_bytes | if . then (. / 1048576 * 100 | round / 100) else null end); 6; " MiB"),
        "",
        (to_entries[] | .key as $key | .value |
            (if $key == "here" then "This machine" else "The machine with cgroup v2 alone (emulated, so only its ratios count)" end) +
            ": Linux \(.kernel), \(.processors) processors, \(.cpu), cgroup \(.cgroup).", "",
            "| ms | median | fastest | 95th percentile | runs |", "|---|---|---|---|---|",
            (.milliseconds | to_entries | sort_by(.value.median)[] |
                "| \(.key) | \(.value.median) | \(.value.fastest) | \(.value.p95) | \(.value.runs) |"), "")
    ' "$work/results.json"
}

record() {
    # Between these two lines of BENCHMARKS.md; the words around them are a person's.
    local begin='<!-- make bench-record: begin -->' end='<!-- make bench-record: end -->'
    grep -qF "$begin" BENCHMARKS.md 2>/dev/null || printf '%s\n%s\n' "$begin" "$end" >>BENCHMARKS.md
    awk -v begin="$begin" -v end="$end" -v table="$work/table.md" '
        $0 == end { inside = 0 }
        !inside
        $0 == begin { inside = 1; print ""; while ((getline line < table) > 0) print line }' BENCHMARKS.md >"$work/new.md"
    cp "$work/new.md" BENCHMARKS.md
    cp "$work/results.json" bench/results.json
    echo "written into BENCHMARKS.md" >&2
}

if [ "${1:-}" = --here ]; then
    measure "$2"
    exit
fi
[ "$(id -u)" = 0 ] || { echo "make bench needs root: runc and cgroup limits do" >&2; exit 1; }
prepare
measure "$work/here.json"
# Emulation is some thirty times slower: fewer runs. The result comes out as text, for its disk is thrown away.
if build/vm.sh run --timeout 1200 -- bash -c 'ROUNDS=2 RUNS=15 bench/bench.sh --here /tmp/results.json && echo RESULTS && cat /tmp/results.json' \
    >"$work/machine.log" && sed '1,/^RESULTS$/d' "$work/machine.log" >"$work/machine.json" && jq -e . "$work/machine.json" >/dev/null; then
    grep '^left out' "$work/machine.log" | sed 's/^/in the machine: /' >&2 || true
    jq -s '{ here: .[0], machine: .[1] }' "$work/here.json" "$work/machine.json" >"$work/results.json"
else
    cat "$work/machine.log" >&2
    jq -s '{ here: .[0] }' "$work/here.json" >"$work/results.json"
fi
table | tee "$work/table.md"
if [ "${1:-}" = --record ]; then record; fi
