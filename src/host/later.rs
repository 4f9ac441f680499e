//! What of the machine is looked at only when somebody asks? What only explains a refusal, or is wanted by few
//! containers: a run that nobody refuses anything does without.
//!
//! Next: [`super::Host`], which has some of these.

use std::ops::Deref;
use std::sync::OnceLock;

/// A value that is looked up once, when it is first wanted; of a host that was made up, it is what was put there.
#[derive(Clone, Debug)]
pub struct Later<T> {
    found: OnceLock<T>,
    look: fn() -> T,
}

impl<T> Later<T> {
    pub fn new(look: fn() -> T) -> Later<T> {
        Later { found: OnceLock::new(), look }
    }
}

impl<T> Deref for Later<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.found.get_or_init(self.look)
    }
}

impl<T: Default> Default for Later<T> {
    fn default() -> Later<T> {
        Later::new(T::default)
    }
}

impl<T: Default> From<T> for Later<T> {
    fn from(value: T) -> Later<T> {
        Later { found: value.into(), look: T::default }
    }
}
