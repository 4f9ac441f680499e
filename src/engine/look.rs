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

/// So many of them are looked at to see whether they are at rest.
const MOST: usize = 64;

/// Let a new program come to itself, so that what is seen of it is not its loader, and a SIGTERM finds the
/// handler that it sets up: until it and those that it has forked sleep, and nothing of them has changed since the
/// look before, as one that was just forked still has its parent's name. What never rests is not waited for longer.
pub fn settle(pid: i32, mut has_ended: impl FnMut() -> bool) {
    let until = Instant::now() + SETTLED;
    let mut before = Vec::new();
    while Instant::now() < until && !has_ended() {
        let mut now = Vec::new();
        stats(pid, &mut now);
        // Asleep, or dead and not waited for.
        let rests = |stat: &String| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['S', 'Z']));
        if !now.is_empty() && now.iter().all(rests) && now == before {
            break;
        }
        before = now;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What /proc/PID/stat says of a process and of its descendants.
fn stats(pid: i32, found: &mut Vec<String>) {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return };
    found.push(stat);
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for thread in threads.flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|number| number.parse().ok()) {
            if found.len() < MOST {
                stats(child, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn who_was_just_forked_is_waited_for_too() {
        let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 60";
        let mut shell = Command::new("sh").args(["-c", &format!("({busy}) & wait")]).spawn().unwrap();
        settle(shell.id() as i32, || false);
        let mut found = Vec::new();
        stats(shell.id() as i32, &mut found);
        let child = found.get(1).and_then(|stat| stat.split(' ').next()?.parse().ok());
        let _ = child.map(|pid| process::kill(pid, crate::kernel::libc_flags::SIGKILL));
        let _ = shell.wait();
        assert!(found.get(1).is_some_and(|stat| stat.contains("(sleep)")), "{found:?}");
    }
}
