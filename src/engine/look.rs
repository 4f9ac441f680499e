//! What is looked at after a stage? The container's process; and before there is one, this process, which is
//! what a container's differs from.
//!
//! Next: `session`.

use crate::kernel::process;
use crate::probes::Answer;
use crate::view::{self, KernelView};
use std::time::{Duration, Instant};

/// The kernel's view of the container's process; of ours without what is in our environment: it belongs to
/// whoever called us, and a trace is passed on.
pub fn look(container: Option<i32>) -> Option<KernelView> {
    if let Some(pid) = container {
        return view::take(pid).ok();
    }
    let mut ours = view::take(process::pid()).ok()?;
    if let Answer::Value(variables) = &mut ours.outside.environment.answer {
        variables.values_mut().for_each(|value| "(not recorded)".clone_into(value));
    }
    Some(ours)
}

/// Let a new program come to itself, so that what is seen of it is not its loader, and a SIGTERM finds the
/// handler that it sets up: until it sleeps, and not for long.
pub fn settle(pid: i32, mut has_ended: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_millis(100);
    while Instant::now() < until {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if has_ended() || stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
