//! Who asks, and from where? What all questions share: the host, whether trials need a user namespace, and
//! a directory to try things in.
//!
//! Next: [`super::questions`].

use super::mend::Distribution;
use crate::host::Host;
use crate::kernel::attempt;
use crate::kernel::trial::{End, Trial, trial};
use crate::kernel::{Errno, ident};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub struct Case<'a> {
    pub host: &'a Host,
    pub distribution: Distribution,
    /// We have CAP_SYS_ADMIN where we are, so no user namespace is needed first.
    pub privileged: bool,
    /// We could make a user namespace and are root in it; asked once, and for the unprivileged only.
    pub user_namespace: bool,
    pub outer_container: Option<String>,
    /// On the file system that images are kept on.
    pub scratch: Result<Scratch, Errno>,
}

impl<'a> Case<'a> {
    pub fn new(host: &'a Host) -> Case<'a> {
        let privileged = host.is_privileged();
        let enter = || attempt::user_namespace(host.uid, host.gid).and_then(|()| attempt::private_mounts());
        Case {
            host,
            distribution: Distribution::look(),
            privileged,
            user_namespace: privileged || trial(enter).end == End::Done,
            outer_container: outer_container(host),
            scratch: Scratch::make(&host.dirs.data),
        }
    }

    /// For tests: nothing is looked at or made.
    #[cfg(test)]
    pub fn made_up(host: &'a Host) -> Case<'a> {
        Case {
            host,
            distribution: Distribution::default(),
            privileged: false,
            user_namespace: false,
            outer_container: None,
            scratch: Err(Errno::ENOENT),
        }
    }

    /// Try something with the privilege that the container's builder has: ours, or that of root in a user
    /// namespace of our own.
    pub fn try_inside(&self, attempt: impl FnOnce() -> Result<(), Errno>) -> Trial {
        trial(|| self.enter().and_then(|()| attempt()))
    }

    /// The same, and with mounts that nobody else sees, in the scratch directory.
    pub fn try_mounting(&self, attempt: impl FnOnce() -> Result<(), Errno>) -> Trial {
        let scratch = match &self.scratch {
            Ok(scratch) => &scratch.dir,
            Err(errno) => return Trial::refused(*errno),
        };
        self.try_inside(|| {
            attempt::private_mounts()?;
            attempt::chdir(scratch)?;
            attempt()
        })
    }

    fn enter(&self) -> Result<(), Errno> {
        if self.privileged { Ok(()) } else { attempt::user_namespace(self.host.uid, self.host.gid) }
    }

    /// We run in a directory that chroot(2) made our root: then "/" is not where a mount is.
    pub fn chrooted(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        !mounts.is_empty() && !mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"))
    }
}

/// What shows that this is a container of Docker, podman or their like.
fn outer_container(host: &Host) -> Option<String> {
    let files = ["/.dockerenv", "/run/.containerenv"];
    let file = files.into_iter().find(|file| Path::new(file).exists()).map(|file| format!("{file} exists"));
    let filter = host.seccomp_filtered.then(|| "a seccomp filter is on us already".to_owned());
    let namespace = (!host.user_namespace.initial).then(|| "we are in a user namespace already".to_owned());
    file.or(namespace).or(filter)
}

/// A directory of our own for trials, with `lower`, `upper`, `work`, `merged` and `root` in it; removed
/// with its contents.
pub struct Scratch {
    pub dir: PathBuf,
}

const NAME: &str = ".learnctr-doctor-";

impl Scratch {
    fn make(data: &Path) -> Result<Scratch, Errno> {
        let existing = data.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/tmp"));
        let place = [existing, Path::new("/tmp")].into_iter().find(|dir| ident::writable(dir).is_ok());
        let place = place.ok_or(Errno::EACCES)?;
        left_behind(place, NAME, remove);
        let scratch = Scratch { dir: place.join(format!("{NAME}{}", std::process::id())) };
        let mut maker = std::fs::DirBuilder::new();
        // The trial as another user (nobody) has to get in.
        maker.mode(0o755).create(&scratch.dir)?;
        for name in ["lower", "upper", "work", "merged", "root"] {
            maker.create(scratch.dir.join(name))?;
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// What a doctor that was killed left in `place`: named with the number of no process, and not of just now,
/// since a process of another PID namespace has no number here.
pub fn left_behind(place: &Path, name: &str, remove: impl Fn(&Path)) {
    const MINUTE: Duration = Duration::from_secs(60);
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let pid = file.to_str().and_then(|file| file.strip_prefix(name)?.parse::<u32>().ok());
        let dead = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        let made = entry.metadata().and_then(|entry| entry.modified()).ok();
        if dead && made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > MINUTE) {
            remove(&entry.path());
        }
    }
}

/// overlayfs makes directories that not even their owner may enter, until told otherwise.
fn remove(dir: &Path) {
    for inner in ["work/work", "work/index"] {
        _ = std::fs::set_permissions(dir.join(inner), std::fs::Permissions::from_mode(0o700));
    }
    _ = std::fs::remove_dir_all(dir);
}
