#!/bin/sh
# How do the lessons become a book? mdBook, built once into target/tools (a minute), then a second.
set -eu

cd "$(dirname "$0")/.."
build/rust.sh
build/need.sh cc pkg-config seccomp.h
build/tool.sh mdbook 0.5.4 --no-default-features --features search
# mdBook ends with 0 when an include or a link leads nowhere (tests/house.rs finds those).
cargo test --quiet --locked --test house -- book lesson
target/tools/bin/mdbook build mdbook
echo "the book: mdbook/book/index.html"
