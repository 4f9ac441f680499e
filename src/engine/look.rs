//! What is looked at after a stage? The container's process; and before there is one, this process, which is
//! what a container's differs from.
//!
//! Next: `session`.

use crate::kernel::process;
use crate::probes::Answer;
use crate::view::{self, KernelView};

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
