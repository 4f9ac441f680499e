//! How is a line printed when nobody can take it? A full disk or a reader who has gone is no reason to panic,
//! as `println!` does, in the middle of a container: what was lost becomes the exit status.
//!
//! Next: the commands, which print with [`say`] and [`tell`].

use std::fmt::Arguments;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

static LOST: AtomicBool = AtomicBool::new(false);

/// A line to standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::out::line(&mut anstream::stdout(), format_args!($($words)*)) };
}
/// A line to standard error.
macro_rules! tell {
    ($($words:tt)*) => { $crate::cli::out::line(&mut anstream::stderr(), format_args!($($words)*)) };
}
pub(crate) use {say, tell};

pub fn line(to: &mut dyn Write, words: Arguments) {
    match writeln!(to, "{words}") {
        // A reader who has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => LOST.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// Whether something that was printed could not be written.
pub fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}
