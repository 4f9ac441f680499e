//! What is wrong with a description? Where it is wrong, what stands there, and what should.
//!
//! Next: `check`, which finds it.

use std::fmt;

/// A description that cannot be built from: one fault, at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The option (`--userns`), or the path in the JSON (`linux.namespaces[2].type`), or the file.
    pub at: String,
    /// What was found there.
    pub found: String,
    /// What is expected, with an example.
    pub expected: String,
}

impl Error {
    pub fn new(at: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error { at: at.into(), found: found.into(), expected: expected.into() }
    }

    /// Whether the fault is in an option, and not in a file.
    pub fn is_of_command_line(&self) -> bool {
        self.at.starts_with("--") || self.at.starts_with("options: ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}; expected {}", self.at, self.found, self.expected)
    }
}

impl std::error::Error for Error {}
