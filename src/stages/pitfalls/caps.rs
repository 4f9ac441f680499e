//! What refuses a change of user, or of capabilities? capabilities(7), credentials(7).
//!
//! Next: [`super::seccomp`].

use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::refusal::process::SETPCAP;
use crate::stage::Pitfall;
use crate::step::Step;

const WHERE: &str = "give another --workdir, or make the directory in the image";

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "setresuid|setresgid|setgroups",
        Errno::EINVAL,
        "id {id} has no map in this user namespace: it is nobody there",
        |s| Some(s.unmapped_id().is_some()),
        "another --user; a range of ids for you: {range}",
    ),
    Pitfall::new(
        "setgroups",
        Errno::EPERM,
        "setgroups(2) was given up for this user namespace, as a map made without help demands (user_namespaces(7))",
        |s| s.setgroups_denied(),
        "leave out --group-add; or have ranges, so that newgidmap makes the map: {range}",
    ),
    Pitfall::new(
        "setgroups",
        Errno::EPERM,
        "the groups of this user namespace are not mapped yet",
        |s| s.proc("gid_map").map(|map| map.trim().is_empty()),
        "write gid_map first",
    ),
    Pitfall::new(
        "setresuid",
        Errno::EAGAIN,
        "that user has as many processes as RLIMIT_NPROC allows",
        |_| None,
        "`ulimit -u`; --ulimit nproc= with more",
    ),
    Pitfall::new(
        "prctl",
        Errno::EPERM,
        "the process lacks CAP_SETPCAP, without which nothing leaves the bounding set",
        |s| Some(matches!(s.step(), Step::DropBounding { .. }) && s.lacks_cap(SETPCAP)?),
        "start learnctr with CAP_SETPCAP: `capsh --print` shows what you have",
    ),
    Pitfall::new(
        "prctl",
        Errno::EPERM,
        "a capability becomes ambient only while it is permitted and inheritable, and SECBIT_NO_CAP_AMBIENT_RAISE is not set",
        |s| Some(matches!(s.step(), Step::Ambient { .. })),
        "process.capabilities.ambient of config.json: only what is in permitted and inheritable too",
    ),
    Pitfall::new(
        "capset",
        Errno::EPERM,
        "a capability was asked for that the process does not have: permitted can only be made less, inheritable grows only within the bounding set",
        more_than_permitted,
        "--cap-drop it; `capsh --print` shows what learnctr itself has",
    ),
    Pitfall::new(
        "capset",
        Errno::EPERM,
        "effective has to be a part of permitted, and inheritable of inheritable and permitted together",
        |s| if more_than_permitted(s) == Some(true) { Some(false) } else { None },
        "process.capabilities of config.json: effective within permitted",
    ),
    Pitfall::new(
        "chdir",
        Errno::EACCES,
        "the user that the container runs as may not enter {path}",
        |s| if matches!(s.step(), Step::WorkingDirectory { .. }) { None } else { Some(false) },
        WHERE,
    ),
    Pitfall::new(
        "chdir",
        Errno::ENOTDIR,
        "{path} is not a directory",
        |s| s.is_directory(&s.at_path()?).map(|is| !is),
        WHERE,
    ),
    Pitfall::new(
        "chdir",
        Errno::ENOENT,
        "learnctr itself refuses: the working directory is not below the root, and would be a way out (CVE-2024-21626)",
        |s| Some(matches!(s.step(), Step::WorkingDirectory { .. }) && s.call.is_none()),
        WHERE,
    ),
];

fn more_than_permitted(s: &Scene) -> Option<bool> {
    let Step::CapSet { sets } = s.step() else { return Some(false) };
    let has = |field: &str| u64::from_str_radix(&s.status(field)?, 16).ok();
    Some(sets.permitted & !has("CapPrm")? != 0 || sets.inheritable & !(has("CapInh")? | has("CapBnd")?) != 0)
}
