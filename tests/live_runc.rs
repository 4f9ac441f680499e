//! Does the same bundle give the same container under other runtimes? A table of changes to one config.json; each is
//! run by runc and by crun, where they are installed, and here, and the command says what it sees from inside.
//!
//! A runtime obeys a config.json that would change the host (a mount namespace that is joined, or none): no line of the
//! table has one, and each is started in a mount namespace of its own. Next: `live_bundle`, what is asked of us alone.

mod sandbox;

use sandbox::{Place, name, root};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the command says of itself: all that a config.json decides, and nothing that differs from run to run.
const SAYS: &str = r#"id; umask; pwd; hostname; cat /proc/sys/kernel/domainname; env | sort; tty
grep -E '^(Umask|Uid|Gid|Groups|NoNew|Seccomp:|Cap|SigBlk)' /proc/self/status
tail -n +2 /proc/self/limits; cat /proc/self/oom_score_adj
while read a b c root at flags rest; do case $at in /proc/*|/sys*) echo "$at $flags";; *) echo "$at $flags ${rest#*- }";; esac
done < /proc/self/mountinfo | grep -v -e ' / / ' -e ^/sys/fs/cgroup -e '^/proc/[a-z_]* ' | sort
for n in cgroup ipc mnt net pid user uts; do echo $n $([ "$(readlink /proc/self/ns/$n)" = "$(eval echo \$host_$n)" ] && echo host); done
ls -ln /dev | while read mode links uid gid major minor when; do echo $mode $uid $gid $major $minor ${when##* }; done | grep -e ^c -e ^b
for f in net/ipv4/ip_forward net/core/somaxconn kernel/shmmax fs/mqueue/msg_max; do cat /proc/sys/$f; done
for p in /etc/os-release /srv /proc/timer_list; do stat -c '%n %F %A %u %g' $p; done
(: >> /proc/sys/kernel/panic; : >> /etc/os-release; mkdir /srv/new; mkdir /usr/new) 2>&1 | sed 's/^sh: [0-9]*: //'; cat /etc/os-release | wc -l"#;

/// A change, and more to be said.
type Line = (&'static str, fn(&mut Value, &Path), &'static str);

const TABLE: &[Line] = &[
    ("as it is", |_, _| {}, ""),
    (
        "another user",
        |c, _| {
            c["process"]["user"] = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o77})
        },
        "",
    ),
    (
        "ambient",
        |c, _| {
            for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
                c["process"]["capabilities"][set] = json!(["CAP_CHOWN", "CAP_NET_RAW"]);
            }
            c["process"]["user"]["uid"] = json!(1000);
        },
        "",
    ),
    ("no capabilities", |c, _| c["process"]["capabilities"] = Value::Null, ""),
    (
        "more permitted than bounded",
        |c, _| c["process"]["capabilities"]["permitted"] = json!(["CAP_CHOWN", "CAP_KILL"]),
        "",
    ),
    (
        "limits",
        |c, _| {
            // Without a number of files it would be the runtime's own, which Go raises for itself.
            c["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 700, "hard": 800},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_AS", "soft": u64::MAX, "hard": u64::MAX},
        {"type": "RLIMIT_NPROC", "soft": 400, "hard": 500}])
        },
        "",
    ),
    ("new privileges", |c, _| c["process"]["noNewPrivileges"] = json!(false), ""),
    ("a directory that is missing", |c, _| c["process"]["cwd"] = json!("/a/b"), "ls -ld /a/b | cut -c1-10"),
    (
        "a directory of root's alone",
        |c, _| {
            c["process"]["cwd"] = json!("/root");
            c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        },
        "",
    ),
    ("a program by its relative name", |c, _| c["process"]["args"][0] = json!("bin/sh"), ""),
    ("no name", |c, _| c["hostname"] = json!(""), ""),
    ("oom score", |c, _| c["process"]["oomScoreAdj"] = json!(500), ""),
    (
        "namespaces of the host",
        |c, _| {
            for (kind, path) in [(1, "net"), (2, "ipc")] {
                c["linux"]["namespaces"][kind]["path"] = json!(format!("/proc/self/ns/{path}"));
            }
        },
        "",
    ),
    ("a path that is empty", |c, _| c["linux"]["namespaces"][1]["path"] = json!(""), ""),
    (
        "sysctls",
        |c, _| {
            c["linux"]["sysctl"] =
                json!({"net.ipv4.ip_forward": "1", "kernel.shmmax": "1000000", "fs/mqueue/msg_max": "7"})
        },
        "",
    ),
    (
        "what is masked",
        |c, _| c["linux"]["maskedPaths"] = json!(["/etc/os-release", "/srv", "/nothere", "/proc/timer_list"]),
        "",
    ),
    (
        "what is read-only",
        |c, _| c["linux"]["readonlyPaths"] = json!(["/etc/os-release", "/srv", "/nothere", "/proc/sys"]),
        "",
    ),
    (
        "devices",
        |c, _| {
            c["linux"]["devices"] = json!([
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/twice", "type": "c", "major": 1, "minor": 5}, {"path": "/dev/twice", "type": "c", "major": 1, "minor": 3}])
        },
        "",
    ),
    ("no device rules", |c, _| c["linux"]["resources"] = json!({"devices": []}), ""),
    (
        "a directory bound, and a file",
        |c, b| {
            mounts(
                c,
                json!([
        {"destination": "/v", "type": "bind", "source": b.join("source"), "options": ["rbind", "ro", "nosuid", "noatime"]},
        {"destination": "/n/e/w", "type": "none", "source": b.join("source/file"), "options": ["bind", "nodev"]}]),
            )
        },
        "ls /v; cat /n/e/w",
    ),
    (
        "relative paths of mounts",
        |c, _| {
            mounts(
                c,
                json!([
        {"destination": "/v", "type": "bind", "source": "source", "options": ["bind"]},
        {"destination": "w", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "mode=1777", "uid=5"]}]),
            )
        },
        "ls /v; stat -c %a%u /w",
    ),
    (
        "all of a tree read-only",
        |c, b| {
            mounts(
                c,
                json!([
        {"destination": "/v", "type": "bind", "source": b.join("source"), "options": ["rbind", "rro", "rnosuid"]}]),
            )
        },
        "mkdir /v/x 2>&1",
    ),
    (
        "one in another",
        |c, b| {
            mounts(
                c,
                json!([
        {"destination": "/v", "type": "tmpfs", "source": "a", "options": ["mode=755"]},
        {"destination": "/v/w/x", "type": "bind", "source": b.join("source"), "options": ["bind"]},
        {"destination": "/proc/uptime", "type": "bind", "source": b.join("source/file"), "options": ["bind"]}]),
            )
        },
        "ls -R /v; cat /proc/uptime",
    ),
    (
        "layers",
        |c, b| {
            mounts(
                c,
                json!([
        {"destination": "/v", "type": "overlay", "source": "overlay", "options": [format!("lowerdir={0}/source:{0}/rootfs/etc", b.display())]}]),
            )
        },
        "ls /v",
    ),
    (
        "a filter",
        |c, _| {
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["fchmodat"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 2, "value": 0o777, "valueTwo": 0o700, "op": "SCMP_CMP_MASKED_EQ"}]}]})
        },
        "touch /tmp/f; mkdir /tmp/q 2>&1; chmod 700 /tmp/f 2>&1; chmod 644 /tmp/f 2>&1",
    ),
    (
        "a filter and new privileges",
        |c, _| {
            c["process"]["noNewPrivileges"] = json!(false);
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_KILL"}]});
        },
        "mkdir /tmp/q; echo $?",
    ),
    ("a status", |_, _| {}, "exit 3"),
    (
        "a user namespace",
        |c, _| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            for map in ["uidMappings", "gidMappings"] {
                c["linux"][map] = json!([{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 100_001, "size": 65_535}]);
            }
        },
        "",
    ),
    ("propagation", |c, _| c["linux"]["rootfsPropagation"] = json!("rslave"), ""),
];

fn mounts(config: &mut Value, more: Value) {
    config["mounts"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
}

/// runc's own default, without a terminal, as `runc spec` prints it.
fn default(bundle: &Path) -> Option<Value> {
    let made = Command::new("runc").args(["spec", "--bundle"]).arg(bundle).stderr(Stdio::null()).status();
    made.ok().filter(|status| status.success())?;
    let mut config: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["capabilities"]["ambient"] = json!([]);
    config["root"]["readonly"] = json!(false);
    Some(config)
}

struct Runtimes {
    place: Place,
    tree: PathBuf,
}

impl Runtimes {
    /// A bundle with a root of its own, as what one runtime makes in it the next would find.
    fn bundle(&self, config: &Value, change: fn(&mut Value, &Path), more: &str) -> PathBuf {
        let bundle = self.place.path().join("bundle");
        let _ = fs::remove_dir_all(&bundle);
        fs::create_dir_all(bundle.join("source")).unwrap();
        fs::write(bundle.join("source/file"), "of the host\n").unwrap();
        let rootfs = bundle.join("rootfs");
        assert!(Command::new("cp").arg("-alT").arg(&self.tree).arg(&rootfs).status().unwrap().success());
        let mut config = config.clone();
        let own = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
        let hosts = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
            .map(|kind| format!("host_{kind}='{}'\n", own(kind)));
        config["process"]["args"] = json!(["sh", "-c", format!("{}{SAYS}\n{more}", hosts.concat())]);
        change(&mut config, &bundle);
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle
    }

    fn run(&self, runtime: &str, bundle: &Path) -> Output {
        let id = name();
        let state = self.place.path().join(runtime);
        let mut command = self.place.command("timeout");
        command.args(["-k", "1", "60", "unshare", "-m", "--propagation", "private"]);
        match runtime {
            "learnctr" => command.args([sandbox::LEARNCTR, "run", "--name", &id, "--bundle"]).arg(bundle),
            // crun takes version 2 alone: it is shown that one, in this mount namespace.
            "crun" => command
                .args(["sh", "-c", r#"! mountpoint -q /sys/fs/cgroup/unified || { umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; }; exec "$@""#])
                .args(["sh", "crun", "--cgroup-manager=disabled", "--root"]).arg(&state).args(["run", "--bundle"]).arg(bundle).arg(&id),
            _ => command.args([runtime, "--root"]).arg(&state).args(["run", "--bundle"]).arg(bundle).arg(&id),
        };
        let output = command.output().unwrap();
        if runtime != "learnctr" {
            let mut rest = Command::new(runtime);
            rest.arg("--root").arg(&state).args(["delete", "--force", &id]).stderr(Stdio::null());
            rest.stdout(Stdio::null()).status().unwrap();
        }
        output
    }
}

fn said(output: &Output) -> String {
    match output.stdout.is_empty() {
        // Each refuses in its own words.
        true => "nothing".to_owned(),
        false => format!("{}{:?}", String::from_utf8_lossy(&output.stdout), output.status.code()),
    }
}

fn as_under(runtime: &str, fits: fn(&mut Value), differs: &[&str]) {
    let place = Place::new();
    let Some(config) = root().then(|| default(place.path())).flatten() else {
        return println!("skipped: root and runc are needed, for `runc spec`");
    };
    if let Some(reason) = place.refuses() {
        return println!("skipped: no container here: {reason}");
    }
    let tree = place.path().join("tree");
    for layer in ["tools", "base"] {
        let layer = place.data().join("image").join(layer).canonicalize().unwrap();
        assert!(Command::new("cp").arg("-alT").arg(layer).arg(&tree).status().unwrap().success());
    }
    let mut config = config;
    fits(&mut config);
    let runtimes = Runtimes { place, tree };
    let plain = runtimes.run(runtime, &runtimes.bundle(&config, |_, _| {}, ""));
    if !plain.status.success() {
        return println!(
            "skipped: {runtime} runs nothing here: {}",
            String::from_utf8_lossy(&plain.stderr).trim()
        );
    }
    let mut wrong = Vec::new();
    for (what, change, more) in TABLE.iter().filter(|(what, ..)| !differs.contains(what)) {
        let there = said(&runtimes.run(runtime, &runtimes.bundle(&config, *change, more)));
        let here = said(&runtimes.run("learnctr", &runtimes.bundle(&config, *change, more)));
        if there != here {
            let only = |a: &str, b: &str| {
                a.lines()
                    .filter(|line| !b.lines().any(|other| other == *line))
                    .collect::<Vec<_>>()
                    .join("\n  ")
            };
            wrong.push(format!(
                "{what}:\n{runtime}:\n  {}\nhere:\n  {}",
                only(&there, &here),
                only(&here, &there)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_same_as_under_runc() {
    as_under("runc", |_| {}, &[]);
}

#[test]
fn the_same_as_under_crun() {
    let fits = |config: &mut Value| {
        config["linux"]["resources"] = json!({});
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
    };
    // It gives /dev/null to the user and sets no HOME for who is in no passwd(5), binds masks and nodes from the host's /dev
    // with flags of its own, and takes an empty path for one.
    let differs = [
        "another user",
        "ambient",
        "a directory of root's alone",
        "what is masked",
        "a user namespace",
        "a path that is empty",
    ];
    as_under("crun", fits, &differs);
}
