//! Is the cause found? Each refusal is caused for real, as root, and the diagnosis has to name what caused it
//! and what to do next.
//!
//! Next: `rootless_pitfalls`, the same as an ordinary user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const LEARNCTR: &str = env!("CARGO_BIN_EXE_learnctr");

/// A directory of this test program's alone, with an image in it that all tests share.
struct Place(PathBuf);

#[allow(clippy::zombie_processes, reason = "it waits for us, not we for it")]
fn place() -> &'static Path {
    static PLACE: OnceLock<Place> = OnceLock::new();
    &PLACE
        .get_or_init(|| {
            let place = std::env::temp_dir().join(format!("learnctr-pitfalls-{}", std::process::id()));
            fs::create_dir_all(place.join("files")).unwrap();
            open_to_all(&place);
            // No test is the last one: what they share is removed by who waits for this process to end.
            let wait = "while kill -0 $1; do sleep 0.5; done; rm -rf \"$2\"";
            let pid = std::process::id().to_string();
            let mut remover = Command::new("sh");
            remover.args(["-c", wait, "sh", &pid]).arg(&place);
            let none = std::process::Stdio::null;
            remover.stdin(none()).stdout(none()).stderr(none()).spawn().unwrap();
            program(&place.join("files/script"), b"#!/nosuch/interpreter\n");
            program(&place.join("files/text"), b"echo hello\n");
            let mut foreign = fs::read("/bin/true").unwrap();
            foreign[18] ^= 0x80;
            program(&place.join("files/foreign"), &foreign);
            symlink("loop", place.join("files/loop")).unwrap();
            Place(place)
        })
        .0
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn program(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    open_to_all(path);
}

fn learnctr() -> Command {
    let mut command = Command::new(LEARNCTR);
    with_places(&mut command);
    command
}

fn with_places(command: &mut Command) {
    command.env("LEARNCTR_DATA", place().join("data")).env("LEARNCTR_STATE", place().join("state"));
}

/// A shell in a mount namespace of its own, in which $L is learnctr.
fn shell(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    with_places(&mut command);
    command.env("L", LEARNCTR).env("P", place());
    command
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

#[track_caller]
fn refused(mut command: Command, status: i32, said: &[&str]) {
    if !is_root() {
        return println!("skipped: needs root");
    }
    let Output { status: ended, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout);
    assert_eq!(ended.code(), Some(status), "{command:?}\n{text}");
    for said in said {
        assert!(text.contains(said), "{command:?}\nshould say {said:?}:\n{text}");
    }
    assert!(text.contains("next: "), "{text}");
    assert!(!text.contains("what the call names") && !text.contains("panicked"), "{text}");
}

/// One test a line: its name, learnctr's options, the exit status, what must be said.
macro_rules! refusals {
    ($($name:ident: [$($arg:expr),*], $status:expr, [$($said:expr),*];)*) => {
        $(#[test]
        fn $name() {
            let mut command = learnctr();
            command.arg("run");
            $(command.arg($arg);)*
            refused(command, $status, &[$($said),*]);
        })*
    };
}

fn files() -> String {
    format!("{}:/x", place().join("files").display())
}

/// A root file system with one thing in it.
fn root_with(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let root = place().join(name);
    fs::create_dir_all(root.join("etc")).unwrap();
    make(&root);
    root
}

fn profile(name: &str, rule: &str) -> String {
    let path = place().join(name);
    fs::write(&path, format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#)).unwrap();
    format!("seccomp={}", path.display())
}

refusals! {
    exec_of_a_name_in_no_path: ["--", "nosuch"], 127, ["execve(", "ENOENT", "cause: there is no nosuch in any directory of PATH inside"];
    exec_of_a_path_that_is_not_there: ["--", "/nosuch/x"], 127, ["cause: there is no /nosuch/x inside"];
    exec_below_process_one: ["--init", "--", "/nosuch/x"], 127, ["execve(", "cause: there is no /nosuch/x inside"];
    exec_of_a_directory: ["--", "/etc"], 126, ["EACCES", "cause: /etc is a directory"];
    exec_of_a_file_without_x: ["--", "/etc/passwd"], 126, ["EACCES", "cause: /etc/passwd has no permission to be executed", "chmod +x"];
    exec_of_a_script_without_interpreter: ["-v", files(), "--", "/x/script"], 127, ["ENOENT", "/x/script is there, but its first line asks for /nosuch/interpreter"];
    exec_of_a_text: ["-v", files(), "--", "/x/text"], 126, ["ENOEXEC", "nor does its first line begin with #!"];
    exec_of_a_foreign_program: ["-v", files(), "--", "/x/foreign"], 126, ["ENOEXEC", "for another processor"];
    exec_of_a_loop: ["-v", files(), "--", "/x/loop"], 126, ["ELOOP", "circle"];
    exec_through_a_file: ["-v", files(), "--", "/x/text/y"], 126, ["ENOTDIR", "is a file"];
    exec_without_loader: ["--rootfs", root_with("dynamic", |root| {
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy("/bin/true", root.join("bin/true")).unwrap();
    }), "--", "true"], 127, ["dynamically linked and its loader /lib", "`ldd`"];
    a_dangling_proc: ["--rootfs", root_with("dangling", |root| symlink("/nosuch", root.join("proc")).unwrap()), "--", "true"], 1, ["ENOENT", "cause: /proc is a symlink to /nosuch, which is not there"];
    a_proc_in_a_circle: ["--rootfs", root_with("circle", |root| symlink("proc", root.join("proc")).unwrap()), "--", "true"], 1, ["ELOOP", "/proc is a symlink in a circle"];
    a_proc_that_is_a_file: ["--rootfs", root_with("file", |root| fs::write(root.join("proc"), "").unwrap()), "--", "true"], 1, ["ENOTDIR", "/proc inside is a file, and proc can be mounted only on a directory"];
    a_file_through_a_symlink: ["--rootfs", root_with("hosts", |root| symlink("/nosuch/x", root.join("etc/hosts")).unwrap()), "--", "true"], 1, ["EEXIST", "/etc/hosts is a symlink to /nosuch/x", "nothing is made through a symlink"];
    a_null_that_is_none: ["-v", "/proc:/dev/null", "--", "true"], 1, ["EIO", "not the character device 1:3", "CVE-2025-31133"];
    a_directory_on_a_file: ["-v", "/proc:/etc/passwd", "--", "true"], 1, ["ENOTDIR", "/proc cannot be mounted on /etc/passwd inside"];
    a_limit_above_the_machines: ["--ulimit", "nofile=1:99999999999", "--", "true"], 1, ["prlimit64(", "EPERM", "fs.nr_open"];
    a_setting_that_is_not_there: ["--sysctl", "net.nosuch=1", "--", "true"], 1, ["openat2(", "ENOENT", "has no setting /proc/sys/net/nosuch inside"];
    a_setting_with_nonsense: ["--sysctl", "net.core.somaxconn=abc", "--", "true"], 1, ["EINVAL", "/proc/sys/net/core/somaxconn inside does not take the value abc"];
    a_working_directory_that_is_a_file: ["-w", "/etc/passwd", "--", "true"], 1, ["chdir(", "ENOTDIR", "/etc/passwd inside is not a directory", "--workdir"];
    a_filter_that_refuses_us: ["--security-opt", profile("refuse", r#"{"names":["capset"],"action":"SCMP_ACT_ERRNO","errnoRet":1}"#), "--", "true"], 1, ["capset(", "EPERM", "the container's own seccomp filter, which is loaded already, refuses capset", "allow capset in the profile"];
    a_filter_that_kills_us: ["--security-opt", profile("kill", r#"{"names":["capset"],"action":"SCMP_ACT_KILL_PROCESS"}"#), "--", "true"], 1, ["SIGSYS", "the container's own seccomp filter"];
    without_image: ["--skip", "image", "--", "true"], 1, ["the stage overlay was refused", "the stage image was left out"];
    without_overlay: ["--skip", "overlay", "--", "true"], 1, ["the stage mounts was refused", "the stage overlay was left out"];
    without_mounts: ["--skip", "mounts", "--", "true"], 1, ["the stage limits was refused", "the stage mounts was left out"];
}

/// A script in a mount namespace of its own: its name, the script, the exit status, what must be said.
macro_rules! scripts {
    ($($name:ident: $script:expr, $status:expr, [$($said:expr),*];)*) => {
        $(#[test]
        fn $name() {
            refused(shell($script), $status, &[$($said),*]);
        })*
    };
}

scripts! {
    a_volume_without_exec: "mount -t tmpfs -o noexec t /mnt; cp /bin/true /mnt; $L run -v /mnt:/x -- /x/true", 126, ["EACCES", "/x/true is on a mount with noexec"];
    a_full_disk: "mount -t tmpfs -o size=1m t /mnt; LEARNCTR_DATA=/mnt/d $L run -- true", 1, ["ENOSPC", "no space or no inode is left on the file system of /mnt/d", "df -h /mnt/d"];
    a_read_only_disk: "mount -t tmpfs -o ro t /mnt; LEARNCTR_DATA=/mnt/d $L run -- true", 1, ["/mnt/d", "Read-only file system", "LEARNCTR_DATA"];
    overlay_on_overlay: "mount -t tmpfs t /mnt; cd /mnt; mkdir l u w m; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m; LEARNCTR_DATA=/mnt/m/d $L run -- true", 1, ["EINVAL", "upper is on overlay, which cannot carry an upper layer", "LEARNCTR_DATA=/dev/shm/learnctr"];
    options_longer_than_a_page: "mount -t tmpfs t /mnt; a=$(printf 'a%.0s' $(seq 250)); LEARNCTR_DATA=/mnt/$a/$a/$a/$a $L run -- true", 1, ["longer than a page (4095 bytes)"];
    no_way_through_to_the_layers: "mount -t tmpfs t /mnt; mkdir -m 700 /mnt/c; LEARNCTR_DATA=/mnt/c/d $L run --userns private -- true", 1, ["EACCES", "/mnt/c is user 0's with mode 0o700: no way through", "chmod o+x"];
    a_journal_below_a_file: "LEARNCTR_STATE=/etc/passwd/x $L run -- true", 1, ["open(\"/etc/passwd/x/", "ENOTDIR", "a file is where a directory has to be", "LEARNCTR_STATE=DIR"];
    no_network_namespace_allowed: "unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_net_namespaces; exec $L run -- true'", 1, ["ENOSPC", "the sysctl user.max_net_namespaces is 0", "sysctl -w user.max_net_namespaces=15000"];
    no_user_namespace_allowed: "unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec $L run --userns private -- true'", 1, ["ENOSPC", "the sysctl user.max_user_namespaces is 0"];
    a_name_whose_directory_is_there: "mkdir -p $P/data/containers/taken; $L run --name taken -- true; e=$?; test -d $P/data/containers/taken && exit $e; echo removed", 1, ["mkdirat(", "EEXIST", "a container of this name has its directory there already"];
}

/// Without one capability of root's: which, learnctr's options, what must be said.
fn without(capability: &str, options: &[&str], said: &[&str]) {
    let mut command = Command::new("setpriv");
    with_places(&mut command);
    command
        .args(["--bounding-set", &format!("-{capability}"), "--inh-caps=-all", LEARNCTR, "run"])
        .args(options);
    refused(command, 1, said);
}

#[test]
fn without_cap_mknod() {
    without("mknod", &["--", "true"], &["mknodat(", "EPERM", "the process lacks CAP_MKNOD"]);
}

#[test]
fn without_cap_setpcap() {
    without("setpcap", &["--", "true"], &["PR_CAPBSET_DROP", "EPERM", "the process lacks CAP_SETPCAP"]);
}

#[test]
fn without_cap_setgid() {
    without("setgid", &["--", "true"], &["setgroups(", "EPERM", "the process lacks CAP_SETGID"]);
}

#[test]
fn without_cap_net_admin() {
    without(
        "net_admin",
        &["--network", "veth", "--", "true"],
        &["sendto(", "EPERM", "CAP_NET_ADMIN is needed"],
    );
}

#[test]
fn without_cap_sys_chroot() {
    without(
        "sys_chroot",
        &["--chroot", "--", "true"],
        &["chroot(", "EPERM", "the process lacks CAP_SYS_CHROOT"],
    );
}

#[test]
fn without_cap_dac_override() {
    without("dac_override", &["--", "true"], &["mount(", "EACCES", "needs CAP_DAC_OVERRIDE"]);
}

#[test]
fn without_cap_sys_resource() {
    let said = ["prlimit64(", "EPERM", "raising it takes CAP_SYS_RESOURCE", "--ulimit with at most"];
    let mut command = Command::new("sh");
    with_places(&mut command);
    let script = "ulimit -n 512; exec setpriv --bounding-set -sys_resource --inh-caps=-all $L run --ulimit nofile=600 -- true";
    command.args(["-c", script]).env("L", LEARNCTR);
    refused(command, 1, &said);
    let said = ["EACCES", "only CAP_SYS_RESOURCE lowers it"];
    without("sys_resource", &["--oom-score-adj", "-900", "--", "true"], &said);
}

/// Whatever is nonsense around it, it says what it has to and does not panic.
#[test]
fn nothing_around_it_makes_it_panic() {
    if !is_root() {
        return println!("skipped: needs root");
    }
    let scripts = [
        "$L plan >/dev/full",
        "$L plan | true",
        "$L run -- nosuch 2>/dev/full",
        "$L run -- nosuch 2>&1 | true",
        "$L doctor >/dev/full",
        "$L spec >/dev/full",
        "$L schema >/dev/full",
        "$L view self >/dev/full",
        "$L step --auto >/dev/full",
        "$L run >&- 2>&- <&- -- true",
        "env -i $L plan",
        "HOME=relative XDG_DATA_HOME=$(printf '\\377') LEARNCTR_DATA= LEARNCTR_STATE= $L plan",
        "LEARNCTR_DATA=$(printf 'a%.0s' $(seq 5000)) $L run -- true",
        "LEARNCTR_STATE=$(printf 'a%.0s' $(seq 5000)) $L run -- true",
        "$L run -- $(printf '\\377')",
        "$L run --name $(printf '\\377') -- true",
        "mkdir -p $P/gone; cd $P/gone; rmdir $P/gone; $L run -- true",
        "mkdir -p $P/gone; cd $P/gone; rmdir $P/gone; LEARNCTR_DATA=d $L run -- true",
        "$L run --rootfs /nonexistent -- true",
        "$L run --rootfs /etc/passwd -- true",
        "$L run -v /nonexistent:/x -- true",
        "umount -l /proc; $L run -- true",
    ];
    for script in scripts {
        let output = shell(&format!("exec 2>&1; {script}")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("panicked"), "{script}\n{text}");
        assert!(
            // A panic whose words are lost has a status as well.
            output.status.code().is_some_and(|status| status < 128 && status != 101),
            "{script}: {}\n{text}",
            output.status
        );
    }
}

#[test]
fn a_live_container_keeps_its_name() {
    // Its control group has the name too, and the machine may have other tests' groups.
    let script = "$L run --name alive$$ -- sh -c 'echo up; sleep 20' >$P/up & \
                  while kill -0 $! && ! grep -q up $P/up; do sleep 0.1; done; \
                  $L run --name alive$$ -- true; e=$?; kill $!; wait; exit $e";
    refused(
        shell(script),
        1,
        &["a container called alive", " is there already, and lives", "give another --name"],
    );
}
