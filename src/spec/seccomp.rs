//! Which system calls may a container make? Docker's default seccomp profile and profiles given as a
//! file, made into the `linux.seccomp` of an OCI `config.json` for these capabilities and this kernel.
//!
//! Next: `crate::kernel::seccomp`, which compiles it.

use oci_spec::runtime::{
    Arch, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompBuilder,
    LinuxSeccompFilterFlag, LinuxSyscall, LinuxSyscallBuilder,
};
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Docker's default profile, as Moby publishes it (README.md beside it has source and licence).
pub const DOCKER_PROFILE: &str = include_str!("seccomp_default.json");

/// A profile as Docker writes it; an OCI `linux.seccomp` is one without conditions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<ArchMap>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: Arch,
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    /// The first version of the format had one name a rule.
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What a profile's conditions are asked about.
#[derive(Clone, Copy, Debug)]
pub struct For<'a> {
    /// The bounding set, as Moby asks it.
    pub caps: &'a [Capability],
    /// `(6, 18)`: version and patch level of the running kernel.
    pub kernel: (u32, u32),
    /// The native architecture.
    pub arch: Arch,
}

/// Why a profile cannot be used.
#[derive(Debug)]
pub enum Error {
    Read(PathBuf, std::io::Error),
    Parse(PathBuf, serde_json::Error),
    Rule(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Read(path, error) => {
                write!(
                    f,
                    "the seccomp profile {} cannot be read: {error}; give a file's path, or unconfined",
                    path.display()
                )
            }
            Error::Parse(path, error) => write!(
                f,
                "{} is not a seccomp profile: {error}; it must be Docker's format or the `linux.seccomp` object of an OCI config.json",
                path.display()
            ),
            Error::Rule(what) => write!(f, "the seccomp profile cannot be used: {what}"),
        }
    }
}

impl std::error::Error for Error {}

/// Docker's default profile for these capabilities, this kernel and this architecture.
pub fn docker_default(caps: &[Capability], kernel: (u32, u32), arch: Arch) -> Result<LinuxSeccomp, Error> {
    let profile =
        serde_json::from_str(DOCKER_PROFILE).map_err(|error| Error::Parse("default.json".into(), error))?;
    resolve(profile, For { caps, kernel, arch })
}

/// The profile of `--security-opt seccomp=FILE`, in Docker's format or as an OCI `linux.seccomp`.
pub fn load_file(path: &Path, asked: For) -> Result<LinuxSeccomp, Error> {
    let text = super::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    let profile = serde_json::from_slice(&text).map_err(|error| Error::Parse(path.to_owned(), error))?;
    resolve(profile, asked)
}

/// The architecture that this program was built for; none for one that seccomp does not know.
pub fn native_arch() -> Option<Arch> {
    GO_NAMES.iter().find(|(_, _, rust)| *rust == std::env::consts::ARCH).map(|(arch, ..)| *arch)
}

/// Version and patch level of the running kernel, of `6.18.44-something`; (0, 0) where it cannot be read.
pub fn running_kernel() -> (u32, u32) {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .ok()
        .and_then(|text| version(&text))
        .unwrap_or((0, 0))
}

/// An architecture, what Moby's `arches` call it, and what Rust calls it.
const GO_NAMES: [(Arch, &str, &str); 9] = [
    (Arch::ScmpArchX86_64, "amd64", "x86_64"),
    (Arch::ScmpArchX86, "x86", "x86"),
    (Arch::ScmpArchAarch64, "arm64", "aarch64"),
    (Arch::ScmpArchArm, "arm", "arm"),
    (Arch::ScmpArchPpc64le, "ppc64le", "powerpc64"),
    (Arch::ScmpArchS390x, "s390x", "s390x"),
    (Arch::ScmpArchRiscv64, "riscv64", "riscv64"),
    (Arch::ScmpArchLoongarch64, "loong64", "loongarch64"),
    (Arch::ScmpArchMips64, "mips64", "mips64"),
];

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Keep the rules whose conditions hold, and take the architectures of the map.
fn resolve(profile: Profile, asked: For) -> Result<LinuxSeccomp, Error> {
    let caps: HashSet<String> = asked.caps.iter().map(|cap| format!("CAP_{cap}")).collect();
    let mut architectures = profile.architectures.unwrap_or_default();
    let map = profile.arch_map.unwrap_or_default();
    if !architectures.is_empty() && !map.is_empty() {
        return Err(Error::Rule("both architectures and archMap are given; keep one".into()));
    }
    if let Some(entry) = map.into_iter().find(|entry| entry.architecture == asked.arch) {
        architectures.push(entry.architecture);
        architectures.extend(entry.sub_architectures.unwrap_or_default());
    }

    let mut syscalls = Vec::new();
    for rule in profile.syscalls.unwrap_or_default() {
        if holds(&rule, &caps, asked)? {
            syscalls.push(syscall(rule)?);
        }
    }

    let mut seccomp = LinuxSeccompBuilder::default()
        .default_action(profile.default_action)
        .architectures(architectures)
        .syscalls(syscalls)
        .build()
        .map_err(|error| Error::Rule(error.to_string()))?;
    seccomp.set_default_errno_ret(profile.default_errno_ret);
    seccomp.set_flags(profile.flags);
    seccomp.set_listener_path(profile.listener_path);
    seccomp.set_listener_metadata(profile.listener_metadata);
    Ok(seccomp)
}

fn syscall(rule: Rule) -> Result<LinuxSyscall, Error> {
    let mut names = rule.names.unwrap_or_default();
    match rule.name {
        Some(name) if !name.is_empty() && !names.is_empty() => {
            return Err(Error::Rule(format!("a rule has both name {name:?} and names; keep one")));
        }
        Some(name) if !name.is_empty() => names.push(name),
        _ => {}
    }
    let mut syscall = LinuxSyscallBuilder::default()
        .names(names)
        .action(rule.action)
        .build()
        .map_err(|error| Error::Rule(error.to_string()))?;
    syscall.set_errno_ret(rule.errno_ret);
    syscall.set_args(rule.args.filter(|args| !args.is_empty()));
    Ok(syscall)
}

/// Moby's rule: one exclusion that holds drops it; all capabilities of `includes`, one architecture of
/// it and its kernel must be there.
fn holds(rule: &Rule, caps: &HashSet<String>, asked: For) -> Result<bool, Error> {
    let arch = GO_NAMES.iter().find(|(arch, ..)| *arch == asked.arch).map_or("", |(_, go, _)| go);
    let has_arch = |condition: &Condition| condition.arches.iter().flatten().any(|name| name == arch);
    let kernel = |condition: &Condition| match &condition.min_kernel {
        Some(text) => version(text)
            .map(|min| Some(asked.kernel >= min))
            .ok_or_else(|| Error::Rule(format!("minKernel {text:?} is not of the form 4.8"))),
        None => Ok(None),
    };
    if let Some(excludes) = &rule.excludes
        && (has_arch(excludes)
            || excludes.caps.iter().flatten().any(|cap| caps.contains(cap))
            || kernel(excludes)? == Some(true))
    {
        return Ok(false);
    }
    if let Some(includes) = &rule.includes {
        let arch_fits = includes.arches.as_ref().is_none_or(|names| names.is_empty()) || has_arch(includes);
        let caps_fit = includes.caps.iter().flatten().all(|cap| caps.contains(cap));
        return Ok(arch_fits && caps_fit && kernel(includes)? != Some(false));
    }
    Ok(true)
}
