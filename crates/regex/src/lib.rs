//! Why is there a crate of this name? oci-spec asks regex, with all of Unicode in it, whether `execCPUAffinity` is a list of
//! numbers: 600 kB of a program that may have 6 MiB. regex-lite, by the same authors, answers that as well.

pub use regex_lite::*;
