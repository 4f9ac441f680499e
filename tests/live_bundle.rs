//! What of a config.json is obeyed that no option asks for? Namespaces that are joined, propagation, a root without
//! /proc, flags of mounts, more text than a socket takes; and what is refused, since it would change the host.
//!
//! Next: `live_hostile`, where the files lie.

mod sandbox;

use sandbox::{Place, Running, name, overlaid, root, soon};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Bundles {
    place: Place,
    tree: PathBuf,
}

impl Bundles {
    /// A root file system with a shell and tools; none where no container can be built, or by an ordinary user.
    fn new() -> Option<Bundles> {
        if !root() {
            println!("skipped: an ordinary user joins nothing and mounts nothing on the host");
            return None;
        }
        let place = sandbox::prepared()?;
        let tree = place.path().join("tree");
        for layer in ["tools", "base"] {
            let layer = place.data().join("image").join(layer).canonicalize().unwrap();
            assert!(Command::new("cp").arg("-alT").arg(layer).arg(&tree).status().unwrap().success());
        }
        Some(Bundles { place, tree })
    }

    /// What `learnctr spec` says of a command, changed.
    fn bundle(&self, script: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let path = self.tree.to_str().unwrap();
        let args = ["spec", "--network", "none", "--rootfs", path, "--", "sh", "-c", script];
        let mut config: Value = serde_json::from_str(&self.place.says(&args)).unwrap();
        config.as_object_mut().unwrap().remove("annotations");
        config["root"]["path"] = json!(self.tree);
        change(&mut config);
        let bundle = self.place.path().join("bundle");
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle
    }

    fn run(&self, script: &str, change: impl FnOnce(&mut Value)) -> Output {
        let bundle = self.bundle(script, change);
        self.place.run(&["run", "--bundle", bundle.to_str().unwrap()])
    }

    fn says(&self, script: &str, change: impl FnOnce(&mut Value)) -> String {
        let output = self.run(script, change);
        assert!(output.status.success(), "{}", errors(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The namespaces of a config.json: none of these kinds, and these instead.
fn namespaces(config: &mut Value, without: &[&str], with: Value) {
    let all = config["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|one| !without.contains(&one["type"].as_str().unwrap()));
    all.extend(with.as_array().unwrap().iter().cloned());
}

fn mapped(config: &mut Value) {
    namespaces(config, &[], json!([{"type": "user"}]));
    for map in ["uidMappings", "gidMappings"] {
        config["linux"][map] = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    }
}

/// Somebody who lives in namespaces of their own, and the number.
fn neighbour(options: &[&str]) -> (Running, String) {
    let mut command = Command::new("unshare");
    let child = command.args(options).args(["sleep", "1000"]).stdin(Stdio::null()).spawn().unwrap();
    let running = Running(child);
    let own = running.0.id().to_string();
    let read = |path: String| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut sleeper = String::new();
    assert!(soon(10, || {
        let both = [own.clone(), read(format!("/proc/{own}/task/{own}/children"))];
        sleeper =
            both.into_iter().find(|pid| read(format!("/proc/{pid}/comm")) == "sleep").unwrap_or_default();
        !sleeper.is_empty()
    }));
    (running, sleeper)
}

fn link(pid: &str, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
}

#[test]
fn namespaces_are_joined_whoever_owns_them() {
    let Some(bundles) = Bundles::new() else { return };
    let (_other, pid) = neighbour(&["--net", "--uts", "--ipc"]);
    let join = |config: &mut Value| {
        let path = |kind: &str| format!("/proc/{pid}/ns/{kind}");
        let joined = json!([{"type": "network", "path": path("net")}, {"type": "uts", "path": path("uts")}, {"type": "ipc", "path": path("ipc")}]);
        namespaces(config, &["network", "uts", "ipc"], joined);
        config.as_object_mut().unwrap().remove("hostname");
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "mqueue");
        // Nothing of a namespace that belongs to others is set.
        config["linux"]["sysctl"] = json!({});
    };
    let ask = "for n in net uts ipc user; do readlink /proc/self/ns/$n; done";
    let expected = format!("{}\n{}\n{}\n", link(&pid, "net"), link(&pid, "uts"), link(&pid, "ipc"));
    let said = bundles.says(ask, join);
    assert_eq!(said, format!("{expected}{}\n", link("self", "user")));
    // With a user namespace of its own they are the host's still, and out of reach once it is entered.
    let said = bundles.says(ask, |config| {
        join(config);
        mapped(config);
    });
    assert!(said.starts_with(&expected) && !said.ends_with(&format!("{}\n", link("self", "user"))), "{said}");
}

#[test]
fn a_joined_pid_namespace_and_clocks_of_its_own() {
    let Some(bundles) = Bundles::new() else { return };
    if !Path::new("/proc/self/ns/time").exists() {
        return println!("skipped: this kernel has no time namespaces");
    }
    let (_other, pid) = neighbour(&["--pid", "--fork", "--kill-child"]);
    for user in [false, true] {
        let said = bundles.says(
            "readlink /proc/self/ns/pid; read up rest < /proc/uptime; echo ${up%.*}",
            |config| {
                namespaces(
                    config,
                    &["pid", "time"],
                    json!([{"type": "pid", "path": format!("/proc/{pid}/ns/pid")}, {"type": "time"}]),
                );
                config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 90_000_000}});
                if user {
                    mapped(config);
                }
            },
        );
        let lines: Vec<&str> = said.lines().collect();
        let uptime: u64 = lines.last().unwrap().parse().unwrap();
        assert!(uptime > 90_000_000 && lines[0] == link(&pid, "pid"), "{user}: {said}");
    }
}

#[test]
fn what_would_be_set_for_the_host_is_refused() {
    let Some(bundles) = Bundles::new() else { return };
    let host = || fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    let (before, (_other, pid)) = (host(), neighbour(&["--net"]));
    let joining = |pid: &str| {
        bundles.run("cat /proc/sys/net/ipv4/ip_default_ttl", |config| {
            let joined = json!([{"type": "network", "path": format!("/proc/{pid}/ns/net")}]);
            namespaces(config, &["network"], joined);
            config["linux"]["sysctl"] = json!({"net.ipv4.ip_default_ttl": "33"});
        })
    };
    let refused = joining("self");
    assert_eq!(refused.status.code(), Some(1), "{}", errors(&refused));
    assert!(errors(&refused).contains("linux.sysctl[\"net.ipv4.ip_default_ttl\"]"), "{}", errors(&refused));
    assert_eq!(host(), before);
    let joined = joining(&pid);
    assert_eq!(String::from_utf8_lossy(&joined.stdout), "33\n", "{}", errors(&joined));
    assert_eq!(host(), before);
    // A directory that a bundle wants to have made on the host.
    let wanted = bundles.place.path().join("made/by/a/bundle");
    for (key, value) in [
        ("volumes", json!([wanted]).to_string()),
        ("volumes", json!([bundles.place.data().join("volumes/../../up")]).to_string()),
        ("volumes", json!([bundles.place.data().join("volumes/a/b")]).to_string()),
        ("id", "../..".to_owned()),
    ] {
        let refused = bundles.run("true", |config| {
            config["annotations"] = json!({format!("org.learnctr.{key}"): value});
        });
        assert_eq!(refused.status.code(), Some(1), "{key} {value}: {}", errors(&refused));
        assert!(errors(&refused).contains(&format!("org.learnctr.{key}")), "{}", errors(&refused));
    }
    assert!(!bundles.place.path().join("made").exists() && !bundles.place.path().join("up").exists());
}

#[test]
fn propagation_of_the_root_is_as_asked() {
    let Some(bundles) = Bundles::new() else { return };
    let ask =
        "while read a b c d at f rest; do if [ $at = / ]; then echo $rest; fi; done < /proc/self/mountinfo";
    for (asked, is) in
        [("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable"), ("private", "")]
    {
        let said = bundles.says(ask, |config| config["linux"]["rootfsPropagation"] = json!(asked));
        let optional = said.split(" - ").next().unwrap_or_default();
        assert_eq!(optional.is_empty() || optional.starts_with('-'), is.is_empty(), "{asked}: {said}");
        assert!(optional.contains(is), "{asked}: {said}");
    }
}

#[test]
fn a_root_without_proc_can_be_read_only() {
    let Some(bundles) = Bundles::new() else { return };
    let output = bundles.run("echo x > /new && echo written", |config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] == "/dev");
        for none in ["maskedPaths", "readonlyPaths"] {
            config["linux"][none] = json!([]);
        }
        config["linux"]["sysctl"] = json!({});
        config["root"]["readonly"] = json!(true);
    });
    assert!(errors(&output).contains("Read-only file system"), "{}", errors(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn nothing_outlives_a_container_without_a_pid_namespace() {
    let Some(bundles) = Bundles::new() else { return };
    let marker = name();
    // Orphans whose parents are gone, orphans of these, and one who refuses SIGTERM.
    let one = format!("sh -c 'sleep 4000; echo {marker}' > /dev/null 2>&1 &");
    let script = format!("({one} (trap '' TERM; {one} {one}) &); {one} sleep 0.2");
    let output = bundles.run(&script, |config| {
        namespaces(config, &["pid"], json!([]));
        config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
        config["linux"].as_object_mut().unwrap().remove("resources");
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
    });
    assert!(output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("should learnctr be killed"), "{}", errors(&output));
    let left: Vec<_> = sandbox::processes().into_iter().filter(|(_, line)| line.contains(&marker)).collect();
    for (pid, _) in &left {
        sandbox::kill(*pid, rustix::process::Signal::KILL);
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn more_than_a_socket_takes_at_once_is_told_whole() {
    let Some(bundles) = Bundles::new() else { return };
    let said = bundles.says("echo $V199 | wc -c; echo $V0 | wc -c", |config| {
        let env = config["process"]["env"].as_array_mut().unwrap();
        env.extend((0..200).map(|n| json!(format!("V{n}={}", "x".repeat(5000)))));
    });
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["5001", "5001"]);
    // More than execve(2) takes is told as what it is.
    let output = bundles.run("true", |config| {
        let env = config["process"]["env"].as_array_mut().unwrap();
        env.extend((0..200).map(|n| json!(format!("V{n}={}", "x".repeat(50_000)))));
    });
    assert!(errors(&output).contains("E2BIG"), "{}", errors(&output));
}

/// A source on a mount with flags of its own, in a mount namespace that goes with the test.
fn over_a_mount(bundles: &Bundles, flags: &str, args: &[&str]) -> Output {
    let source = bundles.place.path().join("source");
    fs::create_dir_all(&source).unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
    command.args(["-m", "sh", "-c", script, "sh", flags]).arg(&source).arg(env!("CARGO_BIN_EXE_learnctr"));
    command
        .args(args)
        .env("LEARNCTR_DATA", bundles.place.data())
        .env("LEARNCTR_STATE", bundles.place.state());
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_volume_keeps_the_flags_of_its_source() {
    let Some(bundles) = Bundles::new() else { return };
    let volume = format!("{}:/v:ro", bundles.place.path().join("source").display());
    let ask = "while read a b c d at flags rest; do if [ $at = /v ]; then echo $flags; fi; done < /proc/self/mountinfo";
    let run = ["run", "--network", "none", "-v", &volume];
    for user in [&[][..], &["--userns", "private"]] {
        if !user.is_empty() && !overlaid() {
            continue;
        }
        let args = [&run[..], user, &["--", "sh", "-c", ask]].concat();
        let output = over_a_mount(&bundles, "nosuid,nodev,noexec,noatime", &args);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), "ro,nosuid,nodev,noexec,noatime", "{user:?}: {}", errors(&output));
    }
    // Root may take a flag away that is not locked; in a user namespace it is, and that is said.
    let mount = |config: &mut Value| {
        let source = bundles.place.path().join("source");
        let mount =
            json!({"destination": "/v", "type": "bind", "source": source, "options": ["rbind", "suid"]});
        config["mounts"].as_array_mut().unwrap().push(mount);
    };
    let bundle = bundles.bundle(ask, mount);
    let output = over_a_mount(&bundles, "nosuid,nodev", &["run", "--bundle", bundle.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("nodev") && !said.contains("nosuid"), "{said} {}", errors(&output));
    let bundle = bundles.bundle(ask, |config| {
        mount(config);
        mapped(config);
    });
    let output = over_a_mount(&bundles, "nosuid,nodev", &["run", "--bundle", bundle.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("flags that are locked"), "{}", errors(&output));
}

#[test]
fn a_node_that_is_there_must_be_the_one() {
    let Some(bundles) = Bundles::new() else { return };
    let tty = bundles.tree.join("dev/tty");
    fs::create_dir_all(tty.parent().unwrap()).unwrap();
    let run = |what: &str| {
        let _ = fs::remove_file(&tty);
        assert!(Command::new("sh").args(["-c", what, "sh"]).arg(&tty).status().unwrap().success());
        bundles.run("true", |config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        })
    };
    let right = run("mknod $1 c 5 0");
    assert!(right.status.success(), "{}", errors(&right));
    for wrong in ["mknod $1 c 1 3", "mknod $1 b 5 0", "mknod $1 p", ": > $1", "ln -s null $1"] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(errors(&output).contains("/dev/tty"), "{wrong}: {}", errors(&output));
    }
}

#[test]
fn what_is_frozen_and_not_thawed_ends_too() {
    let Some(bundles) = Bundles::new() else { return };
    for skip in [&["--skip", "thaw"][..], &["--skip", "thaw", "--skip", "stop"]] {
        let id = name();
        let begin = Instant::now();
        let args =
            [&["step", "--auto", "--network", "none", "--name", &id][..], skip, &["--", "sleep", "600"]]
                .concat();
        let output = bundles.place.run(&args);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("taken down"), "{skip:?}: {said}");
        // Who is asked to stop is given ten seconds.
        assert!(begin.elapsed() < Duration::from_secs(if skip.len() > 2 { 8 } else { 18 }), "{skip:?}");
        assert!(bundles.place.left(&id).is_empty());
    }
}

/// Everything but a mount is allowed, as Docker's own profile has it. Gone from the kernel with this value.
struct Profile(String);

impl Profile {
    fn new() -> Option<Profile> {
        let name = format!("learnctr-test-{}", std::process::id());
        let runs = fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        if runs.trim() != "Y" {
            println!("skipped: this kernel runs no AppArmor");
        } else if !Profile::parsed("--replace", &name) {
            println!("skipped: there is no apparmor_parser(8), or it may not load a profile here");
        } else {
            return Some(Profile(name));
        }
        None
    }

    fn parsed(option: &str, name: &str) -> bool {
        let rules = "capability, file, network, umount, signal, deny mount,";
        let profile = format!("profile {name} flags=(attach_disconnected) {{ {rules} }}");
        let shell = format!("echo '{profile}' | apparmor_parser --skip-cache --quiet {option}");
        Command::new("sh")
            .args(["-c", &shell])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        Profile::parsed("--remove", &self.0);
    }
}

#[test]
fn apparmor_confines_what_docker_asked_for_and_a_profile_that_is_not_there_is_named() {
    let Some(bundles) = Bundles::new() else { return };
    let Some(profile) = Profile::new() else { return };
    let docker = bundles.place.path().join("docker");
    fs::create_dir(&docker).unwrap();
    let mut config: Value = serde_json::from_str(include_str!("docker/config.json")).unwrap();
    config["process"]["apparmorProfile"] = json!(profile.0);
    config["process"]["capabilities"]["effective"].as_array_mut().unwrap().push(json!("CAP_SYS_ADMIN"));
    for set in ["permitted", "bounding"] {
        config["process"]["capabilities"][set] = config["process"]["capabilities"]["effective"].clone();
    }
    let script = "cat /proc/self/attr/current; mount -t tmpfs x /tmp 2>&1; exec sleep 60";
    config["process"]["args"] = json!(["sh", "-c", script]);
    config["root"] = json!({"path": bundles.tree});
    fs::write(docker.join("config.json"), config.to_string()).unwrap();
    let docker = docker.to_str().unwrap();

    let label = format!("{} (enforce)", profile.0);
    let recorded = bundles.place.says(&["step", "--auto", "--json", "--bundle", docker]);
    let views = recorded.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let seen: Vec<String> =
        views.map(|event| event.to_string()).filter(|event| event.contains(&label)).collect();
    assert!(seen.iter().any(|event| event.contains("lsm_label")), "{recorded}");

    drop(profile);
    let output = bundles.place.run(&["run", "--bundle", docker]);
    assert!(
        !output.status.success() && errors(&output).contains("no profile of that name"),
        "{}",
        errors(&output)
    );
}

#[test]
fn what_no_module_would_confine_is_refused() {
    let Some(bundles) = Bundles::new() else { return };
    let modules = learnctr::host::Host::look().lsm;
    for (module, place) in [("apparmor", "apparmorProfile"), ("selinux", "selinuxLabel")] {
        if modules.has(module) {
            continue;
        }
        let output = bundles.run("true", |config| config["process"][place] = json!("shop"));
        let said = errors(&output);
        assert!(
            !output.status.success() && said.contains(place) && said.contains("nothing would confine"),
            "{said}"
        );
    }
}
