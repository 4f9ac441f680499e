//! What refuses interfaces, addresses and routes? The kernel's answers to rtnetlink(7) requests.
//!
//! Next: [`super::overlay`].

use crate::kernel::Errno;
use crate::refusal::Scene;
use crate::refusal::process::NET_ADMIN;
use crate::stage::Pitfall;
use crate::step::{Link, Step};
use std::path::Path;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "*",
        Errno::EOPNOTSUPP,
        "this kernel has no veth interfaces, or its module is not loaded",
        |s| Some(matches!(s.step(), Step::Link(Link::AddVeth { .. }))),
        "{sudo}modprobe veth; --network none does without",
    ),
    Pitfall::new(
        "*",
        Errno::EEXIST,
        "an interface, address or route of that name is there already: somebody made it since it was looked up",
        |s| s.link_exists(),
        "run it again, as names and addresses are then chosen anew; `ip -br link` shows what there is",
    ),
    Pitfall::new(
        "*",
        Errno::ENODEV,
        "the interface is not there any more: it goes when the network namespace of its other end goes, or somebody removed it",
        |s| s.link_exists().map(|is| !is),
        "run it again; `ip -br link` shows what there is",
    ),
    Pitfall::new(
        "*",
        Errno::ENODEV,
        "the interface is not there: an earlier step of this stage should have made or moved it",
        |s| if s.link_exists().is_some() { Some(false) } else { None },
        "`ip -br link` shows what there is",
    ),
    Pitfall::new(
        "*",
        Errno::ENETUNREACH,
        "the gateway is not in the network of an interface that is up: eth0 has no address yet, or is down",
        |_| Some(true),
        "the address comes before the route, and eth0 has to be up for it",
    ),
    Pitfall::new(
        "*",
        Errno::EPERM,
        "CAP_NET_ADMIN is needed in the user namespace that owns the network namespace, and that is the host's",
        |s| Some(s.lacks_cap(NET_ADMIN)? || s.in_user_namespace()?),
        "as root, or --network none",
    ),
    Pitfall::new(
        "*",
        Errno::ESRCH,
        "the process whose network namespace was meant has ended",
        |s| Some(s.pid.is_none_or(|pid| !Path::new(&format!("/proc/{pid}")).exists())),
        "`dmesg | tail`: was it killed?",
    ),
    Pitfall::new(
        "*",
        Errno::EBUSY,
        "an interface that is up cannot be renamed (before Linux 6.2)",
        |s| Some(matches!(s.step(), Step::Link(Link::Rename { .. }))),
        "take it down first: ip link set NAME down",
    ),
    Pitfall::new(
        "socket",
        Errno(97),
        "this kernel, {kernel}, has no netlink sockets, or a sandbox around us forbids them",
        |_| None,
        "--network none does without",
    ),
];

impl Scene<'_> {
    /// Whether the interface that a host's step names is there; inside it cannot be seen from here.
    fn link_exists(&self) -> Option<bool> {
        let Step::Link(link) = self.step() else { return None };
        if self.one.side == crate::stage::Side::Child {
            return None;
        }
        let name = match link {
            Link::AddVeth { name, .. } | Link::Delete { name } | Link::MoveToPid { name } => name,
            Link::Rename { name, .. } | Link::Address { name, .. } | Link::Up { name } => name,
            Link::DefaultRoute { .. } => return None,
        };
        let list = std::fs::read_to_string("/proc/self/net/dev").ok()?;
        Some(list.lines().any(|line| line.trim_start().split(':').next() == Some(name)))
    }
}
