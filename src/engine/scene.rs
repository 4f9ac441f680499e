//! Why was a step refused? The pitfalls of its stage are gone through, and each is tested against the scene:
//! what the kernel says of the process, its mounts and its privileges at this moment.
//!
//! Next: `session`, which asks when a step is refused.

use crate::host::Host;
use crate::kernel::Errno;
use crate::kernel::call::Call;
use crate::stage::{Pitfall, Stage};
use crate::step::Step;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// What can be looked at when a step was refused.
pub struct Scene<'a> {
    pub host: &'a Host,
    /// The process that becomes the container, if there is one yet.
    pub pid: Option<i32>,
    pub step: &'a Step,
    pub errno: Errno,
}

/// Why a step was refused, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// The step that was refused, in strace's grammar.
    pub step: String,
    /// The last call of it, which was refused.
    pub call: Option<Call>,
    pub errno: Errno,
    /// What is known to be the cause, or what remains possible.
    pub causes: Vec<Cause>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub cause: String,
    /// It was looked up and is so; otherwise it is a candidate.
    pub found: bool,
    /// What to do next.
    pub mend: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.call {
            Some(call) => write!(f, "{call}")?,
            None => write!(f, "{} = -1 {}", self.step, self.errno)?,
        }
        for cause in &self.causes {
            let label = if cause.found { "cause" } else { "candidate" };
            write!(f, "\n  {label}: {}\n  next: {}", cause.cause, cause.mend)?;
        }
        Ok(())
    }
}

/// Find the causes of a refusal: one that is found so excludes those that are merely possible.
pub fn diagnose(stage: &Stage, scene: &Scene, call: Option<Call>) -> Diagnosis {
    let name = call.as_ref().map(|call| call.name.clone());
    let fits = |pitfall: &&Pitfall| {
        pitfall.errno == scene.errno && name.as_deref().is_none_or(|name| name == pitfall.call)
    };
    let all = stage.pitfalls.iter().chain(crate::stages::pitfalls::COMMON).filter(fits);
    let tested: Vec<(Option<bool>, &Pitfall)> = all.map(|pitfall| ((pitfall.test)(scene), pitfall)).collect();
    let found = tested.iter().any(|(test, _)| *test == Some(true));
    let causes = tested
        .into_iter()
        .filter(|(test, _)| if found { *test == Some(true) } else { test.is_none() })
        .map(|(test, pitfall)| Cause {
            cause: pitfall.cause.to_owned(),
            found: test == Some(true),
            mend: pitfall.mend.to_owned(),
        })
        .collect();
    let mut diagnosis = Diagnosis { step: scene.step.to_string(), call, errno: scene.errno, causes };
    if diagnosis.causes.is_empty() {
        diagnosis.causes.push(Cause {
            cause: format!("{}, in a way that this stage does not know", scene.errno.text()),
            found: false,
            mend: "`learnctr doctor` says what this kernel, machine and user allow".to_owned(),
        });
    }
    diagnosis
}

impl Scene<'_> {
    /// A file of the process in /proc.
    fn proc(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.pid?)).ok()
    }

    /// A field of /proc/PID/status.
    pub fn status(&self, field: &str) -> Option<String> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    /// Whether the process has a capability in its effective set.
    pub fn has_cap(&self, number: u32) -> Option<bool> {
        let set = u64::from_str_radix(&self.status("CapEff")?, 16).ok()?;
        Some(set >> number & 1 == 1)
    }

    /// Whether the process is in another user namespace than this one.
    pub fn in_own_user_namespace(&self) -> Option<bool> {
        let link = |pid: String| std::fs::read_link(format!("/proc/{pid}/ns/user")).ok();
        Some(link(self.pid?.to_string())? != link("self".to_owned())?)
    }

    /// The line of mountinfo for a mount point, as the process has it: the uppermost one.
    fn mount_line(&self, path: &Path) -> Option<Option<String>> {
        let info = self.proc("mountinfo")?;
        let wanted = path.to_string_lossy();
        let line = info.lines().rev().find(|line| line.split(' ').nth(4) == Some(&wanted));
        Some(line.map(str::to_owned))
    }

    pub fn is_mount_point(&self, path: &Path) -> Option<bool> {
        self.mount_line(path).map(|line| line.is_some())
    }

    /// Whether the mount that holds this path is shared.
    pub fn is_shared(&self, path: &Path) -> Option<bool> {
        let line = path.ancestors().find_map(|above| self.mount_line(above)?)?;
        let fields = line.split(" - ").next()?;
        Some(fields.split(' ').skip(6).any(|field| field.starts_with("shared:")))
    }

    /// The file system that holds this path of the host's.
    pub fn fstype(&self, path: &Path) -> Option<String> {
        let line = path.ancestors().find_map(|above| self.mount_line(above)?)?;
        line.split(" - ").nth(1)?.split(' ').next().map(str::to_owned)
    }

    /// The path that the step is about, if it has one.
    pub fn path(&self) -> Option<PathBuf> {
        match self.step {
            Step::Mount { target, .. } | Step::MountAttr { target, .. } => Some(target.path().to_owned()),
            Step::Mkdir { path, .. } | Step::Create { path, .. } | Step::OpenRoot { path } => {
                Some(path.clone())
            }
            Step::Write { path, .. } | Step::Mask { path } | Step::ReadOnly { path } => {
                Some(path.path().to_owned())
            }
            _ => None,
        }
    }
}
