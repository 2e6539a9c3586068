//! Codes, and the text of the last failure on a thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Success.
pub const HEW_OK: c_int = 0;
/// The mailbox of the actor, or the link to its node, is full.
pub const HEW_ERR_MAILBOX_FULL: c_int = -1;
/// The actor has ended or is ending.
pub const HEW_ERR_ACTOR_STOPPED: c_int = -2;
/// The time was over.
pub const HEW_ERR_TIMEOUT: c_int = -3;
/// The question was dropped without an answer, or what was used has been closed.
pub const HEW_ERR_CLOSED: c_int = -4;
/// No memory, no thread, or a table is full.
pub const HEW_ERR_OOM: c_int = -5;
/// Bytes that cannot be encoded or decoded, or are more than a message may have.
pub const HEW_ERR_SERIALIZE: c_int = -12;
/// The transport failed: nobody listens there, the port is taken, the connection broke.
pub const HEW_ERR_TRANSPORT: c_int = -14;
/// A handle that was freed, or a PID of an actor that has ended.
pub const HEW_ERR_STALE: c_int = -16;
/// The node is down or unknown, or no node runs.
pub const HEW_ERR_NODE_DOWN: c_int = -17;
/// The other node does not allow it, or this one does not allow the other.
pub const HEW_ERR_NOT_ALLOWED: c_int = -18;
/// An argument is NULL, malformed or out of its range.
pub const HEW_ERR_INVALID: c_int = -22;
/// A panic inside of the library; the text says which.
pub const HEW_ERR_PANIC: c_int = -99;

/// Why a call failed: the code for the caller, and the text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: c_int,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: c_int, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Failure {
        Failure::new(HEW_ERR_INVALID, text)
    }

    pub(crate) fn null(what: &str) -> Failure {
        Failure::invalid(format!("{what} is NULL"))
    }
}

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Remembers the failure of a call for `hew_last_error`.
pub(crate) fn remember(function: &str, failure: &Failure) {
    let text = format!("{function}: {}", failure.text).replace('\0', "\u{fffd}");
    // A thread that is ending has no place left for it, and nobody to read it.
    let _ = LAST.try_with(|last| *last.borrow_mut() = CString::new(text).ok());
}

/// The body of a function that answers with a code.
pub(crate) fn status(function: &str, body: impl FnOnce() -> Result<(), Failure>) -> c_int {
    match guarded(body) {
        Ok(()) => HEW_OK,
        Err(failure) => {
            remember(function, &failure);
            failure.code
        }
    }
}

/// The body of a function that answers with a value, `failed` if it fails.
pub(crate) fn value<T>(function: &str, failed: T, body: impl FnOnce() -> Result<T, Failure>) -> T {
    guarded(body).unwrap_or_else(|failure| {
        remember(function, &failure);
        failed
    })
}

/// The body of a function that answers nothing.
pub(crate) fn void(function: &str, body: impl FnOnce() -> Result<(), Failure>) {
    value(function, (), body);
}

/// No panic crosses the boundary. What a body leaves half done it leaves behind locks that ignore poisoning, whose
/// sections are single steps.
fn guarded<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let text = match (payload.downcast_ref::<String>(), payload.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (None, Some(text)) => (*text).to_owned(),
            (None, None) => "with a value that is not text".to_owned(),
        };
        // The payload may panic in its own Drop.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Box::leak(second);
        }
        Err(Failure::new(HEW_ERR_PANIC, format!("panic inside of the library: {text}")))
    })
}

/// What went wrong in the last call that failed on this thread; NULL if none did since `hew_clear_error`. The text
/// names the function, the thing and the cause, and is valid until the next call on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn hew_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ref().map_or(std::ptr::null(), |text| text.as_ptr()))
        .unwrap_or(std::ptr::null())
}

/// Forgets the text of `hew_last_error`. Calls that succeed leave it alone.
#[unsafe(no_mangle)]
pub extern "C" fn hew_clear_error() {
    let _ = LAST.try_with(|last| *last.borrow_mut() = None);
}

/// The last failure's text, for tests of other files.
#[cfg(test)]
pub(crate) fn last() -> Option<String> {
    LAST.with(|last| last.borrow().as_ref().map(|text| text.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code_and_a_text() {
        assert_eq!(status("hew_f", || panic!("number {}", 7)), HEW_ERR_PANIC);
        assert_eq!(last().unwrap(), "hew_f: panic inside of the library: number 7");
        assert_eq!(value("hew_g", 5, || panic!("plain")), 5);
        assert!(last().unwrap().starts_with("hew_g: "));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(status("hew_f", || std::panic::panic_any(Bomb)), HEW_ERR_PANIC);
    }

    #[test]
    fn a_success_leaves_the_text_and_clearing_takes_it() {
        assert_eq!(status("hew_f", || Err(Failure::null("name"))), HEW_ERR_INVALID);
        assert_eq!(status("hew_g", || Ok(())), HEW_OK);
        assert_eq!(last().unwrap(), "hew_f: name is NULL");
        hew_clear_error();
        assert!(hew_last_error().is_null());
    }

    #[test]
    fn a_text_with_a_nul_in_it_is_kept() {
        assert_eq!(status("hew_f", || Err(Failure::invalid("a\0b"))), HEW_ERR_INVALID);
        assert_eq!(last().unwrap(), "hew_f: a\u{fffd}b");
    }
}
