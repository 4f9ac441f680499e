//! What refuses layers and directories? Who owns the place, and what is there already.
//!
//! Next: [`super::userns`].

use crate::kernel::Errno;
use crate::stage::Pitfall;

pub const ALL: &[Pitfall] = &[
    Pitfall::new(
        "mkdirat|mkdir|openat|open|write",
        Errno::EACCES,
        "{nearest} belongs to somebody else, and {user} may not make anything in it",
        |s| s.not_ours(),
        "keep the containers where you may write: LEARNCTR_DATA=$HOME/.local/share/learnctr learnctr …",
    ),
    Pitfall::new(
        "mkdirat",
        Errno::EEXIST,
        "a container of this name has its directory there already: {path}",
        |s| s.path().map(|path| path.exists()),
        "give another --name; if no such container lives, `learnctr run` without --name and remove the directory",
    ),
    Pitfall::new(
        "lchown|chown",
        Errno::EPERM,
        "learnctr is root of a user namespace that does not map the owner to be",
        |s| s.in_user_namespace(),
        "`cat /proc/self/uid_map` shows the ids that can be given; --userns host keeps your own",
    ),
    Pitfall::new(
        "lchown|chown",
        Errno::EINVAL,
        "the owner to be has no number in the user namespace that learnctr is in",
        |s| s.in_user_namespace(),
        "`cat /proc/self/uid_map` shows the ids that can be given; --userns host keeps your own",
    ),
];
