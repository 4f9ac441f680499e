#!/bin/sh
# What is put where? build/install.sh BINARY PREFIX, and build/install.sh --remove PREFIX takes it away again.
set -eu

binary=$1 prefix=$2
bash=$prefix/share/bash-completion/completions/learnctr
zsh=$prefix/share/zsh/site-functions/_learnctr
fish=$prefix/share/fish/vendor_completions.d/learnctr.fish
man=$prefix/share/man/man1

if [ "$binary" = --remove ]; then
    rm -fv "$prefix/bin/learnctr" "$bash" "$zsh" "$fish" "$man/learnctr.1" "$man"/learnctr-*.1
    exit
fi
[ -x "$binary" ] || { echo "nothing is built here yet: make build, as the user who has Rust" >&2; exit 1; }
papers=$(mktemp -d)
trap 'rm -rf "$papers"' EXIT
"$binary" generate "$papers"
put() { # MODE FROM TO
    mkdir -p "$(dirname "$3")"
    install -m "$1" "$2" "$3"
    echo "$3"
}
put 755 "$binary" "$prefix/bin/learnctr"
put 644 "$papers/learnctr.bash" "$bash"
put 644 "$papers/_learnctr" "$zsh"
put 644 "$papers/learnctr.fish" "$fish"
for page in "$papers"/*.1; do put 644 "$page" "$man/$(basename "$page")"; done
