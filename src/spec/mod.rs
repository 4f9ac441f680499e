//! What exactly is the container that is asked for? An OCI runtime `config.json` says it, whether it was
//! made here from Docker's defaults and the options, or read from a bundle.
//!
//! What the OCI specification has no field for (the layers, the veth pair, the init) stands beside it in
//! [`Container`]. Reading order: [`values`], [`options`], [`default()`]; `bundle` and `check` for what
//! others wrote; `mount` and `cgroup` for what a field means to the kernel. Next: `crate::plan`.

mod annotations;
pub mod bundle;
pub mod caps;
pub mod cgroup;
mod check;
mod container;
mod default;
mod devices;
mod env;
mod error;
pub mod fit;
pub mod ids;
mod json;
pub mod mount;
mod mounts;
pub mod options;
mod resources;
pub mod seccomp;
mod security;
pub mod sysctl;
pub mod users;
pub mod values;

pub use container::{Container, DockerFilter, Layers, Note, Store};
pub use default::default;
pub use error::Error;
pub use json::to_json;
pub use options::{Network, Options};
pub use values::{Id, UserSpec};

use std::io::Read;

/// A file that somebody named, which may be a device without an end. Docker's own config.json has 16 KiB.
fn read(file: &std::path::Path) -> std::io::Result<Vec<u8>> {
    const LIMIT: usize = 16 << 20;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > LIMIT {
        true => Err(std::io::Error::other("more than 16 MiB")),
        false => Ok(bytes),
    }
}
