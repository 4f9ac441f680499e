#!/bin/sh
# How is a cargo command got? build/tool.sh NAME VERSION [OPTION…] puts it into target/tools/bin, once.
# Unoptimised: that halves the minutes to build it, and it runs for a second.
set -eu

cd "$(dirname "$0")/.."
name=$1 version=$2
shift 2
[ -x "target/tools/bin/$name" ] && [ "$(cat "target/tools/$name.version" 2>/dev/null)" = "$version" ] && exit
echo "getting $name $version into target/tools (a minute or two, once)" >&2
mkdir -p target/tools
CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$PWD/target/tools/build \
    cargo install --quiet --debug --locked --force --root target/tools "$name" --version "$version" "$@" >&2
rm -rf target/tools/build
echo "$version" >"target/tools/$name.version"
