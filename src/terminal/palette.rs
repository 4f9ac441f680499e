//! Who does it? The host's process, the container's, or the kernel that answers both: three colours, and
//! always the word beside them, as colour alone tells nobody anything in a log.
//!
//! Next: `stage`, which is painted with them.

use crate::stage::Side;
use anstyle::{RgbColor, Style};

const fn rgb(red: u8, green: u8, blue: u8) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Rgb(RgbColor(red, green, blue))))
}

/// Readable on a dark and on a light background alike.
pub const HOST: Style = rgb(0x2f, 0x8f, 0xe6);
pub const CONTAINER: Style = rgb(0xd9, 0x6a, 0x0e);
pub const KERNEL: Style = rgb(0xa3, 0x71, 0xd6);
pub const DIM: Style = Style::new().dimmed();
pub const BOLD: Style = Style::new().bold();

pub fn side(side: Side) -> Style {
    match side {
        Side::Host => HOST,
        Side::Child => CONTAINER,
    }
}

/// The word for it; both have the same width.
pub fn word(side: Side) -> &'static str {
    match side {
        Side::Host => "host ",
        Side::Child => "child",
    }
}
