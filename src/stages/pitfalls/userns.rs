//! What refuses a user namespace, or a map of it?
//!
//! Next: [`super::clone`].

use crate::host::Privilege;
use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::stage::Pitfall;
use crate::step::{Range, Step};

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "unshare",
        Errno::EPERM,
        "the sysctl kernel.unprivileged_userns_clone is 0: only root may make user namespaces (Debian)",
        |s| {
            Some(
                !s.host.is_privileged() && s.host.sysctls.get("kernel.unprivileged_userns_clone") == Some(&0),
            )
        },
        "{sudo}sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    Pitfall::new(
        "setns",
        Errno::EINVAL,
        "{path} is no user namespace, or the one that you are in already, which cannot be entered again",
        |_| Some(true),
        "take it out of linux.namespaces: what is not named there is shared",
    ),
    Pitfall::new("unshare", Errno::EPERM, APPARMOR, apparmor, UNRESTRICT),
    Pitfall::new("unshare", Errno::EACCES, APPARMOR, apparmor, UNRESTRICT),
    Pitfall::new(
        "unshare",
        Errno::EPERM,
        "learnctr was started in a chroot(2), where the kernel refuses user namespaces (unshare(2))",
        |s| s.chrooted(),
        "start it outside, or with a root that is a mount point: `unshare -m` and pivot_root in place of chroot",
    ),
    Pitfall::new(
        "unshare",
        Errno::EPERM,
        "{user} has no number in the user namespace that learnctr is in (unshare(2))",
        |s| {
            Some(
                s.is_mapped("uid_map", s.host.uid) == Some(false)
                    || s.is_mapped("gid_map", s.host.gid) == Some(false),
            )
        },
        "`cat /proc/self/uid_map`: start it as one of these users",
    ),
    Pitfall::new(
        "unshare",
        Errno::ENOSPC,
        "the sysctl {limit} is 0: no namespace of that kind may be made",
        |s| Some(s.forbidden_by_limit()),
        "{sudo}sysctl -w {limit}=15000",
    ),
    Pitfall::new(
        "unshare",
        Errno::ENOSPC,
        "as many user namespaces as {limit} allows are there already, here or in an outer user namespace; or 33 are nested",
        |s| if s.forbidden_by_limit() { Some(false) } else { None },
        "`lsns -t user` shows them; {sudo}sysctl -w {limit}=15000",
    ),
    Pitfall::new(
        "unshare",
        Errno::EINVAL,
        "this kernel, {kernel}, was built without user namespaces (CONFIG_USER_NS)",
        |_| Some(!std::path::Path::new("/proc/self/ns/user").exists()),
        "another kernel; as root, --userns host does without",
    ),
    Pitfall::new(
        "execve",
        Errno::EPERM,
        "the range to be mapped was not given to {user} in /etc/subuid and /etc/subgid",
        not_granted,
        "{range}",
    ),
    Pitfall::new(
        "execve",
        Errno::EPERM,
        "newuidmap or newgidmap has neither its set-user-ID bit nor file capabilities, so it may do no more than you",
        |s| Some(helper_privilege(s) == Some(Privilege::None)),
        "{sudo}chmod u+s $(command -v newuidmap newgidmap)",
    ),
    Pitfall::new(
        "execve",
        Errno::EPERM,
        "no_new_privs is set for learnctr (NoNewPrivs: 1 in /proc/self/status), so newuidmap gets no privilege by its set-user-ID bit",
        |s| Some(s.host.no_new_privs),
        "start learnctr outside of the sandbox that set it; inside, a single id is all that can be mapped",
    ),
    Pitfall::new(
        "execve",
        Errno::EPERM,
        "newuidmap or newgidmap said why on standard error, just above; AppArmor and a mount with nosuid refuse it too",
        |_| None,
        "`newuidmap 1 0 0 1` by hand, `findmnt -no OPTIONS -T $(command -v newuidmap)`",
    ),
    Pitfall::new("write|openat", Errno::EPERM, APPARMOR, apparmor, UNRESTRICT),
    Pitfall::new(
        "write",
        Errno::EPERM,
        "the ids to be mapped are not there in the user namespace that learnctr is in",
        outside_not_here,
        "`cat /proc/self/uid_map` shows which ids are: an inner container gets no more than the outer one has",
    ),
    Pitfall::new(
        "write",
        Errno::EPERM,
        "uid 0 outside may be mapped only by one who had CAP_SETFCAP when the namespace was made (Linux 5.12)",
        |s| Some(maps_zero(s) && s.host.caps.effective >> 31 & 1 == 0),
        "inside another container, give that one the capability: `--cap-add SETFCAP`",
    ),
    Pitfall::new(
        "write",
        Errno::EPERM,
        "a map can be written once, and this process has one already",
        |s| s.has_map(),
        "nothing to do but to find who else wrote it: `cat /proc/PID/uid_map`",
    ),
    Pitfall::new(
        "write",
        Errno::EPERM,
        "without CAP_SETUID and CAP_SETGID outside, only the own id may be mapped, and a group only after setgroups is denied",
        |s| Some(s.host.caps.effective >> 6 & 3 != 3 && more_than_own(s)),
        "let newuidmap do it: {range}",
    ),
    Pitfall::new(
        "write",
        Errno::EINVAL,
        "two ranges of the map overlap, or one is empty or ends beyond the last id",
        |s| Some(overlaps(s)),
        "correct linux.uidMappings and linux.gidMappings: each inside, outside, count",
    ),
    Pitfall::new(
        "setresuid|setresgid",
        Errno::EINVAL,
        "id {id} is not in the map of this user namespace",
        |s| Some(s.unmapped_id().is_some()),
        "map it: the first range of linux.uidMappings and gidMappings has to begin with 0",
    ),
];

const APPARMOR: &str = "AppArmor restricts user namespaces of programs without a profile of their own (kernel.apparmor_restrict_unprivileged_userns is 1, Ubuntu)";
const UNRESTRICT: &str = "{sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile for learnctr that allows userns";

/// A mount that is refused in a user namespace, whichever stage makes it.
pub(super) const APPARMOR_MOUNT: Pitfall = Pitfall::new(
    "mount",
    Errno::EPERM,
    "AppArmor gives no capabilities in a user namespace to programs without a profile of their own (Ubuntu)",
    apparmor,
    "{sudo}sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
);

pub(super) fn apparmor(s: &Scene) -> Option<bool> {
    let restricted = s.host.sysctls.get("kernel.apparmor_restrict_unprivileged_userns");
    Some(!s.host.is_privileged() && restricted.is_some_and(|value| *value != 0))
}

fn ranges<'a>(s: &'a Scene) -> &'a [Range] {
    match s.step() {
        Step::MapIds { ranges, .. } => ranges,
        _ => &[],
    }
}

fn is_of_groups(s: &Scene) -> bool {
    matches!(s.step(), Step::MapIds { file, .. } if file.ends_with("gid_map"))
}

fn helper_privilege(s: &Scene) -> Option<Privilege> {
    let helper = if is_of_groups(s) { &s.host.newgidmap } else { &s.host.newuidmap };
    helper.as_ref().map(|helper| helper.privilege)
}

/// A range with more than the own id, of which /etc/subuid has nothing.
fn not_granted(s: &Scene) -> Option<bool> {
    let (own, granted) =
        if is_of_groups(s) { (s.host.gid, &s.host.subgid) } else { (s.host.uid, &s.host.subuid) };
    let holds = |range: &Range| {
        let end = |start: u32, count: u32| u64::from(start) + u64::from(count);
        granted
            .iter()
            .any(|g| range.outside >= g.start && end(range.outside, range.count) <= end(g.start, g.count))
    };
    Some(ranges(s).iter().any(|range| !(holds(range) || range.count == 1 && range.outside == own)))
}

fn outside_not_here(s: &Scene) -> Option<bool> {
    let maps = if is_of_groups(s) { &s.host.user_namespace.gid_map } else { &s.host.user_namespace.uid_map };
    let end = |start: u32, count: u32| u64::from(start) + u64::from(count);
    let here = |range: &Range| {
        maps.iter()
            .any(|m| range.outside >= m.inside && end(range.outside, range.count) <= end(m.inside, m.count))
    };
    Some(!ranges(s).is_empty() && !ranges(s).iter().all(here))
}

fn maps_zero(s: &Scene) -> bool {
    !is_of_groups(s) && ranges(s).iter().any(|range| range.outside == 0)
}

fn more_than_own(s: &Scene) -> bool {
    let own = if is_of_groups(s) { s.host.gid } else { s.host.uid };
    !matches!(ranges(s), [Range { outside, count: 1, .. }] if *outside == own)
}

fn overlaps(s: &Scene) -> bool {
    let ranges = ranges(s);
    let bad = |r: &Range| {
        r.count == 0 || r.inside.checked_add(r.count).is_none() || r.outside.checked_add(r.count).is_none()
    };
    let meet = |a: u32, b: u32, n: u32, m: u32| {
        u64::from(a) < u64::from(b) + u64::from(m) && u64::from(b) < u64::from(a) + u64::from(n)
    };
    ranges.iter().any(bad)
        || ranges.iter().enumerate().any(|(at, a)| {
            ranges.iter().skip(at + 1).any(|b| {
                meet(a.inside, b.inside, a.count, b.count) || meet(a.outside, b.outside, a.count, b.count)
            })
        })
}

impl Scene<'_> {
    /// A limit of namespaces is 0.
    pub(super) fn forbidden_by_limit(&self) -> bool {
        self.namespace_limit(self.namespace_flags()).is_some_and(|(_, limit)| limit == 0)
    }

    fn has_map(&self) -> Option<bool> {
        let file = if is_of_groups(self) { "gid_map" } else { "uid_map" };
        let map = std::fs::read_to_string(format!("/proc/{}/{file}", self.pid?)).ok()?;
        Some(!map.trim().is_empty())
    }
}
