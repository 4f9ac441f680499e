//! How does an ordinary user remove files that belong to other ids of the range? In a user namespace that
//! maps the range: there, root may.
//!
//! Next: `session`.

use crate::kernel::Errno;
use std::path::Path;
use std::process::{Command, Stdio};

/// Remove a tree as root of a new user namespace with this user's whole range.
pub fn remove_in_user_namespace(path: &Path) -> Result<(), Errno> {
    let host = crate::host::Host::look();
    let (Some(uids), Some(gids)) = (host.newuidmap.as_ref(), host.newgidmap.as_ref()) else {
        return Err(Errno::EPERM);
    };
    let (channel, theirs) = crate::kernel::channel::Channel::pair()?;
    let pid = crate::kernel::spawn::spawn(&theirs, &crate::kernel::spawn::Stdio3::Aside)?;
    drop(theirs);
    let ask = |steps: Vec<crate::step::Step>| -> Result<(), Errno> {
        use super::wire::{Answers, Batch, Outcome};
        use crate::kernel::channel::Received;
        channel.send(&Batch { listen: false, first: 0, steps }, &[])?;
        let Received::Message(answers, _) = channel.receive::<Answers>()? else { return Err(Errno::ESRCH) };
        match answers.answers.last().map(|answer| &answer.outcome) {
            Some(Outcome::Refused(errno)) => Err(*errno),
            _ => Ok(()),
        }
    };
    let map = |helper: &Path, own: u32, ranges: &[crate::host::IdRange]| -> Result<(), Errno> {
        let mut args = [pid, 0, own as i32, 1].iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut inside = 1;
        for range in ranges {
            args.extend([inside, range.start, range.count].map(|n| n.to_string()));
            inside += range.count;
        }
        let status = Command::new(helper).args(args).stdin(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(Errno::EPERM) }
    };
    use crate::step::Step;
    let done = ask(vec![Step::Unshare { flags: crate::kernel::libc_flags::CLONE_NEWUSER as u64 }])
        .and_then(|()| map(&uids.path, host.uid, &host.subuid))
        .and_then(|()| map(&gids.path, host.gid, &host.subgid))
        .and_then(|()| {
            ask(vec![
                Step::SetResGid { gid: 0 },
                Step::SetResUid { uid: 0 },
                Step::RemoveTree { path: path.to_owned() },
            ])
        });
    drop(channel);
    let _ = crate::kernel::process::wait(pid, true);
    done
}
