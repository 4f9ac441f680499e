//! Are the layers still what the host would give? The manifest beside them says what they were made of;
//! a file of the host that has another size or time since makes them outdated.
//!
//! Next: `crate::app`.

use super::contents::{PROGRAM, find_tool};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Raised when manifests of before can no longer be believed.
const FORMAT: u32 = 1;

/// What the layers were made of.
#[derive(Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The directory of each layer, the lowest first.
    pub layers: Vec<String>,
    /// This very program is one of them: another version may put other things into the layers.
    sources: Vec<Source>,
    /// Tools that the host did not have.
    missing: Vec<String>,
    /// Tools that could not be taken, and why.
    refused: Vec<(PathBuf, String)>,
}

/// A file of the host as it was: path, size, and time of its last change in nanoseconds.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Hash)]
pub struct Source(PathBuf, u64, i64);

impl Source {
    pub fn of(path: &Path) -> std::io::Result<Source> {
        let now = fs::metadata(path)?;
        let nanoseconds = now.mtime().wrapping_mul(1_000_000_000).wrapping_add(now.mtime_nsec());
        Ok(Source(path.to_owned(), now.len(), nanoseconds))
    }

    fn is_current(&self) -> bool {
        Source::of(&self.0).is_ok_and(|now| now == *self)
    }
}

impl Manifest {
    pub fn new(
        layers: Vec<String>,
        sources: Vec<Source>,
        missing: Vec<String>,
        refused: Vec<(PathBuf, String)>,
    ) -> Manifest {
        Manifest { format: FORMAT, layers, sources, missing, refused }
    }
}

/// What is recorded of the layers in this directory; none where there is nothing that can be read.
pub fn read(image: &Path) -> Option<Manifest> {
    let text = fs::read(image.join("manifest.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Every source is as it was, no missing tool has come, and the layers are there.
pub fn is_current(image: &Path) -> bool {
    let Some(manifest) = read(image) else { return false };
    manifest.format == FORMAT
        && super::LAYERS.iter().all(|layer| image.join(layer).is_dir())
        && !manifest.refused.iter().any(|(path, _)| path == Path::new(PROGRAM))
        && manifest.sources.iter().all(Source::is_current)
        && !manifest.missing.iter().any(|tool| find_tool(tool).is_some())
}
