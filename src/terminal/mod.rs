//! What does a person see in a terminal? Pure functions from data and a width to text with styles; [`print`] obeys
//! NO_COLOR and leaves the styles out of a pipe.

mod changes;
pub mod diff;
mod group;
pub mod inside;
pub mod palette;
pub mod plan;
pub mod prompt;
pub mod report;
pub mod show;
pub mod stage;
pub mod text;
pub mod view;

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use std::borrow::Cow;
use std::io::Write;

/// To standard output in one write(2); without styles where nobody can see them.
pub fn print(text: &str) -> std::io::Result<()> {
    let out = std::io::stdout();
    // What is long has mostly none, as JSON: to look for the first is quick, to strip them is not.
    let plain = text.contains('\x1b') && AutoStream::choice(&out) == ColorChoice::Never;
    let text = if plain { Cow::Owned(strip_str(text).to_string()) } else { Cow::Borrowed(text) };
    let mut out = out.lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// The columns to use: what COLUMNS says where there is no terminal, and no more than a person reads.
pub fn width() -> usize {
    crate::kernel::ident::columns().min(500)
}
