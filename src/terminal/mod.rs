//! What does a person see in a terminal? Pure functions from data and a width to text with styles; whoever
//! prints it with `anstream` obeys NO_COLOR and leaves the styles out of a pipe.

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

/// The columns to use: what COLUMNS says where there is no terminal, and no more than a person reads.
pub fn width() -> usize {
    crate::kernel::ident::columns().min(500)
}
