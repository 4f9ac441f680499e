//! Which stages are there, and in which order? One table; everything that a person sees of a stage comes
//! from here. To add one: its file, its line in the table, its lesson.
//!
//! Next: `image`, the first.

pub mod caps;
pub mod cgroup;
pub mod clone;
pub mod exec;
pub mod hostname;
pub mod image;
pub mod life;
pub mod limits;
pub mod mounts;
pub mod namespaces;
pub mod overlay;
pub mod pitfalls;
pub mod pivot_root;
pub mod seccomp;
pub mod userns;
pub mod veth;

use crate::stage::Stage;

/// Every stage, in the order in which a container lives through them. A plan leaves out those that the
/// container has no use for, and turns two of them round where the kernel wants it (`plan::order`).
pub static TABLE: [&Stage; 22] = [
    &image::STAGE,
    &userns::STAGE,
    &clone::STAGE,
    &namespaces::MNT,
    &namespaces::UTS,
    &namespaces::IPC,
    &namespaces::NET,
    &namespaces::PID,
    &cgroup::STAGE,
    &veth::STAGE,
    &overlay::STAGE,
    &mounts::STAGE,
    &pivot_root::STAGE,
    &hostname::STAGE,
    &limits::STAGE,
    &caps::STAGE,
    &seccomp::STAGE,
    &exec::STAGE,
    &life::FREEZE,
    &life::THAW,
    &life::STOP,
    &life::REMOVE,
];

/// The stage of this id.
pub fn find(id: &str) -> Option<&'static Stage> {
    TABLE.iter().copied().find(|stage| stage.id == id)
}
