//! Which descriptions contradict themselves, or the kernel? The rules of the OCI specification and of runc's
//! validator that the types alone do not hold, one function a subject.
//!
//! Next: `crate::plan`, which may rely on them.

mod ids;
mod linux;

use super::mount;
use super::{Error, Note};
use oci_spec::runtime::{LinuxNamespaceType, Mount, Process, Spec};
use std::path::{Component, Path};

/// Versions of the specification that are understood: 1.0 to 1.3; minor versions only add fields.
const VERSIONS: [&str; 4] = ["1.0.", "1.1.", "1.2.", "1.3."];

/// A description seen by the checks: where its faults are reported, and which namespaces it has.
pub struct Checked<'a> {
    file: &'a str,
    spec: &'a Spec,
}

impl Checked<'_> {
    /// A fault; `path` is its place in the JSON.
    fn fault<T>(&self, path: &str, found: impl std::fmt::Display, expected: &str) -> Result<T, Error> {
        Err(Error::new(format!("{}: {path}", self.file), format!("found {found}"), expected))
    }

    fn has(&self, kind: LinuxNamespaceType) -> bool {
        self.namespace(kind).is_some()
    }

    fn namespace(&self, kind: LinuxNamespaceType) -> Option<&oci_spec::runtime::LinuxNamespace> {
        let all = self.spec.linux().as_ref()?.namespaces().as_ref()?;
        all.iter().find(|namespace| namespace.typ() == kind)
    }

    fn no_nul(&self, path: &str, text: &str) -> Result<(), Error> {
        match text.contains('\0') {
            true => self.fault(path, format!("{text:?}"), "no NUL in it: the kernel's strings end there"),
            false => Ok(()),
        }
    }

    /// An absolute path, as nearly all in the description must be.
    fn absolute(&self, path: &str, found: &Path) -> Result<(), Error> {
        self.no_nul(path, &found.to_string_lossy())?;
        match found.is_absolute() {
            true => Ok(()),
            false => self.fault(path, format!("{found:?}"), "an absolute path, such as /srv"),
        }
    }
}

/// Hold a description against the rules; what other runtimes only warn of is a note.
pub fn check(spec: &Spec, file: &str, notes: &mut Vec<Note>) -> Result<(), Error> {
    let checked = Checked { file, spec };
    let version = spec.version();
    if !VERSIONS.iter().any(|known| version.starts_with(known)) {
        return checked.fault("ociVersion", format!("{version:?}"), "1.0.x to 1.3.x, such as 1.2.0");
    }
    let Some(linux) = spec.linux() else {
        return checked.fault("linux", "nothing", "the Linux part, with namespaces");
    };
    match spec.root() {
        None => return checked.fault("root", "nothing", r#"the root file system, {"path": "rootfs"}"#),
        Some(root) if root.path().as_os_str().is_empty() => {
            return checked.fault(
                "root.path",
                r#""""#,
                r#"a directory, relative to the bundle, such as "rootfs""#,
            );
        }
        Some(root) => checked.no_nul("root.path", &root.path().to_string_lossy())?,
    }
    match spec.process() {
        None => return checked.fault("process", "nothing", "the process to run, with args and cwd"),
        Some(process) => check_process(&checked, process, notes)?,
    }
    for (name, path) in [(spec.hostname(), "hostname"), (spec.domainname(), "domainname")] {
        if let Some(name) = name.as_ref().filter(|name| !name.is_empty()) {
            checked.no_nul(path, name)?;
            if name.len() > 64 {
                return checked.fault(
                    path,
                    format!("{} bytes", name.len()),
                    "64 bytes at most (sethostname(2))",
                );
            }
            if !checked.has(LinuxNamespaceType::Uts) {
                let expected = "a uts namespace in linux.namespaces too: else the name would be the host's";
                return checked.fault(path, format!("{name:?}"), expected);
            }
        }
    }
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        check_mount(&checked, &format!("mounts[{index}]"), mount, notes)?;
    }
    linux::check(&checked, linux, notes)
}

fn check_process(checked: &Checked, process: &Process, notes: &mut Vec<Note>) -> Result<(), Error> {
    let none = Vec::new();
    let args = process.args().as_ref().unwrap_or(&none);
    if args.first().is_none_or(String::is_empty) {
        return checked.fault("process.args", format!("{args:?}"), r#"a command, such as ["sh"]"#);
    }
    for (index, arg) in args.iter().enumerate() {
        checked.no_nul(&format!("process.args[{index}]"), arg)?;
    }
    checked.absolute("process.cwd", process.cwd())?;
    for (index, variable) in process.env().iter().flatten().enumerate() {
        let path = format!("process.env[{index}]");
        checked.no_nul(&path, variable)?;
        if variable.find('=').is_none_or(|at| at == 0) {
            return checked.fault(&path, format!("{variable:?}"), r#"NAME=VALUE, such as "TERM=xterm""#);
        }
    }
    let mut seen = Vec::new();
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let path = format!("process.rlimits[{index}]");
        if limit.soft() > limit.hard() {
            let found = format!("soft {} above hard {}", limit.soft(), limit.hard());
            return checked.fault(&path, found, "a soft limit that is not above the hard one");
        }
        if seen.contains(&limit.typ()) {
            return checked.fault(&path, format!("{} a second time", limit.typ()), "each limit once");
        }
        seen.push(limit.typ());
    }
    if let Some(score) = process.oom_score_adj().filter(|score| !(-1000..=1000).contains(score)) {
        return checked.fault("process.oomScoreAdj", score, "-1000 to 1000");
    }
    if let Some(mask) = process.user().umask().filter(|mask| *mask > 0o777) {
        return checked.fault("process.user.umask", mask, "0 to 511 (0777)");
    }
    let Some(capabilities) = process.capabilities() else { return Ok(()) };
    let empty = Default::default();
    let permitted = capabilities.permitted().as_ref().unwrap_or(&empty);
    let inheritable = capabilities.inheritable().as_ref().unwrap_or(&empty);
    let extra = |set: &Option<oci_spec::runtime::Capabilities>, within: &oci_spec::runtime::Capabilities| {
        let mut names: Vec<_> =
            set.iter().flatten().filter(|cap| !within.contains(cap)).map(|c| format!("CAP_{c}")).collect();
        names.sort();
        (!names.is_empty()).then(|| names.join(" "))
    };
    if let Some(names) = extra(capabilities.effective(), permitted) {
        let expected = "only those that are permitted too: capset(2) refuses others with EPERM";
        return checked.fault("process.capabilities.effective", names, expected);
    }
    let both = permitted.intersection(inheritable).copied().collect();
    if let Some(names) = extra(capabilities.ambient(), &both) {
        let text = format!(
            "process.capabilities.ambient: {names} cannot be raised, not being permitted and inheritable"
        );
        notes.push(Note::new("caps", text));
    }
    Ok(())
}

fn check_mount(checked: &Checked, path: &str, mount: &Mount, notes: &mut Vec<Note>) -> Result<(), Error> {
    let destination = mount.destination();
    checked.absolute(&format!("{path}.destination"), destination)?;
    if destination.components().any(|part| part == Component::ParentDir) {
        return checked.fault(
            &format!("{path}.destination"),
            format!("{destination:?}"),
            "a path without ..",
        );
    }
    let none = Vec::new();
    let options = mount.options().as_ref().unwrap_or(&none);
    for (index, option) in options.iter().enumerate() {
        checked.no_nul(&format!("{path}.options[{index}]"), option)?;
    }
    let parsed = mount::parse(options);
    let kind = mount.typ().as_deref().unwrap_or("");
    checked.no_nul(&format!("{path}.type"), kind)?;
    let source =
        mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()).unwrap_or_default();
    checked.no_nul(&format!("{path}.source"), &source)?;
    let bind = parsed.is_bind() || kind == "bind";
    if bind && source.is_empty() {
        return checked.fault(&format!("{path}.source"), "nothing", "what to bind, such as /srv");
    }
    if !bind && kind.is_empty() && parsed.flags & mount::MS_REMOUNT == 0 {
        return checked.fault(
            &format!("{path}.type"),
            "nothing",
            r#"a file system, such as "tmpfs", or the option bind"#,
        );
    }
    let maps = [("uidMappings", mount.uid_mappings()), ("gidMappings", mount.gid_mappings())];
    let both = maps.iter().filter(|(_, map)| map.as_ref().is_some_and(|map| !map.is_empty())).count();
    if both == 1 {
        return checked.fault(path, "one of uidMappings and gidMappings", "both or neither");
    }
    let mapped = both == 2 || parsed.idmap.is_some();
    if mapped && !bind {
        return checked.fault(
            path,
            format!("ids mapped on a {kind}"),
            "the option bind: only bind mounts are ID-mapped",
        );
    }
    if mapped && both == 0 && !checked.has(LinuxNamespaceType::User) {
        let expected = "uidMappings and gidMappings, or a user namespace whose maps are taken";
        return checked.fault(path, "idmap without maps", expected);
    }
    for (name, map) in maps {
        if let Some(map) = map {
            ids::check(checked, &format!("{path}.{name}"), map)?;
        }
    }
    if mapped {
        let expected =
            "none: learnctr makes no ID-mapped mounts, and owners inside would be others than asked for";
        return checked.fault(path, format!("ids mapped on {}", destination.display()), expected);
    }
    let mut lost = |what: &str| {
        notes.push(Note::new("mounts", format!("{path} ({}): {what}", destination.display())));
    };
    if parsed.tmpcopyup {
        lost("tmpcopyup is not obeyed: the tmpfs begins empty, the image's files stay below it");
    }
    if bind && !parsed.data.is_empty() {
        lost(&format!("{:?} is of no meaning to a bind mount, and ignored", parsed.data.join(",")));
    }
    Ok(())
}
