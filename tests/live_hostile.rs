//! Can a root file system, a bundle or a neighbour lead a mount, a write or a process out of the container? Every
//! place that is mounted on is put in the way as a symlink, a loop, a FIFO, a socket, a file; a directory outside and
//! the host's list of mounts are the witnesses that nothing got out.

mod sandbox;

use sandbox::{Place, name, overlaid, root};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Everything of a tree that a write, a mount or a new name would change.
fn listing(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let of = fs::symlink_metadata(entry.path()).unwrap();
        let (path, changed) = (entry.path(), (of.ctime(), of.ctime_nsec()));
        all.push(format!("{} {:o} {} {} {changed:?}", path.display(), of.mode(), of.ino(), of.size()));
        if of.is_dir() {
            all.extend(listing(&entry.path()));
        }
    }
    let of = fs::symlink_metadata(dir).unwrap();
    all.push(format!("{} {:?}", dir.display(), (of.ctime(), of.ctime_nsec())));
    all.sort();
    all
}

struct Host {
    place: Place,
    /// A tree outside, with names that a container's mounts are looking for.
    canary: PathBuf,
}

impl Host {
    fn new() -> Option<Host> {
        let place = sandbox::prepared()?;
        let canary = place.path().join("canary");
        // What is deeper is missing, so that it would be made, and seen.
        for dir in ["proc", "dev", "sys", "etc", "tmp", "srv"] {
            fs::create_dir_all(canary.join(dir)).unwrap();
        }
        fs::write(canary.join("etc/passwd"), "outside").unwrap();
        Some(Host { place, canary })
    }

    /// A root file system of its own with a shell and tools; its files are shared with the image.
    fn tree(&self, name: &str) -> PathBuf {
        let tree = self.place.path().join(name);
        for layer in ["tools", "base"] {
            let layer = self.place.data().join("image").join(layer).canonicalize().unwrap();
            let status = Command::new("cp").arg("-alT").arg(layer).arg(&tree).status().unwrap();
            assert!(status.success());
        }
        tree
    }

    /// A bundle over a tree: what `learnctr spec` says, changed.
    fn bundle(&self, tree: &Path, cmd: &[&str], change: impl FnOnce(&mut Value)) -> PathBuf {
        let args = [&["spec", "--network", "none", "--rootfs", tree.to_str().unwrap(), "--"], cmd].concat();
        let mut config: Value = serde_json::from_str(&self.place.says(&args)).unwrap();
        config.as_object_mut().unwrap().remove("annotations");
        config["root"]["path"] = json!(tree);
        change(&mut config);
        let bundle = tree.with_extension("bundle");
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.place.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{args:?}: {errors}");
        output
    }
}

/// An emulated machine does as many as it can in this time.
const ENOUGH: Duration = Duration::from_secs(60);

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const PLACES: [&str; 15] = [
    "proc",
    "dev",
    "dev/pts",
    "dev/null",
    "dev/console",
    "dev/shm",
    "sys",
    "sys/fs",
    "sys/fs/cgroup",
    "etc",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/passwd",
    "srv",
    "srv/site",
];

/// What is put in a place.
const TRICKS: [&str; 9] =
    ["relative", "absolute", "dangling", "loop", "magic", "fifo", "socket", "file", "directory"];

fn put(trick: &str, at: &Path, place: &str, canary: &Path) {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    if fs::symlink_metadata(at).is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(at).unwrap();
    }
    let _ = fs::remove_file(at);
    let outside = canary.join(place);
    let up = PathBuf::from("../".repeat(20)).join(outside.strip_prefix("/").unwrap());
    match trick {
        "relative" => symlink(up, at).unwrap(),
        "absolute" => symlink(outside, at).unwrap(),
        "dangling" => symlink(canary.join("new"), at).unwrap(),
        "loop" => symlink(at.file_name().unwrap(), at).unwrap(),
        "magic" => {
            symlink(Path::new("/proc/self/root").join(outside.strip_prefix("/").unwrap()), at).unwrap()
        }
        "fifo" => {
            assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
            assert!(fs::metadata(at).unwrap().file_type().is_fifo());
        }
        "socket" => {
            // A socket's name has 107 bytes at most.
            let short = canary.parent().unwrap().join(format!("s{}", at.to_string_lossy().len()));
            let made = short.with_extension(
                at.to_string_lossy().replace('/', "-").chars().rev().take(30).collect::<String>(),
            );
            drop(std::os::unix::net::UnixListener::bind(&made).unwrap());
            fs::rename(made, at).unwrap();
        }
        "file" => fs::write(at, "file").unwrap(),
        _ => fs::create_dir(at).unwrap(),
    }
}

#[test]
fn nothing_in_a_root_file_system_leads_out() {
    let Some(host) = Host::new() else { return };
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let jobs: Vec<(&str, &str)> =
        PLACES.iter().flat_map(|place| TRICKS.iter().map(move |trick| (*place, *trick))).collect();
    let begin = Instant::now();
    let before = (listing(&host.canary), mounts());
    let one = |turn: usize, (place, trick): (&str, &str)| {
        let tree = host.tree(&format!("tree{turn}"));
        put(trick, &tree.join(place), place, &host.canary);
        let path = tree.to_str().unwrap();
        let site = format!("{}:/srv/site:ro", tree.join("bin").display());
        let commands = ["-u", "nobody", "-w", "/srv/site", "-v", &site];
        let bundle = host.bundle(&tree, &["true"], |config| {
            config["process"]["cwd"] = json!("/srv/site");
            // Then the image's own /dev is used.
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
            config["linux"]["maskedPaths"] = json!(["/sys/fs", "/srv/site"]);
            config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/etc", "/dev"]);
        });
        let rounds: [Vec<&str>; 3] = [
            vec!["--rootfs", path, "--network", "none", "--", "true"],
            [&["--rootfs", path, "--network", "none"], &commands[..], &["--", "true"]].concat(),
            vec!["--bundle", bundle.to_str().unwrap()],
        ];
        for args in rounds {
            let name = name();
            let output = host.run(&[&["run", "--name", &name][..], &args].concat());
            let said = said(&output);
            let last = place.rsplit('/').next().unwrap();
            let named = said.contains(last) || said.contains("dev/null");
            if output.status.code() == Some(1) && !named {
                faults
                    .lock()
                    .unwrap()
                    .push(format!("{place} {trick} {args:?}: the path is not named: {said}"));
            }
            if !output.status.success() && std::env::var_os("SHOW").is_some() {
                println!("{place} {trick} {}: {}", args[0], said.lines().next().unwrap_or_default());
            }
            let left = host.place.left(&name);
            if !left.is_empty() {
                faults.lock().unwrap().push(format!("{place} {trick}: left {left:?}"));
            }
        }
        let _ = fs::remove_dir_all(&tree);
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if begin.elapsed() > ENOUGH || turn >= jobs.len() {
                        break;
                    }
                    // In an order in which neighbours differ, since a slow machine does not come to the end.
                    one(turn, jobs[turn * 47 % jobs.len()]);
                }
            });
        }
    });
    let done = next.into_inner().saturating_sub(4).min(jobs.len());
    println!("{done} of {} tricks in {:?}", jobs.len(), begin.elapsed());
    let after = (listing(&host.canary), mounts());
    assert_eq!(before, after);
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_masks_must_be_the_real_null_and_what_is_written_the_real_proc() {
    let Some(host) = Host::new() else { return };
    let tree = host.tree("masks");
    let nothing_on = |config: &mut Value, below: &str| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with(below));
    };
    // Not every kernel has each of what is masked.
    let masked = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"];
    let masked = masked.into_iter().find(|path| std::path::Path::new(path).exists()).unwrap();
    // CVE-2025-31133: /dev/null of the image is something else.
    for trick in ["absolute", "relative", "file", "fifo", "directory", "dangling"] {
        put(trick, &tree.join("dev/null"), "dev/null", &host.canary);
        let bundle = host.bundle(&tree, &["cat", masked], |config| nothing_on(config, "/dev"));
        let output = host.run(&["run", "--bundle", bundle.to_str().unwrap()]);
        let said = said(&output);
        // In a user namespace the host's node is bound over what is there, and is the real one.
        let covered = output.status.success() && output.stdout.is_empty();
        if !(covered && learnctr::host::Host::look().uid != 0) {
            assert_eq!(output.status.code(), Some(1), "{trick}: {said}");
            assert!(said.contains("dev/null"), "{trick}: it names what it covers with: {said}");
        }
    }
    // CVE-2025-52881: what is at /proc is not procfs.
    let elsewhere = host.place.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("sys/net/core")).unwrap();
    fs::create_dir_all(elsewhere.join("self")).unwrap();
    for file in ["sys/net/core/somaxconn", "self/oom_score_adj"] {
        fs::write(elsewhere.join(file), "untouched").unwrap();
    }
    for mount in [
        json!({"destination": "/proc", "type": "tmpfs", "source": "tmpfs"}),
        json!({"destination": "/proc", "type": "bind", "source": elsewhere, "options": ["rbind"]}),
    ] {
        let bundle = host.bundle(&tree, &["true"], |config| {
            nothing_on(config, "/proc");
            config["mounts"].as_array_mut().unwrap().insert(0, mount.clone());
            config["linux"]["sysctl"] = json!({"net.core.somaxconn": "77"});
            config["process"]["oomScoreAdj"] = json!(500);
        });
        let output = host.run(&["run", "--bundle", bundle.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{mount}: {}", said(&output));
        for file in ["sys/net/core/somaxconn", "self/oom_score_adj"] {
            assert_eq!(fs::read_to_string(elsewhere.join(file)).unwrap(), "untouched");
        }
    }
}

/// CVE-2024-21626: a descriptor of a directory of the host's, as working directory or left open.
#[test]
fn no_descriptor_leads_out() {
    let Some(host) = Host::new() else { return };
    let program = env!("CARGO_BIN_EXE_learnctr");
    let with_open = |args: &str| {
        let script = format!(
            "exec 5</ 6</etc/passwd 7</etc 8>/dev/null 9</; exec {program} run --network none {args}"
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env("LEARNCTR_DATA", host.place.data());
        command.env("LEARNCTR_STATE", host.place.state()).output().unwrap()
    };
    for init in ["", "--init", "--skip limits"] {
        let output = with_open(&format!("{init} -- sh -c 'ls -l /proc/self/fd /proc/1/fd'"));
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        let open: Vec<&str> = said.lines().filter(|line| line.contains(" -> ")).collect();
        assert!(!said.contains("passwd") && !said.contains("-> /\n") && !said.contains("-> /etc"), "{said}");
        // Standard input, output and error, and the directory that ls reads.
        assert_eq!(open.len(), 7, "{said}");
    }
    // The root that is held while building is the container's own, and may be entered.
    let inside = host.place.says(&["run", "--network", "none", "--", "cat", "/etc/passwd"]);
    let outside = fs::read_to_string("/etc/passwd").unwrap();
    assert_ne!(inside, outside);
    let got_out = |output: &Output| {
        let out = String::from_utf8_lossy(&output.stdout);
        !out.is_empty() && out != inside
    };
    for number in 3..16 {
        for way in [format!("/proc/self/fd/{number}"), format!("/proc/self/fd/{number}/../../")] {
            let output = with_open(&format!("-w {way} -- cat etc/passwd"));
            assert!(!got_out(&output), "{way}: {}", said(&output));
        }
    }
    let tree = host.tree("cwd");
    for number in 3..16 {
        // A working directory that a symlink of the image makes of an innocent name.
        let _ = fs::remove_file(tree.join("innocent"));
        symlink(format!("/proc/self/fd/{number}"), tree.join("innocent")).unwrap();
        let output = with_open(&format!("--rootfs {} -w /innocent -- cat etc/passwd", tree.display()));
        assert!(!got_out(&output), "{number}: {}", said(&output));
    }
}

/// CVE-2019-5736: the inside never gets hold of the host's program.
#[test]
fn the_inside_cannot_write_to_our_program() {
    let Some(host) = Host::new() else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_learnctr"));
    let same = || {
        let of = fs::metadata(program).unwrap();
        (of.ino(), of.size(), of.mtime(), of.mtime_nsec())
    };
    let before = same();
    let tree = host.tree("exe");
    fs::write(tree.join("script"), "#!/proc/self/exe\n").unwrap();
    assert!(Command::new("chmod").arg("755").arg(tree.join("script")).status().unwrap().success());
    symlink("/proc/self/exe", tree.join("link")).unwrap();
    symlink("/proc/1/exe", tree.join("one")).unwrap();
    for entry in ["/script", "/link", "/one"] {
        for init in [&[][..], &["--init"]] {
            let args = ["run", "--network", "none", "--rootfs", tree.to_str().unwrap()];
            host.run(&[&args[..], init, &["--", entry, "--help"]].concat());
            assert_eq!(same(), before, "{entry}");
        }
    }
    // Process 1 is our program: whoever tries to write to it is refused, as root inside with all that Docker gives.
    let write =
        "for n in 1 2 3; do (echo owned >> /proc/1/exe) && echo WRITTEN; done; rm -f /proc/1/exe; true";
    for kind in [&["--init"][..], &["--init", "--userns", "private"], &["--init", "--cap-add", "ALL"]] {
        if kind.contains(&"--userns") && !(root() && overlaid()) {
            continue;
        }
        let args = [&["run", "--network", "none"], kind, &["--", "sh", "-c", write]].concat();
        let output = host.run(&args);
        let said = said(&output);
        assert!(output.status.success() && !said.contains("WRITTEN"), "{kind:?}: {said}");
        assert!(
            ["Read-only", "Text file busy", "Permission", "Operation not permitted"]
                .iter()
                .any(|no| said.contains(no)),
            "{said}"
        );
        assert_eq!(same(), before);
    }
}

/// CVE-2021-30465: somebody who shares a volume swaps a directory for a symlink, again and again.
#[test]
fn a_race_in_a_volume_leads_nowhere() {
    let Some(host) = Host::new() else { return };
    let tree = host.tree("race");
    let volume = host.place.path().join("volume");
    fs::create_dir_all(volume.join("way")).unwrap();
    let up = PathBuf::from("../".repeat(20)).join(host.canary.strip_prefix("/").unwrap());
    symlink(&up, volume.join("other")).unwrap();
    let bundle = host.bundle(&tree, &["true"], |config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.push(json!({"destination": "/vol", "type": "bind", "source": volume, "options": ["rbind"]}));
        for deep in ["/vol/way/tmp", "/vol/way/srv/site", "/vol/way/new"] {
            mounts.push(
                json!({"destination": deep, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}),
            );
        }
        config["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!("/vol/way/etc"));
        config["linux"]["readonlyPaths"].as_array_mut().unwrap().push(json!("/vol/way/srv"));
        // Neighbours that want the same group are another test's.
        config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    });
    let before = (listing(&host.canary), mounts());
    let begin = Instant::now();
    let (done, swaps, built) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (way, other) = (volume.join("way"), volume.join("other"));
            while !done.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let here = rustix::fs::CWD;
                rustix::fs::renameat_with(here, &way, here, &other, flags).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (host, bundle, built) = (&host, bundle.to_str().unwrap(), &built);
                scope.spawn(move || {
                    for _ in 0..67 {
                        if begin.elapsed() > ENOUGH {
                            break;
                        }
                        let output = host.run(&["run", "--bundle", bundle]);
                        built.fetch_add(usize::from(output.status.success()), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let ended: Vec<bool> = workers.into_iter().map(|worker| worker.join().is_ok()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(|ended| *ended));
    });
    println!("{} swaps, {} of 201 built", swaps.into_inner(), built.into_inner());
    assert_eq!(before, (listing(&host.canary), mounts()));
}

/// Several containers that ask for the same group: who finds it made is refused, and takes nothing away that is
/// another's; who makes it in the moment after another has left it takes it back.
#[test]
fn neighbours_that_want_the_same_group_leave_none() {
    let Some(host) = Host::new() else { return };
    let tree = host.tree("same");
    let bundle = host.bundle(&tree, &["sh", "-c", "cat /proc/self/cgroup; :"], |_| ());
    let config: Value =
        serde_json::from_str(&fs::read_to_string(bundle.join("config.json")).unwrap()).unwrap();
    let Some(group) = config["linux"]["cgroupsPath"].as_str() else {
        return println!("skipped: no group of its own here");
    };
    let name = Path::new(group).file_name().unwrap().to_str().unwrap();
    let (built, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..40 {
                    let output = host.run(&["run", "--bundle", bundle.to_str().unwrap()]);
                    let count = if output.status.success() { &built } else { &refused };
                    assert!(output.status.success() || said(&output).contains("EEXIST"), "{}", said(&output));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (built, refused) = (built.into_inner(), refused.into_inner());
    println!("{built} built, {refused} refused");
    assert!(built > 0 && refused > 0);
    assert_eq!(host.place.left(name), Vec::<String>::new());
}
