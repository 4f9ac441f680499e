#!/bin/sh
# What is missing here, and how is it got? build/need.sh [--optional] TOOL…
# Gets only what is missing, with the distribution's own package manager, and says so first.
# Exit status 0 when everything is there afterwards (or, with --optional, in any case).
set -eu

here=$(dirname "$0")
optional=
[ "${1:-}" = --optional ] && { optional=yes; shift; }

# /usr/sbin is not in an ordinary user's PATH on Debian, and capsh, ip and runc live there.
PATH=$PATH:/usr/sbin:/sbin

there() {
    case $1 in
        *.h) [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ] ||
            printf '#include <%s>\n' "$1" | cc -E -x c - >/dev/null 2>&1 ;;
        # cc answers with the bare name when it does not find the file.
        *.a) case $(cc -print-file-name="$1" 2>/dev/null) in /*) ;; *) return 1 ;; esac ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing() {
    for tool; do there "$tool" || printf '%s ' "$tool"; done
}

column=1 manager='' fresh=''
for known in apt-get dnf pacman apk zypper yum; do
    if command -v $known >/dev/null 2>&1; then
        manager=$known
        break
    fi
done
case $manager in
    apt-get) column=2 get='apt-get install -y --no-install-recommends' fresh='apt-get update && ' ;;
    dnf | yum) column=3 get="$manager install -y" ;;
    pacman) column=4 get='pacman -S --needed --noconfirm' ;;
    apk) column=5 get='apk add' ;;
    zypper) column=6 get='zypper --non-interactive install' ;;
esac

absent=$(missing "$@")
absent=${absent% }
[ -n "$absent" ] || exit 0

give_up() {
    [ -n "$optional" ] && exit 0
    exit 1
}

if [ -z "$manager" ]; then
    echo "missing: $absent (no package manager known here; please get them yourself)" >&2
    give_up
fi

packages=
for tool in $absent; do
    found=$(awk -v tool="$tool" -v column=$column '$1 == tool { print $column }' "$here/packages" | tr ',' ' ')
    case $found in
        '') echo "need.sh: no line for '$tool' in build/packages" >&2 && exit 1 ;;
        -) echo "missing: $tool (not packaged for this distribution)" >&2 ;;
        *) packages="$packages $found" ;;
    esac
done
[ -n "$packages" ] || give_up
packages=$(printf '%s\n' $packages | sort -u | tr '\n' ' ')
packages=${packages% }

if [ "$(id -u)" = 0 ]; then
    as=
elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as=sudo
else
    echo "missing: $absent" >&2
    echo "  get it as root:  $fresh$get $packages" >&2
    give_up
fi

echo "getting what is missing here ($absent): ${as:+$as }$get $packages" >&2
# Nobody is there to answer a package's questions; sudo does not hand on what is only exported.
as="$as env DEBIAN_FRONTEND=noninteractive"
if [ "$manager" = apt-get ]; then
    # A fresh machine or container has no lists yet, and old lists name packages that are gone.
    $as apt-get update -qq >&2 || true
fi
# A package that this release does not have must not keep the others away.
$as $get $packages </dev/null >&2 || for package in $packages; do
    $as $get "$package" </dev/null >&2 || echo "need.sh: $manager could not get $package" >&2
done

absent=$(missing "$@")
[ -z "$absent" ] || { echo "still missing: $absent" >&2; give_up; }
