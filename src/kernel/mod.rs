//! Which kernel calls does learnctr make? All of them are here, and so is every `unsafe` block: nothing
//! outside this folder names `libc`, `nix` or `unsafe` (tests/house.rs holds that).
//!
//! Next: `crate::engine`, which decides when they are made.
#![allow(unsafe_code)]

pub mod attempt;
pub mod bpf;
pub mod call;
pub mod devices;
pub mod dir;
mod errno;
pub mod fork;
pub mod ident;
mod inside;
pub mod join;
pub mod lock;
pub mod net;
mod netread;
pub mod parts;
pub mod ptrace;
pub mod seccomp;
pub mod trial;

pub use errno::Errno;
