//! Are the younger system calls there? Made in a child, so that its descriptors go with it.
//!
//! Next: [`super::table`].

use super::Finding;
use super::case::Case;
use crate::kernel::Errno;
use crate::kernel::attempt::modern;
use crate::kernel::trial::trial;

fn there(attempt: impl FnOnce() -> Result<(), Errno>) -> Finding {
    Finding::of(trial(attempt), "there")
}

pub fn openat2(_: &Case) -> Finding {
    there(modern::openat2)
}

pub fn close_range(_: &Case) -> Finding {
    there(modern::close_range)
}

pub fn clone3(_: &Case) -> Finding {
    there(|| modern::clone3(None))
}

pub fn pidfd(_: &Case) -> Finding {
    there(modern::pidfd)
}

pub fn memfd(_: &Case) -> Finding {
    there(modern::sealed_memfd)
}

pub fn detached_mount(case: &Case) -> Finding {
    Finding::of(case.try_mounting(modern::detached_mount), "there")
}
