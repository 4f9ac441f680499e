//! Which signals wait, are blocked, ignored or caught? The masks of /proc/PID/status, decoded (signal(7)).

use super::status::Status;
use crate::kernel::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Signals {
    pub pending: Vec<String>,
    pub blocked: Vec<String>,
    pub ignored: Vec<String>,
    pub caught: Vec<String>,
}

pub fn parse(status: &Status) -> Result<Signals, Errno> {
    let one = |line| status.mask(line).map(names);
    Ok(Signals {
        pending: names(status.mask("SigPnd")? | status.mask("ShdPnd")?),
        blocked: one("SigBlk")?,
        ignored: one("SigIgn")?,
        caught: one("SigCgt")?,
    })
}

/// The order is that of x86 and ARM; all architectures that learnctr is built for share it.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Bit 0 is signal 1. Real-time signals are named as kill(1) counts them, from the kernel's first, 32.
pub fn names(mask: u64) -> Vec<String> {
    let name = |bit: usize| match NAMES.get(bit) {
        Some(name) => (*name).to_owned(),
        None => format!("SIG{}", bit + 1),
    };
    (0..64).filter(|bit| mask & (1 << bit) != 0).map(name).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn bit_0_is_signal_1_and_real_time_signals_have_their_number() {
        assert_eq!(super::names(0x1), ["SIGHUP"]);
        assert_eq!(super::names(0x0000_0001_8001_4000), ["SIGTERM", "SIGCHLD", "SIG32", "SIG33"]);
        assert_eq!(super::names(u64::MAX).len(), 64);
    }
}
