//! Does the kernel decide what the profile says? Docker's recorded container is the witness.
#![allow(unsafe_code)]

use learnctr::kernel::bpf::explore::{Verdict, explore};
use learnctr::kernel::bpf::{self, Action, Data};
use learnctr::kernel::ptrace;
use learnctr::kernel::seccomp;
use learnctr::spec::seccomp::docker_default;
use oci_spec::runtime::{
    Arch, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Instant;

const X86_64: u32 = 0xc000_003e;

fn docker(file: &str) -> Value {
    let path = format!("{}/tests/docker/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn recorded() -> LinuxSeccomp {
    serde_json::from_value(docker("config.json")["linux"]["seccomp"].clone()).unwrap()
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
    let (profile, web) = (recorded(), docker("web.json"));
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
const NEWER_PROFILE: [(&[u32], &str, &str); 5] = [
    (&[303], "allow", "name_to_handle_at is harmless: only open_by_handle_at leads out"),
    (&[310, 311], "allow", "process_vm_readv and _writev are bound to what ptrace allows, since Linux 4.8"),
    (&[329, 330, 331], "allow", "protection keys concern a process's own memory"),
    (&[425, 426, 427], "errno:1", "io_uring had too many ways out of containers"),
    (&[450], "errno:1", "calls after it are known now, so this one is refused and not unknown"),
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
    let web = docker("web.json");
    let profile = docker_default(&DOCKER_CAPS, (6, 18), Arch::ScmpArchX86_64).unwrap();
    let program = seccomp::compile(&profile).unwrap();
    let names: Vec<_> = profile.syscalls().iter().flatten().flat_map(|rule| rule.names()).collect();
    let known =
        |nr| seccomp::syscall_name(Arch::ScmpArchX86_64, nr).is_some_and(|name| names.contains(&&name));
    let newest = (0..600).rev().find(|&nr| known(nr)).unwrap_or(0);
    for nr in 0..=470u32 {
        let now = decision(std::slice::from_ref(&program.filter), nr, [0; 6]);
        let then = web["seccomp"][nr.to_string()].as_str().unwrap();
        match NEWER_PROFILE.iter().find(|(numbers, ..)| numbers.contains(&nr)) {
            // How far libseccomp knows the newer calls differs from machine to machine.
            _ if nr > newest => assert_eq!(now, "errno:38", "{nr}"),
            Some((_, other, reason)) => assert_eq!(&now, other, "{nr}: {reason}"),
            // Docker 20.10's libseccomp had no name for these; how many of them this one's has, it must say itself.
            None if nr == 335 || nr > 450 => {
                assert_eq!(now, if known(nr) { "allow" } else { "errno:1" }, "{nr}");
            }
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
    let (profile, web) = (recorded(), docker("web.json"));
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

/// What the OCI means by the rules: all conditions of a rule hold, or one where an argument is named twice.
fn meant(profile: &LinuxSeccomp, name: &str, args: [u64; 6]) -> Vec<String> {
    let action = |action: LinuxSeccompAction, errno: Option<u32>| match action {
        LinuxSeccompAction::ScmpActAllow => "allow".to_owned(),
        _ => format!("errno:{}", errno.unwrap_or(1)),
    };
    let default = action(profile.default_action(), profile.default_errno_ret());
    let holds = |arg: &LinuxSeccompArg| {
        let (is, k) = (args[arg.index()], arg.value());
        match arg.op() {
            LinuxSeccompOperator::ScmpCmpNe => is != k,
            LinuxSeccompOperator::ScmpCmpLt => is < k,
            LinuxSeccompOperator::ScmpCmpLe => is <= k,
            LinuxSeccompOperator::ScmpCmpEq => is == k,
            LinuxSeccompOperator::ScmpCmpGe => is >= k,
            LinuxSeccompOperator::ScmpCmpGt => is > k,
            LinuxSeccompOperator::ScmpCmpMaskedEq => is & k == arg.value_two().unwrap_or(0),
        }
    };
    let matching = profile.syscalls().iter().flatten().filter(|rule| {
        rule.names().iter().any(|its| its == name)
            && rule.args().iter().flatten().all(holds)
            && action(rule.action(), rule.errno_ret()) != default
    });
    let actions: Vec<String> = matching.map(|rule| action(rule.action(), rule.errno_ret())).collect();
    if actions.is_empty() { vec![default] } else { actions }
}

fn profile() -> impl Strategy<Value = LinuxSeccomp> {
    let names = proptest::sample::subsequence(
        vec!["read", "socket", "clone", "personality", "bpf", "futex_waitv"],
        1..4,
    );
    let op = proptest::sample::select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    let value = || prop_oneof![0u64..4, Just(0x1_0000_0000), Just(0x7e02_0000), Just(u64::MAX)];
    let arg = (op, value(), value()).prop_map(|(op, value, two)| (format!("SCMP_CMP_{op}"), value, two));
    let args = proptest::collection::vec(arg, 0..3);
    let rule = (names, args).prop_map(|(names, args)| {
        let args: Vec<Value> = (args.into_iter().enumerate())
            // What the mask hides cannot be equal to anything.
            .map(|(index, (op, value, two))| json!({"index": index, "value": value, "valueTwo": two & value, "op": op}))
            .collect();
        json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": args})
    });
    proptest::collection::vec(rule, 0..5).prop_map(|rules| {
        serde_json::from_value(json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13, "syscalls": rules,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        }))
        .unwrap()
    })
}

fn any_insn() -> impl Strategy<Value = bpf::Insn> {
    // Mostly opcodes that exist, so that programs get somewhere.
    let code = prop_oneof![
        8 => proptest::sample::select(vec![
            0x20u16, 0x00, 0x60, 0x80, 0x01, 0x61, 0x81, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x24, 0x34, 0x3c, 0x44, 0x54, 0x64,
            0x6c, 0x74, 0x84, 0xa4, 0x05, 0x15, 0x1d, 0x25, 0x35, 0x45, 0x06, 0x16, 0x07, 0x87,
        ]),
        1 => any::<u16>(),
    ];
    let k = prop_oneof![0u32..64, Just(0x7fff_0000), any::<u32>()];
    let jump = || prop_oneof![0u8..4, any::<u8>()];
    (code, jump(), jump(), k).prop_map(|(code, jt, jf, k)| bpf::Insn { code, jt, jf, k })
}

proptest! {
    // Each case generates a filter and asks it thousands of times.
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiled_means_the_profile(profile in profile()) {
        // Where libseccomp is known to be wrong, or to go round in circles in a tree of its own, it was noticed.
        let noticed = ["makes a wrong filter", "does not come to an end"];
        let program = match seccomp::compile(&profile).map_err(|error| error.to_string()) {
            Err(error) if noticed.iter().any(|known| error.contains(known)) => return Ok(()),
            outcome => outcome.unwrap(),
        };
        let numbers: Vec<(u32, String)> = (0..450)
            .filter_map(|nr| Some((nr, seccomp::syscall_name(Arch::ScmpArchX86_64, nr)?)))
            .filter(|(_, name)| ["read", "socket", "clone", "personality", "bpf", "futex_waitv", "write"].contains(&name.as_str()))
            .collect();
        let newest = (numbers.iter())
            .filter(|(_, name)| profile.syscalls().iter().flatten().any(|rule| rule.names().contains(name)))
            .map(|(nr, _)| *nr)
            .max();
        for (nr, name) in &numbers {
            for a in [0, 1, 3, 0x1_0000_0000, 0x1_0000_0001, 0x7e02_0000, 0x1000_0000, u64::MAX] {
                for b in [0, 2, 0x1_0000_0003, u64::MAX] {
                    let args = [a, b, 0, 0, 0, 0];
                    let is = decision(std::slice::from_ref(&program.filter), *nr, args);
                    match newest {
                        Some(newest) if *nr > newest => prop_assert_eq!(&is, "errno:38"),
                        _ => prop_assert!(meant(&profile, name, args).contains(&is), "{} {:?}: {}", name, args, is),
                    }
                }
            }
        }
    }

}

#[test]
fn what_is_divided_by_nothing_is_refused() {
    let insn = |code, k| bpf::Insn { code, jt: 0, jf: 0, k };
    // A is half of the first argument, X is 0 as every program begins.
    let filter = [insn(0x20, 20), insn(0x3c, 0), insn(0x06, 0x7fff_0000)];
    let data = Data { arch: X86_64, ..Data::default() };
    assert_eq!(bpf::decide(&[&filter], &data), Some(Action::KillThread));
    assert_eq!(explore(&[&filter], X86_64, 0), Verdict::Always(Action::KillThread));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_program_is_answered(filter in proptest::collection::vec(any_insn(), 0..24), nr: u32, args: [u64; 6]) {
        let data = Data { nr, arch: X86_64, instruction_pointer: args[0], args };
        let ran = bpf::run(&filter, &data);
        if bpf::check(&filter).is_ok() {
            prop_assert!(ran.is_some(), "what the kernel takes ends with an answer");
        }
        match (explore(std::slice::from_ref(&filter), X86_64, nr), bpf::decide(&[&filter], &data)) {
            (Verdict::Always(action), Some(decided)) => prop_assert_eq!(action, decided),
            (Verdict::Depends { actions, .. }, Some(decided)) => {
                prop_assert!(actions.iter().any(|(action, _)| *action == decided), "{:?}", actions);
            }
            _ => {}
        }
        prop_assert_eq!(bpf::from_bytes(&bpf::to_bytes(&filter)), Some(filter));
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>, nr: u32) {
        if let Some(filter) = bpf::from_bytes(&bytes) {
            let _ = bpf::check(&filter);
            let _ = (bpf::decide(&[&filter], &Data { nr, ..Data::default() }), explore(&[&filter], X86_64, nr));
        }
    }
}

#[test]
fn the_kernel_checks_alike() {
    use proptest::strategy::ValueTree;
    if let Some(reason) = may_not() {
        return println!("skipped: {reason}");
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..400 {
        let mut filter = proptest::collection::vec(any_insn(), 0..4).new_tree(&mut runner).unwrap().current();
        // Ends with ALLOW, so that what is taken also runs.
        filter.retain(|insn| insn.code & 7 != 6);
        filter.push(bpf::Insn { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 });
        let ours = bpf::check(&filter);
        let theirs = Under::filters(vec![filter.clone()]).map(drop);
        // An unknown divisor may be 0 at run time and kill the child before exec, which is no refusal.
        let theirs_takes = theirs.as_ref().map_or_else(|error| error.raw_os_error() != Some(22), |()| true);
        assert_eq!(ours.is_ok(), theirs_takes, "{filter:x?}: {ours:?} {theirs:?}");
        if ours.is_ok() { taken += 1 } else { refused += 1 }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 20 && refused > 20);
}

#[test]
fn kept_filters_are_doubted() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("cache");
    let ask = || {
        let start = Instant::now();
        let program = seccomp::default_cached(&DOCKER_CAPS, (6, 18), Arch::ScmpArchX86_64, &dir).unwrap();
        (program, start.elapsed())
    };
    let (made, first) = ask();
    let (kept, second) = ask();
    let (again, third) = ask();
    println!("made in {first:?}, then {second:?}, {third:?}");
    assert_eq!((&made, &made), (&kept, &again));
    let profile = docker_default(&DOCKER_CAPS, (6, 18), Arch::ScmpArchX86_64).unwrap();
    assert_eq!(seccomp::compile_cached(&profile, &dir).unwrap(), made);
    let start = Instant::now();
    assert_eq!(seccomp::compile_cached(&profile, &dir).unwrap(), made);
    println!("by the whole profile {:?}", start.elapsed());

    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "no half-written file is left");
    for path in &files {
        let whole = std::fs::read(path).unwrap();
        let doubtful: [(&str, Vec<u8>, u32); 5] = [
            ("cut off", whole[..whole.len() - 3].to_vec(), 0o600),
            ("ends without a return", whole[..whole.len() - 8].to_vec(), 0o600),
            ("another magic", [b"L", &whole[1..]].concat(), 0o600),
            ("empty", Vec::new(), 0o600),
            // Another may have written it, however right it looks.
            ("writable by others", whole.clone(), 0o666),
        ];
        for (what, bytes, mode) in doubtful {
            std::fs::write(path, bytes).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(ask().0 == made, "{what}");
            assert!(seccomp::compile_cached(&profile, &dir).unwrap() == made, "{what}");
            let about = std::fs::metadata(path).unwrap();
            assert_eq!(
                (std::fs::read(path).unwrap() == whole, about.mode() & 0o777),
                (true, 0o600),
                "{what}"
            );
        }
    }
}

#[test]
fn profiles_from_files() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("profile.json");
    let asked =
        learnctr::spec::seccomp::For { caps: &DOCKER_CAPS, kernel: (6, 18), arch: Arch::ScmpArchX86_64 };
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        learnctr::spec::seccomp::load_file(&path, asked)
    };
    let docker = docker_default(&DOCKER_CAPS, (6, 18), Arch::ScmpArchX86_64).unwrap();
    assert_eq!(load(learnctr::spec::seccomp::DOCKER_PROFILE).unwrap(), docker);
    assert_eq!(
        load(&serde_json::to_string(&docker).unwrap()).unwrap(),
        docker,
        "an OCI profile is taken as it is"
    );
    let old = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mount","action":"SCMP_ACT_ERRNO","args":null}]}"#;
    assert_eq!(seccomp::compile(&load(old).unwrap()).unwrap().unknown, [""; 0]);
    let unknown = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["no_such_call"],"action":"SCMP_ACT_KILL"}]}"#;
    assert_eq!(seccomp::compile(&load(unknown).unwrap()).unwrap().unknown, ["no_such_call"]);
    let says = |text: &str| load(text).unwrap_err().to_string();
    assert!(says("{").contains("is not a seccomp profile"));
    assert!(says(r#"{"defaultAction":"SCMP_ACT_BOGUS"}"#).contains("SCMP_ACT_BOGUS"));
    let notify =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_NOTIFY"}]}"#;
    assert!(
        seccomp::compile(&load(notify).unwrap()).unwrap_err().to_string().contains("nobody would answer")
    );
    let beyond = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#;
    assert!(seccomp::compile(&load(beyond).unwrap()).is_err());
    let flags = r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}"#;
    assert_eq!(seccomp::compile(&load(flags).unwrap()).unwrap().flags, 6);
}

#[test]
fn a_wrong_filter_is_noticed() {
    let wrong: LinuxSeccomp = serde_json::from_str(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {"names":["bpf"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":3,"op":"SCMP_CMP_LE"}]},
            {"names":["bpf"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"op":"SCMP_CMP_NE"},{"index":1,"value":4294967296,"op":"SCMP_CMP_LT"}]},
            {"names":["bpf"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":3,"op":"SCMP_CMP_NE"}]}]}"#,
    )
    .unwrap();
    let Err(error) = seccomp::compile(&wrong) else {
        return println!("skipped: libseccomp {} makes a right filter of it", seccomp::library_version());
    };
    assert!(error.to_string().contains("makes a wrong filter of the rules for bpf"), "{error}");
}
