//! Does the kernel decide what the profile says? Docker's recorded container is the witness.
#![allow(unsafe_code)]

use learnctr::kernel::bpf::explore::{Verdict, explore};
use learnctr::kernel::bpf::{self, Action, Data};
use learnctr::kernel::ptrace;
use learnctr::kernel::seccomp;
use learnctr::spec::seccomp::docker_default;
use oci_spec::runtime::{Arch, Capability, LinuxSeccomp};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Instant;

const X86_64: u32 = 0xc000_003e;

fn docker(file: &str) -> Option<Value> {
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/docker");
    let text = std::fs::read_to_string(format!("{base}/{file}")).ok()?;
    serde_json::from_str(&text).ok()
}

fn recorded() -> Option<LinuxSeccomp> {
    serde_json::from_value(docker("config.json")?["linux"]["seccomp"].clone()).ok()
}

fn decision(filters: &[Vec<bpf::Insn>], nr: u32, args: [u64; 6]) -> String {
    match bpf::decide(filters, &Data { nr, arch: X86_64, args, ..Data::default() }) {
        Some(Action::Allow) => "allow".into(),
        Some(Action::Errno(errno)) => format!("errno:{}", errno.0),
        other => format!("{other:?}"),
    }
}

#[test]
fn compiled_decides_as_docker() {
    let (Some(profile), Some(web)) = (recorded(), docker("web.json")) else {
        return println!("skipped: no record of a Docker container");
    };
    let start = Instant::now();
    let program = seccomp::compile(&profile).unwrap();
    println!("{} instructions, {:?}, unknown {:?}", program.filter.len(), start.elapsed(), program.unknown);
    for nr in 0..=470u32 {
        assert_eq!(
            decision(std::slice::from_ref(&program.filter), nr, [0; 6]),
            web["seccomp"][nr.to_string()],
            "{nr}"
        );
    }
}

/// Docker 20.10 was recorded; the profile here is newer. Each decision that differs has its reason.
const NEWER_PROFILE: [(&[u32], &str, &str); 6] = [
    (&[303], "allow", "name_to_handle_at is harmless: only open_by_handle_at leads out"),
    (&[310, 311], "allow", "process_vm_readv and _writev are bound to what ptrace allows, since Linux 4.8"),
    (&[329, 330, 331], "allow", "protection keys concern a process's own memory"),
    (&[425, 426, 427], "errno:1", "io_uring had too many ways out of containers"),
    (&[450], "errno:1", "calls after it are known now, so this one is refused and not unknown"),
    (
        &[451, 452, 453, 454, 455, 456, 457, 458, 459, 460, 461, 462, 463, 464, 465, 466, 467],
        "allow",
        "newer than Docker 20.10",
    ),
];

const DOCKER_CAPS: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

#[test]
fn default_profile_decides_as_docker() {
    let Some(web) = docker("web.json") else { return println!("skipped: no record of a Docker container") };
    let profile = docker_default(&DOCKER_CAPS, (6, 18), Arch::ScmpArchX86_64).unwrap();
    let program = seccomp::compile(&profile).unwrap();
    let (mut newest, names) = (0, profile.syscalls().iter().flatten().flat_map(|rule| rule.names()));
    for name in names {
        let number =
            (0..600).find(|&nr| seccomp::syscall_name(Arch::ScmpArchX86_64, nr).as_deref() == Some(name));
        newest = newest.max(number.unwrap_or(0));
    }
    for nr in 0..=470u32 {
        let now = decision(std::slice::from_ref(&program.filter), nr, [0; 6]);
        let then = web["seccomp"][nr.to_string()].as_str().unwrap();
        match NEWER_PROFILE.iter().find(|(numbers, ..)| numbers.contains(&nr)) {
            // How far libseccomp knows the newer calls differs from machine to machine.
            _ if nr > newest => assert_eq!(now, "errno:38", "{nr}"),
            Some((_, other, reason)) => assert_eq!(&now, other, "{nr}: {reason}"),
            None => assert_eq!(now, then, "{nr}"),
        }
    }
}

/// A process under these filters, ended when dropped.
struct Under(Child);

impl Under {
    fn filters(filters: Vec<Vec<bpf::Insn>>) -> std::io::Result<Under> {
        let mut command = Command::new("sleep");
        command.arg("100");
        // SAFETY: between fork and exec only seccomp(2) is called.
        unsafe {
            command.pre_exec(move || {
                for filter in &filters {
                    seccomp::load(filter, 0).map_err(|errno| std::io::Error::from_raw_os_error(errno.0))?;
                }
                Ok(())
            });
        }
        command.spawn().map(Under)
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who cannot load or read filters here says why.
fn may_not() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field =
        |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("").trim().to_owned();
    let caps = u64::from_str_radix(&field("CapEff:"), 16).unwrap();
    if caps & (1 << 21) == 0 {
        return Some("no CAP_SYS_ADMIN".into());
    }
    (field("Seccomp:") != "0").then(|| "these tests run under a filter".into())
}

#[test]
fn read_back_from_the_kernel_decides_as_docker() {
    if let Some(reason) = may_not() {
        return println!("skipped: {reason}");
    }
    let (Some(profile), Some(web)) = (recorded(), docker("web.json")) else {
        return println!("skipped: no record of a Docker container");
    };
    let program = seccomp::compile(&profile).unwrap();
    let under = Under::filters(vec![program.filter.clone()]).unwrap();
    let start = Instant::now();
    let read = ptrace::seccomp_filters(under.pid()).unwrap();
    println!("read back in {:?}", start.elapsed());
    assert_eq!(read, [program.filter]);
    for nr in 0..=470u32 {
        assert_eq!(decision(&read, nr, [0; 6]), web["seccomp"][nr.to_string()], "{nr}");
    }
    const CLONE_NEWUSER: u64 = 0x1000_0000;
    let args = |first: u64| [first, 0, 0, 0, 0, 0];
    assert_eq!(decision(&read, 56, args(CLONE_NEWUSER)), web["seccomp_clone_newuser"]);
    assert_eq!(decision(&read, 135, args(0xffff_ffff)), web["seccomp_personality_ffffffff"]);
    assert_eq!(decision(&read, 135, args(7)), "errno:1");
    assert_eq!(decision(&read, 41, args(40)), web["seccomp_socket_vsock"]);
    let open = Data { nr: 5, arch: 0x4000_0003, ..Data::default() };
    assert_eq!(bpf::decide(&read, &open), Some(Action::Allow), "{}", web["seccomp_i386_open"]);
    let mips = Data { nr: 5, arch: 8, ..Data::default() };
    assert_eq!(bpf::decide(&read, &mips), Some(Action::KillThread), "an architecture that is not listed");
    // x32 has a newest call of its own.
    assert_eq!(decision(&read, 0x4000_0000, [0; 6]), "allow");
    assert_eq!(decision(&read, 0x4000_0000 + 600, [0; 6]), "errno:38");
}

#[test]
fn stacked_and_stopped() {
    if let Some(reason) = may_not() {
        return println!("skipped: {reason}");
    }
    let one = |value| vec![bpf::Insn { code: 6, jt: 0, jf: 0, k: value }];
    let under = Under::filters(vec![one(0x7fff_0000), one(0x7ffc_0000)]).unwrap();
    let stop = |signal: &str| Command::new("kill").args([signal, &under.pid().to_string()]).status().unwrap();
    stop("-STOP");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", under.pid())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next()
    };
    for _ in 0..100 {
        if state() == Some('T') {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let read = ptrace::seccomp_filters(under.pid()).unwrap();
    assert_eq!(read, [one(0x7fff_0000), one(0x7ffc_0000)], "the first installed comes first");
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(state(), Some('T'), "stopped before, stopped after");
    stop("-CONT");
    let status = std::fs::read_to_string(format!("/proc/{}/status", under.pid())).unwrap();
    assert!(status.contains("TracerPid:\t0"), "{status}");
    assert_eq!(ptrace::seccomp_filters(std::process::id() as i32).unwrap_err().errno.name(), "EPERM");
    let nobody = ptrace::seccomp_filters(i32::MAX).unwrap_err();
    assert_eq!(nobody.errno.name(), "ESRCH", "{nobody}");
}

#[test]
fn explored_agrees_with_evaluated() {
    let profile = docker_default(&DOCKER_CAPS, (6, 18), Arch::ScmpArchX86_64).unwrap();
    let filters = [seccomp::compile(&profile).unwrap().filter];
    for nr in 0..=470 {
        let decided = bpf::decide(&filters, &Data { nr, arch: X86_64, ..Data::default() }).unwrap();
        match explore(&filters, X86_64, nr) {
            Verdict::Always(action) => assert_eq!(action, decided, "{nr}"),
            Verdict::Depends { args, actions } => {
                println!("{nr} {:?} {args:?} {actions:?}", seccomp::syscall_name(Arch::ScmpArchX86_64, nr));
                assert!(actions.iter().any(|(action, _)| *action == decided), "{nr}");
            }
            other => panic!("{nr}: {other:?}"),
        }
    }
}
