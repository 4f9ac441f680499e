//! What was really called? Every wrapper in this folder that a plan can reach goes through [`call`],
//! which writes the call down in strace's grammar when somebody listens; else only what was refused, and the
//! rest costs nothing.
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

/// What is written down: every call when somebody listens, else only what was refused, since a refusal has
/// to be explained whether or not anybody listened before it.
struct Heard {
    listening: bool,
    calls: Vec<Call>,
}

/// Without a listener, more refusals than any one step makes are nobody's.
const MOST_REFUSALS: usize = 64;

thread_local! {
    static HEARD: RefCell<Heard> = const { RefCell::new(Heard { listening: false, calls: Vec::new() }) };
}

/// From now on, write down every call that this thread makes.
pub fn listen() {
    HEARD.with(|heard| *heard.borrow_mut() = Heard { listening: true, calls: Vec::new() });
}

/// The calls written down since the last time; empty when nobody listens.
pub fn heard() -> Vec<Call> {
    heard_of(false)
}

/// The same, of a step that was refused or not: the refusals too when it was, though nobody listens.
pub fn heard_of(refused: bool) -> Vec<Call> {
    HEARD.with(|heard| {
        let mut heard = heard.borrow_mut();
        let calls = std::mem::take(&mut heard.calls);
        if heard.listening || refused { calls } else { Vec::new() }
    })
}

/// Write down a call that another process, or a library, made for us.
pub fn write_down(call: Call) {
    HEARD.with(|heard| {
        let mut heard = heard.borrow_mut();
        if !heard.listening && heard.calls.len() >= MOST_REFUSALS {
            heard.calls.clear();
        }
        if heard.listening || matches!(call.returned, Returned::Refused(_)) {
            heard.calls.push(call);
        }
    });
}

fn is_heard(refused: bool) -> bool {
    refused || HEARD.with(|heard| heard.borrow().listening)
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

/// Text that is put together only if it is shown: of most calls nobody wants to know the arguments.
pub struct Lazy<F>(F);

impl<F: Fn(&mut fmt::Formatter) -> fmt::Result> fmt::Display for Lazy<F> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        (self.0)(f)
    }
}

pub fn lazy<F: Fn(&mut fmt::Formatter) -> fmt::Result>(show: F) -> Lazy<F> {
    Lazy(show)
}

/// Make one system call: `args` is its argument list in strace's grammar, `make` makes it.
pub fn call<T: Answer, E: Into<Errno>>(
    name: &str,
    args: fmt::Arguments,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, Errno> {
    let answer = make().map_err(Into::into);
    if is_heard(answer.is_err()) {
        let returned = match &answer {
            Ok(value) => Returned::Ok(value.number()),
            Err(errno) => Returned::Refused(*errno),
        };
        write_down(Call { name: name.to_owned(), args: args.to_string(), returned });
    }
    answer
}
