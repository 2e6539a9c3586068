//! Panics of users' code, stopped where they belong.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of a user; the text of its panic if it panics.
///
/// The value that panicked is not used again by the callers of this, except to be dropped, which is contained too.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(text_of)
}

/// Runs code of a user whose panic concerns nobody.
pub(crate) fn contained(f: impl FnOnce()) {
    let _ = catch(f);
}

/// What was given to `panic!`.
fn text_of(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => return (*text).to_owned(),
            Err(payload) => {
                // The payload may panic in its own Drop, and what that throws too: leak the second.
                if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                    Box::leak(second);
                }
                "panic with a value that is not text"
            }
        },
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_panic_is_kept() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("plain")), Err::<(), _>("plain".into()));
        assert_eq!(catch(|| panic!("number {}", 7)), Err::<(), _>("number 7".into()));
        assert!(catch(|| std::panic::panic_any(7)).unwrap_err().contains("not text"));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert!(catch(|| std::panic::panic_any(Bomb)).is_err());
    }
}
