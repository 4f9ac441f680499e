#!/bin/sh
# How does the program become one file that runs anywhere? build/release.sh [MACHINE]
# Static where libseccomp.a and libc.a are there, else dynamic, with a word. `cargo build` needs none of this.
set -eu

cd "$(dirname "$0")/.."
build/rust.sh
build/need.sh cc pkg-config seccomp.h
build/need.sh --optional libseccomp.a libc.a
machine=${1:-$(rustc -vV | sed -n 's/^host: //p')}

archive=$(cc -print-file-name=libseccomp.a)
libc=$(cc -print-file-name=libc.a)
case $archive:$libc in
    /*:/*)
        export LIBSECCOMP_LINK_TYPE=static
        LIBSECCOMP_LIB_PATH=$(dirname "$archive")
        export LIBSECCOMP_LIB_PATH
        # For this target only, and so --target: build scripts and proc-macros must stay dynamic.
        # Cargo links here, so that the name need not be whole: one with a space in it could not be given.
        flags="-C target-feature=+crt-static -C relocation-model=static -C force-unwind-tables=no"
        flags="$flags -C link-arg=-Wl,--no-eh-frame-hdr,-T,build/no-unwind.ld"
        export "CARGO_TARGET_$(echo "$machine" | tr 'a-z-' 'A-Z_')_RUSTFLAGS=$flags"
        ;;
    *) echo "libseccomp.a or libc.a is not here: building a program that needs libseccomp.so" >&2 ;;
esac
[ -e "target/$machine/release/learnctr" ] ||
    echo "building: some minutes this first time, the last crate (learnctr itself) is the longest of them" >&2
cargo build --release --locked --target "$machine"
