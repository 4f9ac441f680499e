//! What does a number of the kernel's mean? Sets of capabilities and flags, the namespaces of a process,
//! the filters that it runs under.
//!
//! Next: `flags`, `ns`, `seccomp`; `crate::cli::decode` prints them.

pub mod filter;
pub mod flags;
pub mod ns;
pub mod seccomp;
