//! How is the value of an option written? As Docker writes it: `512m`, `1.5`, `/src:/dst:ro`, `nofile=1024:2048`.
//!
//! Each type here is one option's value, and its `FromStr` is the whole of its grammar; a refusal says
//! what was expected, with an example. Next: `options`, which names them.

use std::path::{Path, PathBuf};
use std::str::FromStr;

type Refused = String;

/// A size in bytes, with Docker's suffixes: `64b`, `512k`, `512m`, `1.5GiB`. All are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Bytes, Refused> {
        let refused = || format!("{text:?} is no size: expected a number and b, k, m, g or t, such as 512m");
        let lower = text.to_ascii_lowercase();
        let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(end);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
            "" if unit != "ib" => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            "p" => 5,
            _ => return Err(refused()),
        };
        let scale = 1024u64.pow(power);
        // A whole number is kept exact; only a fraction goes through floating point.
        let bytes = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(scale),
            Err(_) if !number.contains('.') => None,
            Err(_) => number
                .parse::<f64>()
                .ok()
                .map(|n| n * scale as f64)
                .filter(|n| *n < i64::MAX as f64)
                .map(|n| n as u64),
        };
        bytes.filter(|n| i64::try_from(*n).is_ok()).map(Bytes).ok_or_else(refused)
    }
}

/// `--memory-swap`: memory and swap together, or `-1` for as much swap as there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap(pub i64);

impl FromStr for Swap {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Swap, Refused> {
        match text {
            "-1" => Ok(Swap(-1)),
            _ => text.parse::<Bytes>().map(|Bytes(n)| Swap(n.min(i64::MAX as u64) as i64)),
        }
    }
}

/// A number of processors, `1.5`, as the microseconds that it gives in each [`Cpus::PERIOD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus(pub i64);

impl Cpus {
    pub const PERIOD: u64 = 100_000;
}

impl FromStr for Cpus {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Cpus, Refused> {
        let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        match text.parse::<f64>() {
            Ok(n) if plain && (n == 0.0 || (0.01..=8192.0).contains(&n)) => {
                Ok(Cpus((n * Cpus::PERIOD as f64).round() as i64))
            }
            _ => Err(format!(
                "{text:?} is no number of CPUs: expected 0.01 or more, such as 1.5 (0: no limit)"
            )),
        }
    }
}

/// `-v [SOURCE:]DESTINATION[:OPTIONS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub source: Source,
    pub destination: PathBuf,
    pub read_only: bool,
    /// `rprivate` unless another mount propagation is asked for.
    pub propagation: String,
    /// `z` or `Z`: an SELinux label is asked for.
    pub relabel: bool,
}

/// Where a volume's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host.
    Host(PathBuf),
    /// A directory that learnctr keeps under this name.
    Named(String),
    /// A new directory that goes with the container.
    Anonymous,
}

impl FromStr for Volume {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Volume, Refused> {
        let refused = |why: &str| {
            format!("{text:?}: {why}; expected [SOURCE:]/DESTINATION[:OPTIONS], such as /srv/www:/www:ro")
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, options) = match parts.as_slice() {
            [destination] => ("", *destination, ""),
            [source, destination] => (*source, *destination, ""),
            [source, destination, options] => (*source, *destination, *options),
            _ => return Err(refused("more than two colons")),
        };
        let source = match source {
            "" if parts.len() > 1 => return Err(refused("the source is empty")),
            "" => Source::Anonymous,
            path if path.starts_with(['/', '.']) => Source::Host(path.into()),
            name if is_name(name) => Source::Named(name.to_owned()),
            _ => return Err(refused("the source is neither a path (/ or ./ first) nor a volume's name")),
        };
        let destination = mount_point(destination).map_err(|why| refused(&why))?;
        let mut volume =
            Volume { source, destination, read_only: false, propagation: "rprivate".into(), relabel: false };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => volume.read_only = true,
                "rw" | "nocopy" | "cached" | "delegated" | "consistent" => {}
                "z" | "Z" => volume.relabel = true,
                "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => {
                    volume.propagation = option.to_owned();
                }
                _ => {
                    return Err(refused(&format!(
                        "unknown option {option:?} (known: ro, rw, z, Z, rslave, …)"
                    )));
                }
            }
        }
        Ok(volume)
    }
}

/// `--tmpfs /DESTINATION[:OPTIONS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    pub destination: PathBuf,
    pub options: Vec<String>,
}

impl FromStr for Tmpfs {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Tmpfs, Refused> {
        let (destination, asked) = text.split_once(':').unwrap_or((text, ""));
        let destination = mount_point(destination)
            .map_err(|why| format!("{text:?}: {why}; such as /run:size=64m,mode=755"))?;
        let asked: Vec<String> = asked.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
        let mut options: Vec<String> = Vec::new();
        for (default, opposite) in [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")] {
            if !asked.iter().any(|option| option == default || option == opposite) {
                options.push(default.to_owned());
            }
        }
        options.extend(asked);
        Ok(Tmpfs { destination, options })
    }
}

/// `--device /dev/HOST[:/dev/INSIDE][:rwm]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub host: PathBuf,
    pub inside: PathBuf,
    pub access: String,
}

impl FromStr for Device {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Device, Refused> {
        let refused = |why: &str| format!("{text:?}: {why}; expected /dev/HOST[:/dev/INSIDE][:rwm]");
        let is_access = |s: &str| !s.is_empty() && s.chars().all(|c| "rwm".contains(c));
        let parts: Vec<&str> = text.split(':').collect();
        let (host, inner, access) = match parts.as_slice() {
            [host] => (*host, *host, "rwm"),
            [host, access] if is_access(access) => (*host, *host, *access),
            [host, inner] => (*host, *inner, "rwm"),
            [host, inner, access] if is_access(access) => (*host, *inner, *access),
            _ => return Err(refused("the access is not made of r, w and m")),
        };
        let host = inside(host).map_err(|why| refused(&why))?;
        let inside = inside(inner).map_err(|why| refused(&why))?;
        Ok(Device { host, inside, access: access.to_owned() })
    }
}

/// `--ulimit NAME=SOFT[:HARD]`; `-1` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// As setrlimit(2) names it: `RLIMIT_NOFILE`.
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

const ULIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl FromStr for Ulimit {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Ulimit, Refused> {
        let refused =
            |why: String| format!("{text:?}: {why}; expected NAME=SOFT[:HARD], such as nofile=1024:2048");
        let (name, values) = text.split_once('=').ok_or_else(|| refused("no = in it".into()))?;
        if !ULIMITS.contains(&name) {
            return Err(refused(format!("there is no limit {name:?}, only {}", ULIMITS.join(", "))));
        }
        let number = |value: &str| match value {
            "-1" | "unlimited" => Ok(u64::MAX),
            _ => value.parse::<u64>().map_err(|_| refused(format!("{value:?} is no number"))),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (number(soft)?, number(hard)?);
        if soft > hard {
            return Err(refused("the soft limit is above the hard one".into()));
        }
        Ok(Ulimit { name: format!("RLIMIT_{}", name.to_ascii_uppercase()), soft, hard })
    }
}

/// `KEY=VALUE`, as `--sysctl` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair(pub String, pub String);

impl FromStr for Pair {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Pair, Refused> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Pair(key.to_owned(), value.to_owned())),
            _ => Err(format!("{text:?}: expected KEY=VALUE, such as net.core.somaxconn=1024")),
        }
    }
}

/// `--user USER[:GROUP]`. A name is looked up in the *container's* /etc/passwd, when its root is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    pub user: Id,
    pub group: Option<Id>,
}

/// A user or a group, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    Number(u32),
    Name(String),
}

impl FromStr for Id {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Id, Refused> {
        if text.chars().all(|c| c.is_ascii_digit())
            && let Ok(number) = text.parse::<u32>()
            && number < u32::MAX
        {
            return Ok(Id::Number(number));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.$".contains(c);
        match text.chars().next() {
            Some(first) if !first.is_ascii_digit() && text.chars().all(plain) => {
                Ok(Id::Name(text.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is neither a number below 4294967295 nor a name, such as 1000 or nginx"
            )),
        }
    }
}

impl FromStr for UserSpec {
    type Err = Refused;
    fn from_str(text: &str) -> Result<UserSpec, Refused> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group.parse()?)),
            None => (text, None),
        };
        Ok(UserSpec { user: user.parse()?, group })
    }
}

/// `--security-opt NAME[=VALUE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityOpt {
    NoNewPrivileges(bool),
    SeccompUnconfined,
    SeccompDefault,
    SeccompFile(PathBuf),
    Apparmor(String),
    SystempathsUnconfined,
    Label(String),
}

impl FromStr for SecurityOpt {
    type Err = Refused;
    fn from_str(text: &str) -> Result<SecurityOpt, Refused> {
        let (name, value) = match text.split_once(['=', ':']) {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        match (name, value) {
            ("no-new-privileges", None | Some("true")) => Ok(SecurityOpt::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(SecurityOpt::NoNewPrivileges(false)),
            ("seccomp", Some("unconfined")) => Ok(SecurityOpt::SeccompUnconfined),
            ("seccomp", Some("builtin")) => Ok(SecurityOpt::SeccompDefault),
            ("seccomp", Some(file)) if !file.is_empty() => Ok(SecurityOpt::SeccompFile(file.into())),
            ("apparmor", Some(profile)) if !profile.is_empty() => Ok(SecurityOpt::Apparmor(profile.into())),
            ("systempaths", Some("unconfined")) => Ok(SecurityOpt::SystempathsUnconfined),
            ("label", Some(label)) if !label.is_empty() => Ok(SecurityOpt::Label(label.into())),
            _ => Err(format!(
                "{text:?}: expected no-new-privileges[=true|false], seccomp=unconfined|builtin|FILE, \
                 apparmor=PROFILE, systempaths=unconfined or label=LABEL"
            )),
        }
    }
}

/// What a container, a volume or a host may be called: it becomes a file's name, so no `/` and no leading dot.
pub fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// `--name`.
pub fn name(text: &str) -> Result<String, Refused> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("{text:?} is no name: letters, digits, _ . and - only, a letter or digit first"))
        }
    }
}

/// `--hostname`: at most 64 bytes, as sethostname(2) takes it.
pub fn hostname(text: &str) -> Result<String, Refused> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    match !text.is_empty() && text.len() <= 64 && plain && !text.starts_with(['-', '.']) {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("{text:?} is no host name: 1 to 64 letters, digits, dots and dashes, such as web"))
        }
    }
}

/// A path inside the container: absolute, and never through `..`.
pub fn inside(path: &str) -> Result<PathBuf, Refused> {
    let parts: PathBuf = PathBuf::from(path).components().collect();
    if !path.starts_with('/') {
        Err(format!("{path:?} is not absolute"))
    } else if parts.components().any(|part| part == std::path::Component::ParentDir) || path.contains('\0') {
        Err(format!("{path:?} has .. in it"))
    } else {
        Ok(parts)
    }
}

/// Where something is mounted: below the root, which is a mount already.
fn mount_point(path: &str) -> Result<PathBuf, Refused> {
    match inside(path)? {
        root if root == Path::new("/") => Err("the root itself is given with --rootfs DIR".into()),
        path => Ok(path),
    }
}

/// `--workdir`.
pub fn workdir(text: &str) -> Result<PathBuf, Refused> {
    inside(text).map_err(|why| format!("{why}: expected an absolute path inside the container, such as /srv"))
}

/// `--privileged` is not there, and the refusal says what is.
pub fn privileged(_: &str) -> Result<bool, Refused> {
    Err("there is no --privileged: it is many things at once, and each can be asked for and watched by itself: \
         --cap-add ALL, --security-opt seccomp=unconfined, --security-opt systempaths=unconfined, --device …"
        .into())
}

#[cfg(test)]
#[path = "values_test.rs"]
mod test;
