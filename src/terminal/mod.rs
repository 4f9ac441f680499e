//! What does a person see in a terminal? Pure functions from data and a width to text with styles; whoever
//! prints it with `anstream` obeys NO_COLOR and leaves the styles out of a pipe.

pub mod diff;
pub mod text;
pub mod view;

/// The columns to use: those of the terminal, or of COLUMNS, or 80.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    crate::kernel::terminal::columns().or(asked).unwrap_or(80).min(500)
}
