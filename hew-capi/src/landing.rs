//! Calling functions of the C program, so that `hew_panic` ends them and nothing else.
//!
//! Every call from the library into C goes through [`call`]. `hew_panic` jumps to the innermost one (`landing.c`); the
//! frames in between are C's, and those of `hew_panic` and [`step`], which own nothing.

use crate::error::{Failure, remember};
use crate::running;
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    fn hewi_call(body: extern "C" fn(*mut c_void), argument: *mut c_void) -> c_int;
    fn hewi_jump();
}

/// The text of `hew_panic()` without a message.
const NO_MESSAGE: &str = "hew_panic";

thread_local! {
    /// What the panic that is under way said.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    /// How many calls into C this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs `body`, whose only doing is to call one function of the C program.
///
/// # Errors
/// The function called `hew_panic`; the text is what it said.
pub(crate) fn call<B: Call>(body: &B) -> Result<B::Output, String> {
    let mut call = Step { body, output: None };
    DEPTH.set(DEPTH.get() + 1);
    // SAFETY: `step::<B>` is given the `Step<B>` that it expects, which lives in this frame until `hewi_call` returns.
    // A jump skips the frames of C code, of `step` and of `hew_panic`; the latter two hold nothing that must be
    // dropped at the points where they can be left (`B: Copy`, and see `panic_with`).
    let jumped = unsafe { hewi_call(step::<B>, (&raw mut call).cast()) } != 0;
    DEPTH.set(DEPTH.get() - 1);
    match call.output {
        Some(output) if !jumped => Ok(output),
        _ => Err(TEXT.with_borrow_mut(std::mem::take)),
    }
}

/// One call of a function of the C program. `Copy`: nothing is lost when the call is left by a jump.
pub(crate) trait Call: Copy {
    /// What the function answers.
    type Output: Copy;
    /// Makes the call.
    fn run(&self) -> Self::Output;
}

struct Step<'a, B: Call> {
    body: &'a B,
    output: Option<B::Output>,
}

extern "C" fn step<B: Call>(argument: *mut c_void) {
    // SAFETY: `call::<B>` above is the only one that passes this function on, always with a `Step<B>` of its own that
    // nobody else sees while this runs.
    let step = unsafe { &mut *argument.cast::<Step<'_, B>>() };
    step.output = Some(step.body.run());
}

/// The running actor crashes: this does not return to its handler. Its supervisor, links and monitors hear of it, and
/// who waits for its answer gets NULL. The process goes on. Memory that the handler allocated and did not store is
/// lost. Outside of any handler or callback there is nothing to crash, and the call only sets `hew_last_error`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_panic() {
    panic_with("hew_panic", std::ptr::null());
}

/// As `hew_panic`, with a text that goes into the reason of the end; cut to 1,024 bytes, and what is not UTF-8 in it is
/// replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_panic_msg(message: *const c_char) {
    panic_with("hew_panic_msg", message);
}

fn panic_with(function: &str, message: *const c_char) {
    note(function, message);
    // SAFETY: everything that this function and its callers own lives in `note`, which has returned, so the frames
    // that are left here own nothing. Without a landing place on this thread, `hewi_jump` returns.
    unsafe { hewi_jump() };
}

/// Keeps the text for whoever catches the panic, and drops all else that this needs.
fn note(function: &str, message: *const c_char) {
    let text = if message.is_null() {
        NO_MESSAGE.to_owned()
    } else {
        // SAFETY: hew.h, Conventions: a text is NULL, which was asked above, or ends with NUL.
        unsafe { std::ffi::CStr::from_ptr(message) }.to_string_lossy().into_owned()
    };
    if DEPTH.get() == 0 {
        let text = format!("no handler runs on this thread, nothing crashes: {text}");
        remember(function, &Failure::invalid(text));
        return;
    }
    tracing::debug!(actor = ?running::pid(), %text, "hew_panic");
    TEXT.set(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::last;

    #[derive(Clone, Copy)]
    struct Body(fn() -> u32);
    impl Call for Body {
        type Output = u32;
        fn run(&self) -> u32 {
            (self.0)()
        }
    }

    #[test]
    fn a_call_answers_or_ends_by_a_panic() {
        assert_eq!(call(&Body(|| 7)), Ok(7));
        let panics = Body(|| {
            hew_panic();
            8
        });
        assert_eq!(call(&panics), Err("hew_panic".into()));
        let says = Body(|| {
            // SAFETY: a literal with a NUL.
            unsafe { hew_panic_msg(c"no more paper".as_ptr()) };
            0
        });
        assert_eq!(call(&says), Err("no more paper".into()));
    }

    #[test]
    fn a_panic_ends_the_innermost_call() {
        let outer = Body(|| {
            let inner = Body(|| {
                hew_panic();
                0
            });
            assert!(call(&inner).is_err());
            9
        });
        assert_eq!(call(&outer), Ok(9));
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn outside_of_a_call_it_only_says_so() {
        hew_panic();
        assert!(last().unwrap().starts_with("hew_panic: no handler runs"));
    }
}
