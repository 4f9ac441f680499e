//! What refuses a name?
//!
//! Next: [`super::limits`].

use crate::kernel::Errno;
use crate::refusal::process::SYS_ADMIN;
use crate::stage::Pitfall;
use crate::step::Step;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "sethostname|setdomainname",
        Errno::EPERM,
        "the process has no UTS namespace of its own, and the host's name is not its to change",
        |s| s.has_own("uts").map(|own| !own),
        "--uts private",
    ),
    Pitfall::new(
        "sethostname|setdomainname",
        Errno::EPERM,
        "the process lacks CAP_SYS_ADMIN in the user namespace that owns its UTS namespace",
        |s| s.lacks_cap(SYS_ADMIN),
        "the name is set before the capabilities go: the stage hostname comes before caps",
    ),
    Pitfall::new(
        "sethostname|setdomainname",
        Errno::EINVAL,
        "the name is longer than 64 bytes, which is all that the kernel keeps",
        |s| {
            Some(
                matches!(s.step(), Step::SetHostname { name } | Step::SetDomainname { name } if name.len() > 64),
            )
        },
        "a shorter --hostname",
    ),
    Pitfall::new(
        "openat|write",
        Errno::ENOENT,
        "the stage image was left out: it makes the directory that hostname, hosts and resolv.conf are kept in",
        |s| Some(s.without("image")),
        "do not skip the stage image",
    ),
];
