//! Which file systems can be mounted, and can the root be changed? In a mount namespace that is thrown away.
//!
//! Next: [`super::network`].

use super::case::Case;
use super::{Answer, Finding};
use crate::kernel::Errno;
use crate::kernel::attempt::{self, Flag};
use crate::kernel::trial::{Trial, trial};
use std::path::Path;

const SAFE: [Flag; 3] = [attempt::MS_NOSUID, attempt::MS_NODEV, attempt::MS_NOEXEC];

fn mount(kind: &str, flags: &[Flag], data: &str) -> Result<(), Errno> {
    attempt::mount(Path::new(kind), Path::new("root"), kind, flags, data)
}

pub fn tmpfs(case: &Case) -> Finding {
    Finding::of(case.try_mounting(|| mount("tmpfs", &SAFE, "mode=755")), "mounted")
}

/// proc is that of the PID namespace of the one who mounts it: it must be a child.
pub fn proc(case: &Case) -> Finding {
    let trial = case.try_mounting(|| {
        attempt::unshare(&[attempt::CLONE_NEWPID])?;
        trial(|| mount("proc", &SAFE, "")).adopt()
    });
    Finding::of(trial, "mounted")
}

pub fn sysfs(case: &Case) -> Finding {
    let trial = case.try_mounting(|| {
        attempt::unshare(&[attempt::CLONE_NEWNET])?;
        // Read-only, as the container has it: in a sandbox whose own is, nothing else is allowed.
        let [a, b, c] = SAFE;
        mount("sysfs", &[attempt::MS_RDONLY, a, b, c], "")
    });
    Finding::of(trial, "mounted")
}

pub fn mqueue(case: &Case) -> Finding {
    let trial = case.try_mounting(|| {
        attempt::unshare(&[attempt::CLONE_NEWIPC])?;
        mount("mqueue", &SAFE, "")
    });
    Finding::of(trial, "mounted")
}

pub fn devpts(case: &Case) -> Finding {
    let flags = [attempt::MS_NOSUID, attempt::MS_NOEXEC];
    let trial = case.try_mounting(|| {
        mount("devpts", &flags, "newinstance,ptmxmode=0666,mode=0620")?;
        attempt::pseudo_terminal(Path::new("root/ptmx"))
    });
    Finding::of(trial, "mounted, and a pty opened in it")
}

/// Mount layers that lie in the working directory, and see that a write goes up and not down.
fn layers(options: &str) -> Result<(), Errno> {
    let data = format!("lowerdir=lower,upperdir=upper,workdir=work{options}");
    attempt::mount(Path::new("overlay"), Path::new("merged"), "overlay", &[], &data)?;
    // Several trials share the layers, so each writes a name of its own.
    let name = std::process::id().to_string();
    attempt::mkdir(&Path::new("merged").join(&name))?;
    let went_up = Path::new("upper").join(&name).is_dir() && !Path::new("lower").join(&name).exists();
    if went_up { Ok(()) } else { Err(Errno::EIO) }
}

pub fn overlay(case: &Case) -> Finding {
    let options = if case.privileged { "" } else { ",userxattr" };
    let trial = case.try_mounting(|| layers(options));
    let place = case.scratch.as_ref().map(|scratch| scratch.dir.clone()).unwrap_or_default();
    let place = place.parent().unwrap_or(Path::new("/")).display().to_string();
    Finding::of(trial, format!("mounted and written to, in {place}"))
}

pub fn overlay_tmpfs(case: &Case) -> Finding {
    let options = if case.privileged { "" } else { ",userxattr" };
    let trial = case.try_mounting(|| {
        mount("tmpfs", &SAFE, "mode=755")?;
        attempt::chdir(Path::new("root"))?;
        for name in ["lower", "upper", "work", "merged"] {
            attempt::mkdir(Path::new(name))?;
        }
        layers(options)
    });
    Finding::of(trial, "mounted and written to")
}

pub fn overlay_userns(case: &Case) -> Finding {
    if !case.privileged {
        return Finding::new(Answer::NotAsked, "an ordinary user's overlay is in one already: see overlay");
    }
    let Ok(scratch) = &case.scratch else { return Finding::of(no_place(case), "") };
    let trial = trial(|| {
        attempt::user_namespace(case.host.uid, case.host.gid)?;
        attempt::private_mounts()?;
        attempt::chdir(&scratch.dir)?;
        layers(",userxattr")
    });
    Finding::of(trial, "mounted and written to, with userxattr")
}

fn no_place(case: &Case) -> Trial {
    Trial::refused(case.scratch.as_ref().err().copied().unwrap_or(Errno::EACCES))
}

pub fn pivot_root(case: &Case) -> Finding {
    let trial = case.try_mounting(|| {
        mount("tmpfs", &SAFE, "mode=755")?;
        attempt::pivot_root(Path::new("root"))
    });
    Finding::of(trial, "done, and the old root let go")
}

pub fn mknod(case: &Case) -> Finding {
    let trial = case.try_mounting(|| {
        mount("tmpfs", &[attempt::MS_NOSUID], "mode=755")?;
        attempt::null_device(Path::new("root/null"))
    });
    let finding = Finding::of(trial, "made, and written to");
    match case.privileged && case.host.user_namespace.initial {
        true => finding,
        false => finding
            .or(Answer::Limited, "refused in a user namespace; the host's are bind-mounted")
            .because("mknod(2) asks for CAP_MKNOD in the machine's first user namespace", None),
    }
}

pub fn pseudo_terminal(_: &Case) -> Finding {
    Finding::of(trial(|| attempt::pseudo_terminal(Path::new("/dev/ptmx"))), "opened")
}
