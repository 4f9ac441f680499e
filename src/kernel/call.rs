//! What was really called? Every wrapper in this folder that a plan can reach goes through [`call`],
//! which writes the call down in strace's grammar when somebody listens, and costs nothing when nobody does.
//!
//! Next: the wrappers, a file a subject.

use super::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;

/// One system call as it was made: `mount("proc", "/proc", …) = 0` (strace(1)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The system call's name, as syscalls(2) has it.
    pub name: String,
    /// Its arguments in strace's grammar, without the parentheses.
    pub args: String,
    /// What it returned: a number, or the errno.
    pub returned: Returned,
}

/// The answer of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Returned {
    Ok(i64),
    Refused(Errno),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.returned {
            Returned::Ok(number) => write!(f, "{}({}) = {number}", self.name, self.args),
            Returned::Refused(errno) => write!(f, "{}({}) = -1 {errno}", self.name, self.args),
        }
    }
}

thread_local! {
    static HEARD: RefCell<Option<Vec<Call>>> = const { RefCell::new(None) };
}

/// From now on, write down every call that this thread makes.
pub fn listen() {
    HEARD.with(|heard| *heard.borrow_mut() = Some(Vec::new()));
}

/// The calls written down since the last time; empty when nobody listens.
pub fn heard() -> Vec<Call> {
    HEARD.with(|heard| heard.borrow_mut().as_mut().map(std::mem::take).unwrap_or_default())
}

/// Write down a call that another process made for us.
pub fn write_down(call: Call) {
    HEARD.with(|heard| heard.borrow_mut().as_mut().map(|calls| calls.push(call)));
}

/// What of an answer goes behind the `=`.
pub trait Answer {
    fn number(&self) -> i64;
}

impl Answer for () {
    fn number(&self) -> i64 {
        0
    }
}
impl Answer for i32 {
    fn number(&self) -> i64 {
        i64::from(*self)
    }
}
impl Answer for u32 {
    fn number(&self) -> i64 {
        i64::from(*self)
    }
}
impl Answer for usize {
    fn number(&self) -> i64 {
        *self as i64
    }
}
impl Answer for std::os::fd::OwnedFd {
    fn number(&self) -> i64 {
        i64::from(std::os::fd::AsRawFd::as_raw_fd(self))
    }
}

/// Make one system call: `args` is its argument list in strace's grammar, `make` makes it.
pub fn call<T: Answer, E: Into<Errno>>(
    name: &str,
    args: fmt::Arguments,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, Errno> {
    let answer = make().map_err(Into::into);
    HEARD.with(|heard| {
        if let Some(calls) = heard.borrow_mut().as_mut() {
            let returned = match &answer {
                Ok(value) => Returned::Ok(value.number()),
                Err(errno) => Returned::Refused(*errno),
            };
            calls.push(Call { name: name.to_owned(), args: args.to_string(), returned });
        }
    });
    answer
}
