//! Did the kernel end something of the container because its memory limit was reached? Its group counts them.
//!
//! Next: `session`, whose end takes the group away.

use crate::plan::Plan;
use crate::step::Step;
use std::path::Path;

/// What the kernel's OOM killer did, in words; none where it did nothing, or nothing counts it.
pub fn told(plan: &Plan) -> Option<String> {
    let undos = plan.stages.iter().flat_map(|planned| &planned.moves).filter_map(|one| one.undo.as_ref());
    let groups = undos.filter_map(|undo| match undo {
        Step::RemoveGroup { path } => Some(path),
        _ => None,
    });
    let (file, count) = groups.filter_map(|group| kills(group)).max_by_key(|(_, count)| *count)?;
    let processes = if count == 1 { "a process".to_owned() } else { format!("{count} processes") };
    Some(format!(
        "its memory limit was reached, and the kernel's OOM killer ended {processes} of it (oom_kill in {file}); \
         --memory SIZE sets another limit"
    ))
}

/// cgroups version 2, and version 1 since Linux 4.13.
fn kills(group: &Path) -> Option<(&'static str, u64)> {
    ["memory.events", "memory.oom_control"].into_iter().find_map(|file| {
        let text = std::fs::read_to_string(group.join(file)).ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())?;
        Some((file, count)).filter(|(_, count)| *count > 0)
    })
}
