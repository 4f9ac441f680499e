//! What is looked at after a stage? The container's process; and before there is one, this process, which is
//! what a container's differs from.
//!
//! Next: `session`.

use crate::kernel::process;
use crate::probes::{Reading, small::OpenFiles};
use crate::view::{self, KernelView};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The kernel's view of the container's process; before there is one, of ours.
pub fn look(container: Option<i32>) -> Option<KernelView> {
    match container {
        Some(pid) => view::take(pid).ok(),
        None => regular(),
    }
}

/// What a container's process is compared with: this process, which is in none. What belongs to whoever called us
/// is left out, as a trace is passed on.
pub fn regular() -> Option<KernelView> {
    let mut ours = view::take(process::pid()).ok()?;
    let outside = &mut ours.outside;
    outside.environment = left_out("/proc/PID/environ", BTreeMap::new());
    outside.command_line = left_out("/proc/PID/cmdline", Vec::new());
    outside.open_files = left_out("/proc/PID/fd", OpenFiles::default());
    Some(ours)
}

fn left_out<T>(file: &str, nothing: T) -> Reading<T> {
    Reading::new(format!("{file}, not recorded: it is its caller's"), Ok(nothing))
}

/// A server under an emulator takes most of it; what ends sooner, or sleeps, ends the waiting.
const SETTLED: Duration = Duration::from_secs(1);

/// Let a new program come to itself, so that what is seen of it is not its loader, and a SIGTERM finds the
/// handler that it sets up: until it sleeps; one that never does is not waited for longer than this.
pub fn settle(pid: i32, mut has_ended: impl FnMut() -> bool) {
    let until = Instant::now() + SETTLED;
    while Instant::now() < until {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if has_ended() || stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
