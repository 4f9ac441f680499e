#!/usr/bin/env bash
# What can an ordinary user do? build/as-user.sh CMD… runs CMD as one who exists only for it.
# The user, its range of ids and its home are in a mount namespace of their own: nothing of the machine is changed.
# Where cgroup v2 can be written, it gets a delegated group, as systemd gives to a user.
# An ordinary user who calls this is that user already.
set -euo pipefail

[ "$(id -u)" = 0 ] || exec "$@"
repo=$(cd "$(dirname "$0")/.." && pwd)
name=learnctr-test id=61234
if [ -z "${AS_USER_INSIDE:-}" ]; then
    home=$(mktemp -d /tmp/learnctr-user.XXXXXX)
    group=
    if [ -w /sys/fs/cgroup/cgroup.subtree_control ]; then
        group=/sys/fs/cgroup/$(basename "$home")
        mkdir -p "$group/session"
        for controller in cpu memory pids; do echo +$controller >/sys/fs/cgroup/cgroup.subtree_control || true; done 2>/dev/null
        for controller in cpu memory pids; do echo +$controller >"$group/cgroup.subtree_control" || true; done 2>/dev/null
        chown $id:$id "$group" "$group"/cgroup.{procs,subtree_control,threads} "$group/session" "$group"/session/cgroup.*
    fi
    gone() {
        rm -rf "$home"
        if [ -n "$group" ]; then
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
        fi
    }
    trap gone EXIT
    status=0
    AS_USER_INSIDE=$home AS_USER_GROUP=$group unshare --mount --propagation private "$0" "$@" || status=$?
    exit $status
fi

home=$AS_USER_INSIDE
with() { # FILE LINE: this file, with one line more, in this namespace
    { cat "$1" 2>/dev/null || true; echo "$2"; } >"$home/$(basename "$1")"
    chmod 644 "$home/$(basename "$1")"
    [ -e "$1" ] || return 0
    mount --bind "$home/$(basename "$1")" "$1"
}
with /etc/passwd "$name:x:$id:$id::$home:/bin/sh"
with /etc/group "$name:x:$id:"
with /etc/subuid "$name:700000:65536"
with /etc/subgid "$name:700000:65536"

# A checkout in /root cannot be reached by others: the way to it is made anew, with nothing beside it.
blocked=
way=
IFS=/
for part in ${repo#/}; do
    way=$way/$part
    [ $((8#$(stat -c %a "$way") & 1)) = 1 ] || { blocked=$way; break; }
done
unset IFS
if [ -n "$blocked" ] && [ "$blocked" != "$repo" ]; then
    mkdir "$home/repo"
    mount --bind "$repo" "$home/repo"
    mount -t tmpfs -o mode=755 way "$blocked"
    mkdir -p "$repo"
    mount --move "$home/repo" "$repo"
    cd "$repo"
fi

mkdir "$home/run"
chmod 755 "$home"
chmod 700 "$home/run"
chown $id:$id "$home" "$home/run"
if [ -n "${LEARNCTR_TEST_DATA:-}" ]; then install -d -m 755 -o $id -g $id "$LEARNCTR_TEST_DATA"; fi
if [ -n "$AS_USER_GROUP" ]; then echo $$ >"$AS_USER_GROUP/session/cgroup.procs"; fi
exec env -u AS_USER_INSIDE -u AS_USER_GROUP HOME="$home" USER=$name LOGNAME=$name XDG_RUNTIME_DIR="$home/run" \
    setpriv --reuid=$id --regid=$id --init-groups --inh-caps=-all -- "$@"
