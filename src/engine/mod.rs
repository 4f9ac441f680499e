//! Who walks the plan? The session, in the host's process: it makes host steps itself and sends child
//! steps to the process that becomes the container, which answers each.
//!
//! Reading order: [`wire`] (what the two say to each other), [`child`] (the process that becomes the
//! container), [`host`] (the host's steps), [`journal`] (what would have to be undone), `sent` (what is not answered
//! yet), [`session`].

pub mod child;
pub mod enter;
pub mod failure;
pub mod host;
pub mod ids;
pub mod journal;
pub mod look;
pub mod oom;
pub mod root;
mod sent;
pub mod session;
pub mod wire;
