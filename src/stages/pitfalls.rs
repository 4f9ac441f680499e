//! What can go wrong at any stage? Causes that are not of one stage alone.
//!
//! Next: each stage's own.

use crate::kernel::Errno;
use crate::stage::Pitfall;

/// A root without some of root's capabilities: inside another container, or under a service manager.
pub const COMMON: &[Pitfall] = &[];

#[allow(dead_code, reason = "used as soon as the first is written")]
const UNUSED: Errno = Errno::EPERM;
