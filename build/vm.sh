#!/usr/bin/env bash
# A machine with cgroup v2 alone, on any machine, without privilege: QEMU by emulation, Debian's cloud kernel.
#   build/vm.sh run [--timeout SECONDS] -- CMD…   run CMD in it, in this directory; prints what it prints, ends as it ends
#   build/vm.sh shell                             the same machine, with a shell on this terminal
#   build/vm.sh make                              only get and build what it is made of
# CMD finds this checkout at its path (a copy: what it writes is thrown away), and the tools of build/vm/tools.
# VM_CACHE=DIR keeps what it is made of elsewhere; another kernel, unpacked in DIR/linux beside a static bin/busybox, is used
# when DIR/linux/ready is there. VM_ACCEL=kvm uses hardware; emulation is the default, since a /dev/kvm that hangs is as common as one that works.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
cache=${VM_CACHE:-$repo/target/vm}
PATH=$PATH:/usr/sbin:/sbin
say() { echo "vm: $*" >&2; }
die() { say "$@"; exit 125; }
# Files must belong to root on the disks, whoever builds them.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else unshare --map-root-user "$@"; fi; }

# Debian's kernel, a static busybox and AppArmor's compiler, downloaded and unpacked: nothing is installed.
fetch() {
    [ -e "$cache/linux/ready" ] && return
    command -v apt-get dpkg-deb >/dev/null || die "no apt-get here: Debian's kernel cannot be fetched"
    say "getting a kernel and busybox from the distribution into target/vm (nothing is installed)"
    rm -rf "$cache/linux" "$cache/deb"
    mkdir -p "$cache/linux" "$cache/deb"
    local wanted kernel
    kernel() {
        apt-cache depends linux-image-cloud-amd64 linux-image-virtual 2>/dev/null |
            sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1
    }
    wanted=$(kernel)
    if [ -z "$wanted" ] && [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2
        wanted=$(kernel)
    fi
    [ -n "$wanted" ] || die "apt knows no kernel package here (apt-get update?)"
    # Ubuntu keeps the modules in a package beside the image.
    wanted="$wanted $(apt-cache depends "$wanted" | sed -n 's/^ *Depends: \(linux-modules-[0-9].*\)/\1/p')"
    (cd "$cache/deb" && apt-get download -qq $wanted busybox-static apparmor) >&2 ||
        { apt-get update -qq >&2 && (cd "$cache/deb" && apt-get download -qq $wanted busybox-static apparmor) >&2; } ||
        die "apt-get download $wanted busybox-static apparmor failed"
    local deb
    for deb in "$cache"/deb/*.deb; do dpkg-deb -x "$deb" "$cache/linux"; done
    rm -rf "$cache/deb"
    find "$cache/linux" -name '*.ko.zst' -exec zstd -q -d --rm {} +
    find "$cache/linux" -name '*.ko.xz' -exec xz -d {} +
    local version
    version=$(ls "$cache/linux/lib/modules")
    "$cache/linux/bin/busybox" depmod -b "$cache/linux" "$version"
    touch "$cache/linux/ready"
}

# One command or file, the links on the way to it, and the libraries it names.
declare -A there
add() {
    local path dir target
    path=$1
    case $path in
        /*) ;;
        *) path=$(type -P "$path") || return 0 ;;
    esac
    [ -e "$path" ] || return 0
    dir=$(realpath "$(dirname "$path")")
    path=$dir/$(basename "$path")
    [ -z "${there[$path]:-}" ] || return 0
    there[$path]=1
    mkdir -p "$base$dir"
    cp -a "$path" "$base$dir/"
    if [ -L "$path" ]; then
        target=$(readlink "$path")
        case $target in /*) ;; *) target=$dir/$target ;; esac
        add "$target"
    elif [ -f "$path" ]; then
        local library
        for library in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]*'); do add "$library"; done
    fi
}

# The root disk: this machine's tools, users of its own, the kernel's modules.
root_disk() {
    local stamp
    stamp=$(cat "$repo/build/vm/tools" "$repo/build/vm/init" "$0" /var/lib/dpkg/status 2>/dev/null | cksum)
    [ "$(cat "$cache/root.stamp" 2>/dev/null)" = "$stamp" ] && return
    say "building the root disk"
    base=$cache/base
    rm -rf "$base"
    mkdir -p "$base"/{usr,etc,proc,sys,dev,run,root,mnt,opt,srv,home/user,var/tmp,tmp,lib/modules}
    rmdir "$base/lib/modules" "$base/lib"
    local dir word version
    for dir in bin sbin lib lib64 lib32; do
        if [ -L /$dir ]; then
            cp -a /$dir "$base/"
            mkdir -p "$base/usr/$dir"
        fi
    done
    mkdir -p "$base/lib/modules"
    for word in $(sed 's/#.*//' "$repo/build/vm/tools"); do add "$word"; done
    # The name service reads its libraries by name, so ldd does not see them.
    for word in /lib/*/libnss_files.so* /lib64/libnss_files.so*; do add "$word"; done
    cp "$repo/build/vm/init" "$base/init"
    cp "$cache/linux/bin/busybox" "$base/usr/sbin/busybox"
    # Never installed here, where it would confine this machine's programs.
    for word in "$cache"/linux/{,usr/}sbin/apparmor_parser; do
        [ ! -e "$word" ] || { cp "$word" "$base/usr/sbin/" && for dir in $(ldd "$word" | grep -o '/[^ ]*'); do add "$dir"; done; }
    done
    # The kernel itself loads what is asked for (overlay, veth) by this path.
    ln -sf busybox "$base/usr/sbin/modprobe"
    [ -L "$base/sbin" ] || { mkdir -p "$base/sbin" && ln -sf /usr/sbin/busybox "$base/sbin/modprobe"; }
    version=$(ls "$cache/linux/lib/modules")
    mkdir -p "$base/lib/modules/$version"
    (cd "$cache/linux/lib/modules/$version" &&
        tar -c modules.* kernel/net kernel/lib kernel/crypto kernel/fs/overlayfs kernel/fs/fuse kernel/drivers/block/loop.ko \
            kernel/drivers/net/*.ko kernel/drivers/char kernel/arch 2>/dev/null) |
        tar -x -C "$base/lib/modules/$version" || true
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/nonexistent:/bin/false' \
        'user:x:1000:1000:user:/home/user:/bin/sh' >"$base/etc/passwd"
    printf '%s\n' root:x:0: tty:x:5: nogroup:x:65534: user:x:1000: >"$base/etc/group"
    echo user:100000:65536 | tee "$base/etc/subuid" >"$base/etc/subgid"
    echo machine >"$base/etc/hostname"
    printf '127.0.0.1 localhost machine\n' >"$base/etc/hosts"
    : >"$base/etc/resolv.conf"
    chmod 1777 "$base/tmp" "$base/var/tmp"
    as_root sh -c 'chown -R 1000:1000 "$1/home/user" 2>/dev/null; ldconfig -r "$1" 2>/dev/null; :' sh "$base"
    rm -f "$cache/root.img"
    as_root mke2fs -q -F -t ext4 -m 0 -O ^has_journal -E lazy_itable_init=1 -d "$base" "$cache/root.img" 1500M >/dev/null
    echo "$stamp" >"$cache/root.stamp"
}

# The checkout's disk: its files, and what cargo built to be run; debug information stays here.
checkout_disk() {
    local image=$1 tree file
    tree=$work/tree
    mkdir -p "$tree/target"
    (cd "$repo" && tar -c --exclude=./target --exclude=./.git --exclude=node_modules --exclude=./mdbook/book .) |
        tar -x -C "$tree"
    for file in $(cd "$repo" && ls -d target/debug/learnctr target/*/release/learnctr target/test/binaries 2>/dev/null) \
        $(awk '{ print $2 }' "$repo/target/test/binaries" 2>/dev/null); do
        mkdir -p "$tree/$(dirname "$file")"
        objcopy --strip-debug "$repo/$file" "$tree/$file" 2>/dev/null || cp "$repo/$file" "$tree/$file"
    done
    if [ -d "$repo/target/bench" ]; then cp -a "$repo/target/bench" "$tree/target/"; fi
    as_root mke2fs -q -F -t ext4 -m 0 -O ^has_journal -E lazy_itable_init=1 -d "$tree" "$image" 1500M >/dev/null
}

# The first root: just enough to find the disk and leave (pivot_root refuses to leave an initramfs).
first_root() {
    local dir=$1 version module
    version=$(ls "$cache/linux/lib/modules")
    mkdir -p "$dir"/{bin,root,proc}
    cp "$cache/linux/bin/busybox" "$dir/bin/"
    cp "$repo/build/vm/first-init" "$dir/init"
    chmod +x "$dir/init"
    # In the order in which they must be loaded; what is built in has no file.
    for module in virtio_pci virtio_blk virtio_console; do
        sed -n "s|^\(kernel/[^:]*/$module\.ko\):\(.*\)|\2 \1|p" "$cache/linux/lib/modules/$version/modules.dep" |
            awk '{ for (i = NF - 1; i > 0; i--) print $i; print $NF }'
    done | awk '!seen[$0]++' | while read -r module; do
        cp "$cache/linux/lib/modules/$version/$module" "$dir/"
        basename "$module"
    done >"$dir/modules"
}

boot() {
    local limit=$1 console=$2 kernel
    shift 2
    case $(uname -m) in x86_64) ;; *) die "only x86_64 has its machine here" ;; esac
    fetch
    root_disk
    work=$(mktemp -d "$cache/run.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/first"
    first_root "$work/first"
    {
        printf 'cd %q\n' "$repo"
        printf 'export CI=%q VM=1\n' "${CI:-}"
        printf '%q ' "$@"
        echo
    } >"$work/first/command"
    echo "$repo" >"$work/first/repo"
    (cd "$work/first" && find . | cpio -o -H newc -R 0:0 --quiet) >"$work/first.cpio"
    checkout_disk "$work/checkout.img"
    kernel=$(ls "$cache"/linux/boot/vmlinuz-*)
    : >"$work/out"
    : >"$work/status"

    # An emulator translates each program's code anew when it is at another address, and the detours against speculation
    # are dear to it. Without both, and with a clock that is read without leaving the machine, it is three times as fast.
    # A busy machine gives the emulator no time at the wrong moment: then "IO-APIC + timer doesn't work" is a panic at boot.
    local quick="norandmaps mitigations=off init_on_alloc=0 tsc=reliable no_timer_check"
    local serial=(-display none -serial "file:$work/console" -monitor none)
    [ "$console" = shell ] && serial=(-nographic)
    timeout --foreground "$limit" qemu-system-x86_64 -M q35 -accel "${VM_ACCEL:-tcg}" -cpu max -m 1536 -smp 2 -nic none -no-reboot \
        "${serial[@]}" -kernel "$kernel" -initrd "$work/first.cpio" -append "console=ttyS0 quiet panic=-1 vm=$console $quick" \
        -drive "file=$cache/root.img,format=raw,if=virtio,snapshot=on,cache=unsafe" \
        -drive "file=$work/checkout.img,format=raw,if=virtio,snapshot=on,cache=unsafe" \
        -device virtio-serial -chardev "file,id=out,path=$work/out" -device virtserialport,chardev=out,name=out \
        -chardev "file,id=status,path=$work/status" -device virtserialport,chardev=status,name=status &
    local qemu=$! ended=0
    if [ "$console" = shell ]; then
        wait $qemu || true
        return
    fi
    # What the command prints, as it prints it.
    tail -q -c +1 -f --pid=$qemu "$work/out" &
    wait $qemu || ended=$?
    wait
    if [ -s "$work/status" ]; then return "$(cat "$work/status")"; fi
    [ $ended = 124 ] && say "no answer after $limit s"
    say "the machine ended without a status; the end of its console:"
    tail -n 20 "$work/console" >&2
    return 125
}

case ${1:-} in
    run)
        shift
        limit=900
        [ "${1:-}" = --timeout ] && { limit=$2; shift 2; }
        [ "${1:-}" = -- ] && shift
        boot "$limit" run "$@"
        ;;
    shell) boot 0 shell sh ;;
    make)
        fetch
        root_disk
        ;;
    *) sed -n '2,7s/^# //p' "$0" >&2 && exit 2 ;;
esac
