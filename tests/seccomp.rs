//! Does the kernel decide what the profile says? Docker's recorded container is the witness.

use learnctr::kernel::bpf::{self, Action, Data};
use learnctr::kernel::seccomp;
use learnctr::spec::seccomp::docker_default;
use oci_spec::runtime::{Arch, Capability, LinuxSeccomp};
use serde_json::Value;
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
