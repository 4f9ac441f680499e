//! What is wrong with a control group? Its own files say: cgroups(7).
//!
//! Next: [`super::words`].

use super::Scene;
use crate::step::Step;
use std::path::{Path, PathBuf};

fn read(dir: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(file)).ok().map(|text| text.trim().to_owned())
}

fn number(text: &str) -> Option<u64> {
    if text == "max" || text == "-1" { Some(u64::MAX) } else { text.parse().ok() }
}

impl Scene<'_> {
    /// The group's directory: that of the file which the step writes, or the one that it makes.
    pub fn group(&self) -> Option<PathBuf> {
        match self.step() {
            Step::Mkdir { path, .. }
            | Step::RemoveGroup { path }
            | Step::DeviceProgram { cgroup: path, .. } => Some(path.clone()),
            Step::Clone { cgroup, .. } => cgroup.clone(),
            _ => self.path()?.parent().map(Path::to_owned),
        }
    }

    /// The file of the group that the step writes, and what to it.
    pub fn group_file(&self) -> Option<(String, &str)> {
        let (path, text) = match self.step() {
            Step::Write { path, text } => (path.path(), text.as_str()),
            Step::WriteIfThere { path, text } => (path.as_path(), text.as_str()),
            Step::Inherit { path } => (path.as_path(), ""),
            _ => return None,
        };
        Some((path.file_name()?.to_string_lossy().into_owned(), text))
    }

    pub fn writes(&self, file: &str) -> bool {
        self.group_file().is_some_and(|(name, _)| name == file)
    }

    pub fn in_group(&self, file: &str) -> Option<String> {
        read(&self.group()?, file)
    }

    fn in_group_above(&self, file: &str) -> Option<String> {
        read(self.group()?.parent()?, file)
    }

    pub fn is_version2(&self) -> Option<bool> {
        Some(self.group()?.parent()?.join("cgroup.controllers").exists())
    }

    /// The controller of the file that is written: `memory` of `memory.max`.
    pub fn controller(&self) -> Option<String> {
        let (name, _) = self.group_file()?;
        name.split_once('.').map(|(controller, _)| controller.to_owned()).filter(|name| name != "cgroup")
    }

    /// Version 2: the group above has not enabled the controller that the file is of.
    pub fn is_not_enabled(&self) -> Option<bool> {
        let (controller, enabled) = (self.controller()?, self.in_group_above("cgroup.subtree_control")?);
        Some(!enabled.split_whitespace().any(|known| known == controller))
    }

    /// Version 2: what the step wants to enable is not to be had in that group.
    pub fn is_not_available(&self) -> Option<bool> {
        let (_, text) = self.group_file()?;
        let available = self.in_group("cgroup.controllers")?;
        let has = |name: &str| available.split_whitespace().any(|known| known == name);
        Some(text.split_whitespace().filter_map(|word| word.strip_prefix('+')).any(|name| !has(name)))
    }

    /// Processes are in the group.
    pub fn is_occupied(&self) -> Option<bool> {
        self.in_group("cgroup.procs").map(|procs| !procs.is_empty())
    }

    /// Version 2: the group has controllers enabled for those below it, so it takes no process itself.
    pub fn is_inner(&self) -> Option<bool> {
        self.in_group("cgroup.subtree_control").map(|enabled| !enabled.is_empty())
    }

    /// Version 2: threads of one process, not processes (`threaded`, `domain threaded`, `domain invalid`).
    pub fn is_threaded(&self) -> Option<bool> {
        self.in_group("cgroup.type").map(|kind| kind != "domain")
    }

    /// Version 1: a cpuset without processors or memory nodes takes no process.
    pub fn has_empty_cpuset(&self) -> Option<bool> {
        let group = self.group()?;
        Some(read(&group, "cpuset.cpus")?.is_empty() || read(&group, "cpuset.mems")?.is_empty())
    }

    /// More is in use than the limit that is to be set.
    pub fn uses_more(&self) -> Option<bool> {
        let limit = number(self.group_file()?.1)?;
        let used = self.in_group("memory.usage_in_bytes").or_else(|| self.in_group("memory.current"))?;
        Some(number(&used)? > limit)
    }

    /// Version 1: memory alone may never be more than memory and swap together, at no moment.
    pub fn is_more_than_with_swap(&self) -> Option<bool> {
        let (name, text) = self.group_file()?;
        let value = || number(text);
        match name.as_str() {
            "memory.limit_in_bytes" => {
                Some(value()? > number(&self.in_group("memory.memsw.limit_in_bytes")?)?)
            }
            "memory.memsw.limit_in_bytes" => {
                Some(value()? < number(&self.in_group("memory.limit_in_bytes")?)?)
            }
            _ => Some(false),
        }
    }

    /// A group above, or this one, has a limit on groups below it that is reached.
    pub fn is_full_of_groups(&self) -> Option<bool> {
        let group = self.group()?;
        let full = |dir: &Path| {
            let most = ["cgroup.max.descendants", "cgroup.max.depth"].map(|file| read(dir, file));
            let below = read(dir, "cgroup.stat")?;
            let count = number(below.lines().find_map(|line| line.strip_prefix("nr_descendants "))?)?;
            let [descendants, depth] = most;
            Some(count >= number(&descendants?)? || number(&depth?)? == 0)
        };
        Some(group.ancestors().skip(1).any(|dir| full(dir).unwrap_or(false)))
    }

    /// The group whose `pids.max` is reached by the process that wanted to fork.
    pub fn full_of_processes(&self) -> Option<PathBuf> {
        let memberships = self.proc("cgroup")?;
        let hierarchy = self.host.cgroup.controller("pids")?;
        let own = memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (kinds, path) = (fields.next()?, fields.next()?);
            let fits =
                if hierarchy.version == 2 { kinds.is_empty() } else { kinds.split(',').any(|k| k == "pids") };
            fits.then(|| path.to_owned())
        })?;
        let below = Path::new(&own).strip_prefix(&hierarchy.root).ok()?;
        let dir = hierarchy.mount.join(below);
        let full = |dir: &&Path| {
            let pair = (read(dir, "pids.current"), read(dir, "pids.max"));
            matches!(pair, (Some(now), Some(most)) if number(&now) >= number(&most) && number(&now).is_some())
        };
        dir.ancestors().take_while(|dir| dir.starts_with(&hierarchy.mount)).find(full).map(Path::to_owned)
    }
}
