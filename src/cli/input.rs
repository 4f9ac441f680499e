//! What did somebody name, a file or `-`? It may be a device without an end: no more is read than such a file can have.
//!
//! Next: [`super::serve`], [`super::export`] and [`super::diff`], which read a trace or a view.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::path::Path;

/// A recorded run is some MB; one of a machine with very many mounts and processes has them in each of some twenty views.
pub const TRACE: u64 = 256 << 20;

/// What an error calls it.
pub fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    }
}

/// All of a file, or of standard input for `-`; an error when it has more than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match path.to_str() {
        Some("-") => std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes)?,
        _ => File::open(path)?.take(most + 1).read_to_end(&mut bytes)?,
    };
    match bytes.len() as u64 > most {
        true => Err(Error::other(format!("more than {} MiB", most >> 20))),
        false => Ok(bytes),
    }
}
