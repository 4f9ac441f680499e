//! How wide is the terminal? (TIOCGWINSZ, ioctl_tty(2))

/// The columns of standard output; None when it is no terminal.
pub fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
