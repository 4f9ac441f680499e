//! Why was a step refused? The pitfalls of its stage are gone through, and each is tested against the scene. Then those of
//! no one stage: privilege, an outer container's filter, a path that leads nowhere, a full disk.
//!
//! Next: each stage's own, a file a stage.

pub mod caps;
pub mod cgroup;
pub mod clone;
pub mod exec;
pub mod hostname;
pub mod image;
pub mod life;
pub mod limits;
pub mod mounts;
pub mod overlay;
pub mod pivot_root;
pub mod seccomp;
#[cfg(test)]
mod tests;
pub mod userns;
pub mod veth;

use crate::kernel::Errno;
use crate::kernel::call::heard;
use crate::refusal::files::Obstacle;
use crate::refusal::{Cause, Diagnosis, Scene};
use crate::stage::{Pitfall, Stage};

/// Find the causes of a refusal: one that is found so excludes those that are merely possible.
pub fn diagnose(stage: &Stage, scene: &Scene) -> Diagnosis {
    let name = scene.call_name();
    let named = |pitfall: &Pitfall| pitfall.call.split('|').any(|call| call == "*" || call == name);
    let test = |table: &'static [Pitfall]| {
        let fits = |pitfall: &&Pitfall| pitfall.errno == scene.errno && named(pitfall);
        table.iter().filter(fits).map(|pitfall| ((pitfall.test)(scene), pitfall)).collect::<Vec<_>>()
    };
    let is_found = |tested: &[(Option<bool>, &Pitfall)]| tested.iter().any(|(test, _)| *test == Some(true));
    // What the stage itself knows says more than what is so at any stage.
    let mut tested = test(stage.pitfalls);
    if !is_found(&tested) {
        tested.extend(test(COMMON));
    }
    let found = is_found(&tested);
    let mut causes: Vec<Cause> = tested
        .into_iter()
        .filter(|(test, _)| if found { *test == Some(true) } else { test.is_none() })
        .map(|(test, pitfall)| Cause {
            cause: scene.say(pitfall.cause),
            found: test == Some(true),
            mend: scene.say(pitfall.mend),
        })
        .collect();
    if causes.is_empty() {
        let why = scene.errno.text().to_lowercase();
        causes.push(Cause {
            cause: scene.say(&format!("none of those that this stage knows: {why}, of {{path}}")),
            found: false,
            mend: format!(
                "`man 2 {name}` has under ERRORS when {} is given; `learnctr doctor` says what this machine allows",
                scene.errno.name()
            ),
        });
    }
    // The looking made calls of its own, which are no step's.
    heard();
    Diagnosis { step: scene.step().to_string(), call: scene.call.clone(), errno: scene.errno, causes }
}

const OUTSIDE: &str = "run learnctr outside of it, or start the outer container with `--security-opt seccomp=unconfined \
                       --cap-add SYS_ADMIN` (Docker, podman)";

pub const COMMON: &[Pitfall] = &[
    Pitfall::new(
        "*",
        Errno::EPERM,
        "the process lacks {cap}, which {call} asks for: CapEff in /proc/self/status shows what it has",
        |s| Some(s.missing_cap().is_some()),
        "start learnctr as root; inside another container, give that one the capability (`--cap-add`, Docker and podman)",
    ),
    Pitfall::new("*", Errno::EPERM, OUTER_FILTER, |s| s.outer_filter(), OUTSIDE),
    Pitfall::new("*", Errno::EACCES, OUTER_FILTER, |s| s.outer_filter(), OUTSIDE),
    Pitfall::new("*", Errno::ENOSYS, OUTER_FILTER, |s| s.outer_filter(), OUTSIDE),
    Pitfall::new(
        "*",
        Errno::ENOSYS,
        "this kernel, {kernel}, is older than {call}",
        |s| Some(s.is_older_than_call()),
        "`learnctr doctor` says what this kernel lacks; learnctr needs Linux 5.6 at least",
    ),
    Pitfall::new(
        "*",
        Errno::ENOSYS,
        "{call} was left out when this kernel, {kernel}, was built, or a sandbox around us hides it",
        |s| if s.is_older_than_call() || s.host.seccomp_filtered { Some(false) } else { None },
        "`learnctr doctor` says what this kernel lacks",
    ),
    Pitfall::new("*", Errno::EPERM, OWN_FILTER, |s| s.own_filter_refuses(), ALLOW_IT),
    Pitfall::new("*", Errno::EACCES, OWN_FILTER, |s| s.own_filter_refuses(), ALLOW_IT),
    Pitfall::new("*", Errno::ENOSYS, OWN_FILTER, |s| s.own_filter_refuses(), ALLOW_IT),
    Pitfall::new("*", Errno::EPERM, CONFINED, |s| s.is_confined(), LOOK_IN_LOG),
    Pitfall::new("*", Errno::EACCES, CONFINED, |s| s.is_confined(), LOOK_IN_LOG),
    Pitfall::new(
        "*",
        Errno::ENOENT,
        "{obstacle}",
        |s| s.has_obstacle(is_missing),
        "`ls -l` of the directory above it shows what is there",
    ),
    Pitfall::new(
        "*",
        Errno::ENOTDIR,
        "{obstacle}",
        |s| s.has_obstacle(|o| matches!(o, Obstacle::File(_))),
        "remove the file or give another path; in an image, look how its layer makes it",
    ),
    Pitfall::new(
        "*",
        Errno::ELOOP,
        "{obstacle}",
        |s| s.has_obstacle(|o| matches!(o, Obstacle::Loop(_))),
        "`ls -l` shows where it leads; magic links of procfs are never followed here, as they lead out of the root",
    ),
    Pitfall::new(
        "openat2",
        Errno::ELOOP,
        "a link on the way to {path} is a magic link of procfs, which are never followed as they lead out of the root, or goes in a circle",
        |s| if s.has_obstacle(|o| matches!(o, Obstacle::Loop(_))) == Some(true) { Some(false) } else { None },
        "give the path that it leads to",
    ),
    Pitfall::new(
        "*",
        Errno::EACCES,
        "{obstacle}",
        |s| s.has_obstacle(|o| matches!(o, Obstacle::Closed(..))),
        "`chmod o+x` of that directory lets others pass through; or keep the containers elsewhere: LEARNCTR_DATA=/srv/learnctr",
    ),
    Pitfall::new(
        "*",
        Errno::ENOSPC,
        "no space or no inode is left on the file system of {nearest}",
        |s| s.is_full(),
        FREE_SPACE,
    ),
    Pitfall::new(
        "*",
        Errno::EDQUOT,
        "{user} may take no more of the file system of {nearest}: a quota",
        |_| None,
        FREE_SPACE,
    ),
    Pitfall::new(
        "*",
        Errno::EROFS,
        "{nearest} is on a file system that is mounted read-only",
        |s| {
            s.is_read_only().map(|ro| {
                ro || s.nearest().is_some_and(|dir| crate::kernel::ident::writable(&dir) == Err(Errno::EROFS))
            })
        },
        "`findmnt -T {nearest}` shows the mount; keep the containers elsewhere: LEARNCTR_DATA=DIR",
    ),
    Pitfall::new(
        "*",
        Errno::ENAMETOOLONG,
        "a name in {path} is longer than 255 bytes, or the path longer than 4095",
        |_| Some(true),
        "give a shorter one",
    ),
    Pitfall::new(
        "*",
        Errno::EMFILE,
        "no more files may be opened: `ulimit -n` of learnctr's, or --ulimit nofile, is the limit",
        |_| Some(true),
        "`ulimit -n 1024`, or a higher --ulimit nofile, then again",
    ),
    Pitfall::new(
        "*",
        Errno::ENOMEM,
        "the machine, or the control group that learnctr is in, has no memory left",
        |_| None,
        "`free -m`, and memory.max or memory.limit_in_bytes of its group (/proc/self/cgroup)",
    ),
    Pitfall::new(
        "*",
        Errno::EAGAIN,
        "{full} holds as many processes as its pids.max allows",
        |s| Some(s.full_of_processes().is_some()),
        "raise pids.max there, or end something in it",
    ),
    Pitfall::new(
        "clone|clone3|execve",
        Errno::EAGAIN,
        "{user} has as many processes as RLIMIT_NPROC allows, or the machine as kernel.threads-max",
        |s| if s.full_of_processes().is_some() { Some(false) } else { None },
        "`ulimit -u`, `sysctl kernel.threads-max kernel.pid_max`",
    ),
];

const OUTER_FILTER: &str = "a seccomp filter is on learnctr already (Seccomp: 2 in /proc/self/status), that of an outer \
                            container or sandbox, and may answer {call} with {errno}";
const OWN_FILTER: &str = "the container's own seccomp filter, which is loaded already, refuses {call} with {errno}: \
                          without no_new_privs it comes before the capabilities go";
const ALLOW_IT: &str =
    "allow {call} in the profile, or give --security-opt no-new-privileges, with which the filter comes last";
const CONFINED: &str = "the security module may refuse it to {label}, as which learnctr runs";
const LOOK_IN_LOG: &str = "`dmesg | grep -i denied` or `ausearch -m avc` has the refusal, if it was that; an outer container is \
                           freed by `--security-opt apparmor=unconfined` or `label=disable` (Docker, podman)";
const FREE_SPACE: &str =
    "`df -h {nearest}; df -i {nearest}`; keep the containers elsewhere: LEARNCTR_DATA=DIR";

fn is_missing(obstacle: &Obstacle) -> bool {
    matches!(obstacle, Obstacle::Missing(_) | Obstacle::Dangling(..))
}

/// The Linux that brought a call, where a supported kernel may be older.
const BROUGHT: [(&str, (u32, u32)); 5] = [
    ("openat2", (5, 6)),
    ("close_range", (5, 9)),
    ("mount_setattr", (5, 12)),
    ("clone3", (5, 3)),
    ("open_tree", (5, 2)),
];

impl Scene<'_> {
    fn is_older_than_call(&self) -> bool {
        let name = self.call_name();
        BROUGHT.iter().any(|(call, (version, patch))| *call == name && !self.host.at_least(*version, *patch))
    }

    /// A security module has a say about us: whether it was the one cannot be read here.
    fn is_confined(&self) -> Option<bool> {
        let confined = self.host.lsm.label.as_ref().is_some_and(|label| !label.starts_with("unconfined"));
        if confined { None } else { Some(false) }
    }
}
