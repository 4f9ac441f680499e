//! Are the devices refused that the rules refuse? The rules, the program made of them and the kernel must agree.

use learnctr::kernel::devices::{self, Kind, Rule, ebpf};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType};
use proptest::prelude::*;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

fn rule() -> impl Strategy<Value = LinuxDeviceCgroup> {
    let kind = prop_oneof![
        Just(None),
        Just(Some(LinuxDeviceType::A)),
        Just(Some(LinuxDeviceType::B)),
        Just(Some(LinuxDeviceType::C)),
        Just(Some(LinuxDeviceType::U))
    ];
    let number =
        || prop_oneof![Just(None), Just(Some(-1)), (0i64..3).prop_map(Some), Just(Some(0xffff_ffff))];
    let access = prop_oneof![Just(None), "[rwm]{0,3}".prop_map(Some)];
    (any::<bool>(), kind, number(), number(), access).prop_map(|(allow, kind, major, minor, access)| {
        let mut rule = LinuxDeviceCgroupBuilder::default().allow(allow).build().unwrap();
        rule.set_typ(kind);
        rule.set_major(major);
        rule.set_minor(minor);
        rule.set_access(access);
        rule
    })
}

/// Just the instructions that the program is made of.
fn run(program: &[ebpf::Insn], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let kind = if kind == Kind::Block { 1 } else { 2 };
    let context = [u32::from(access) << 16 | kind, major, minor];
    let (mut r, mut pc) = ([0u32; 16], 0usize);
    loop {
        let insn = program[pc];
        let (to, from) = (usize::from(insn.registers & 15), usize::from(insn.registers >> 4));
        let k = insn.immediate as u32;
        let jump = match insn.code {
            0x61 => {
                assert_eq!(from, 1);
                r[to] = context[insn.offset as usize / 4];
                false
            }
            0xbc => (r[to] = r[from], false).1,
            0x74 => (r[to] >>= k, false).1,
            0x54 => (r[to] &= k, false).1,
            0xb7 => (r[to] = k, false).1,
            0x56 => r[to] != k,
            0x46 => r[to] & k != 0,
            0x05 => true,
            0x95 => return r[0] == 1,
            other => panic!("{other:#x}"),
        };
        pc += 1 + if jump { insn.offset as usize } else { 0 };
    }
}

fn every() -> impl Iterator<Item = (Kind, u32, u32, u8)> {
    let numbers = [0, 1, 2, 3, 0xffff_ffff];
    [Kind::Block, Kind::Char].into_iter().flat_map(move |kind| {
        numbers.into_iter().flat_map(move |major| {
            numbers.into_iter().flat_map(move |minor| (1..8).map(move |access| (kind, major, minor, access)))
        })
    })
}

/// cgroup v1's own arithmetic (security/device_cgroup.c), on the lines that were written.
fn v1(lines: &[(&str, String)], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let (mut default, mut exceptions) = (true, Vec::<(String, u8)>::new());
    let bits = |text: &str| {
        text.bytes().fold(0, |bits, c| {
            bits | match c {
                b'm' => 1,
                b'r' => 2,
                _ => 4,
            }
        })
    };
    for (file, line) in lines {
        let allow = *file == "devices.allow";
        if line.starts_with('a') {
            (default, exceptions) = (allow, Vec::new());
            continue;
        }
        let (device, access) = line.rsplit_once(' ').unwrap();
        if allow == default {
            exceptions.iter_mut().filter(|(its, _)| its == device).for_each(|(_, its)| *its &= !bits(access));
            exceptions.retain(|(_, its)| *its != 0);
        } else if let Some((_, its)) = exceptions.iter_mut().find(|(its, _)| its == device) {
            *its |= bits(access);
        } else {
            exceptions.push((device.to_owned(), bits(access)));
        }
    }
    let letter = if kind == Kind::Block { "b" } else { "c" };
    let about = |device: &str| {
        let (its, numbers) = device.split_once(' ').unwrap();
        let (a, b) = numbers.split_once(':').unwrap();
        its == letter && (a == "*" || a == major.to_string()) && (b == "*" || b == minor.to_string())
    };
    let mut matching = exceptions.iter().filter(|(device, _)| about(device));
    match default {
        true => !matching.any(|(_, its)| its & access != 0),
        false => matching.any(|(_, its)| access & !its == 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_program_means_the_rules(given in proptest::collection::vec(rule(), 0..8)) {
        let rules = devices::rules(&given).unwrap();
        let program = devices::program(&given).unwrap();
        for (kind, major, minor, access) in every() {
            let wanted = devices::allowed(&rules, kind, major, minor, access);
            prop_assert_eq!(run(&program, kind, major, minor, access), wanted, "{:?} {}:{} {}", kind, major, minor, access);
        }
    }

    #[test]
    fn v1_lines_mean_the_rules(given in proptest::collection::vec(rule(), 0..6)) {
        let rules: Vec<Rule> = devices::rules(&given).unwrap();
        // What v1 cannot say is refused and not written otherwise.
        let Ok(lines) = devices::v1_lines(&given) else { return Ok(()) };
        // v1 wants one exception to allow all bits; so one bit at a time.
        for (kind, major, minor, access) in every().filter(|(.., access)| access.count_ones() == 1) {
            let wanted = devices::allowed(&rules, kind, major, minor, access);
            prop_assert_eq!(v1(&lines, kind, major, minor, access), wanted, "{:?} {}:{} {}: {:?}", kind, major, minor, access, lines);
        }
    }
}

#[test]
fn the_kernel_verifies_every_program() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..40 {
        let given = proptest::collection::vec(rule(), 0..8).new_tree(&mut runner).unwrap().current();
        match devices::load(&devices::program(&given).unwrap()) {
            Err(errno) if errno.name() == "EPERM" => return println!("skipped: bpf(2) is not allowed here"),
            outcome => drop(outcome.unwrap_or_else(|errno| panic!("{errno}: {given:?}"))),
        }
    }
}

/// Where cgroup v2, or v1's devices controller, is mounted.
fn mounted(kind: &str, option: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (target, its, options) = (fields.next()?, fields.next()?, fields.next()?);
        (its == kind && (option.is_empty() || options.split(',').any(|one| one == option)))
            .then(|| target.into())
    })
}

struct Group(PathBuf);

impl Group {
    fn make(root: &Path) -> std::io::Result<Group> {
        let path = root.join(format!("learnctr-test-{}", std::process::id()));
        std::fs::create_dir(&path).map(|()| Group(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..50 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

fn null_only() -> Vec<LinuxDeviceCgroup> {
    serde_json::from_str(
        r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},
            {"allow":true,"type":"c","major":1,"minor":5,"access":"m"}]"#,
    )
    .unwrap()
}

/// In the group: null may all, zero may be made but not read, full nothing.
fn try_devices(group: &Group) {
    let scratch = tempfile::tempdir().unwrap();
    let script = "echo $$ > $1/cgroup.procs || exit 99
        cd $2; cat /dev/null && echo -n null-read' '; echo > /dev/null && echo -n null-written' '
        mknod n c 1 3 && echo -n null-made' '; head -c1 /dev/zero >/dev/null && echo -n zero-read' '
        mknod z c 1 5 && echo -n zero-made' '; mknod f c 1 7 && echo -n full-made' '; true";
    let output =
        Command::new("sh").args(["-c", script, "sh"]).arg(&group.0).arg(scratch.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), "null-read null-written null-made zero-made", "{errors}");
    assert!(errors.contains("Operation not permitted"), "{errors}");
}

#[test]
fn v2_refuses() {
    let Some(root) = mounted("cgroup2", "") else { return println!("skipped: no cgroup v2 is mounted") };
    let group = match Group::make(&root) {
        Ok(group) => group,
        Err(error) => return println!("skipped: no group can be made in {}: {error}", root.display()),
    };
    let program = match devices::load(&devices::program(&null_only()).unwrap()) {
        Ok(program) => program,
        Err(errno) => return println!("skipped: bpf(2): {errno}"),
    };
    let file = std::fs::File::open(&group.0).unwrap();
    assert!(devices::attached(file.as_fd()).unwrap().is_empty());
    devices::attach(file.as_fd(), program.as_fd()).unwrap();
    assert_eq!(devices::attached(file.as_fd()).unwrap().len(), 1);
    try_devices(&group);
}

#[test]
fn v1_refuses() {
    let Some(root) = mounted("cgroup", "devices") else {
        return println!("skipped: no devices controller of cgroup v1 is mounted");
    };
    let group = match Group::make(&root) {
        Ok(group) => group,
        Err(error) => return println!("skipped: no group can be made in {}: {error}", root.display()),
    };
    for (file, line) in devices::v1_lines(&null_only()).unwrap() {
        std::fs::write(group.0.join(file), line).unwrap();
    }
    try_devices(&group);
}
