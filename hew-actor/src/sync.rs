//! Atomics, locks, cells and what is local to a thread, in one place, so that a model checker can take theirs away.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, everything that decides an order between threads comes from that checker,
//! which then tries orders. Reference counts stay those of `std` in every build: what the models look at is who holds a
//! reference, not how it is counted.

#[cfg(loom)]
pub(crate) use loom::{
    cell::{MutPtr, UnsafeCell},
    sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

#[cfg(shuttle)]
pub(crate) use {
    clock::{doze, now},
    event::{Event, EventListener, Listener},
    shuttle::future::block_on,
    shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence},
    shuttle::sync::{Condvar, Mutex, MutexGuard},
    shuttle::thread,
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use {
    std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence},
    std::sync::{Mutex, MutexGuard},
    std::{thread, thread_local},
};

#[cfg(shuttle)]
mod clock;
#[cfg(shuttle)]
mod event;
#[cfg(any(loom, shuttle))]
mod local;

#[cfg(any(loom, shuttle))]
pub(crate) use local::{Local, checked, thread_local};

#[cfg(not(shuttle))]
pub(crate) use {
    event_listener::{Event, EventListener, Listener},
    futures_lite::future::block_on,
};

#[cfg(not(loom))]
pub(crate) use cell::{MutPtr, UnsafeCell};

/// Runs `f` on a thread that may block.
#[cfg(shuttle)]
pub(crate) fn detach(f: impl FnOnce() + Send + 'static) {
    drop(thread::spawn(f));
}

/// Runs `f` on a thread that may block.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn detach(f: impl FnOnce() + Send + 'static) {
    blocking::unblock(f).detach();
}

/// Runs `f` on a thread of the model, which must wait for it with [`join_detached`].
#[cfg(loom)]
pub(crate) fn detach(f: impl FnOnce() + Send + 'static) {
    let thread = loom::thread::spawn(f);
    DETACHED.with_borrow_mut(|detached| detached.push(thread));
}

/// Waits for the threads that [`detach`] has started, as the end of the model is not the end of a process.
#[cfg(all(test, loom))]
pub(crate) fn join_detached() {
    while let Some(thread) = DETACHED.with_borrow_mut(Vec::pop) {
        thread.join().expect("nothing panics there");
    }
}

#[cfg(loom)]
std::thread_local! {
    /// All threads of a model are one thread of the process.
    static DETACHED: std::cell::RefCell<Vec<loom::thread::JoinHandle<()>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// How often a word is looked at before the processor is given to somebody else.
#[cfg(not(any(loom, shuttle)))]
const SPINS: u32 = 64;
/// How often the processor is given away before sleeping, which lets also those run that have a lower priority.
#[cfg(not(any(loom, shuttle)))]
const YIELDS: u32 = 1024;

/// Lets the holder of a word that is held for a few instructions go on: call number `attempt`, from 0.
#[cfg(not(any(loom, shuttle)))]
#[cold]
pub(crate) fn relax(attempt: u32) {
    if attempt < SPINS {
        std::hint::spin_loop();
    } else if attempt < YIELDS {
        thread::yield_now();
    } else {
        // The holder was interrupted, and this thread may be what keeps it from going on.
        thread::sleep(std::time::Duration::from_micros(50));
    }
}

/// Lets another thread of the model run.
#[cfg(any(loom, shuttle))]
pub(crate) fn relax(_: u32) {
    thread::yield_now();
}

/// The monotonic clock.
#[cfg(not(shuttle))]
#[inline]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Lets another thread of the model run, instead of sleeping until a time.
#[cfg(loom)]
pub(crate) fn doze(_: Option<std::time::Instant>) {
    thread::yield_now();
}

/// A look at a word before the compare-exchange that decides.
#[cfg(not(loom))]
#[inline]
pub(crate) fn peek(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

/// The same, always the newest value: an old one would fail the compare-exchange, be looked at again, and show nothing
/// else, but it multiplies the orders that there are to try.
#[cfg(loom)]
pub(crate) fn peek(word: &AtomicU64) -> u64 {
    const NEVER: u64 = u64::MAX;
    word.compare_exchange(NEVER, NEVER, Ordering::Relaxed, Ordering::Relaxed).unwrap_or_else(|seen| seen)
}

/// Those who wait for a word that is held for a few instructions: nobody keeps a list of them.
#[cfg(not(loom))]
#[derive(Clone)]
pub(crate) struct Crowd;

#[cfg(not(loom))]
impl Crowd {
    pub(crate) fn new() -> Crowd {
        Crowd
    }

    /// Waits a little, as the word was held, or free and then taken by another: call number `attempt`, from 0.
    pub(crate) fn wait(&self, attempt: u32, _held: bool) {
        relax(attempt);
    }

    /// The word is free: those who wait will see it by themselves.
    #[inline]
    pub(crate) fn dismiss(&self) {}
}

/// Those who wait for a word. In a model they sleep until it is free, because it would try every number of their looks.
/// The list is unknown to loom, and no step of another thread comes between a look, or a store, and what is done here.
#[cfg(loom)]
#[derive(Clone)]
pub(crate) struct Crowd(std::sync::Arc<std::sync::Mutex<Vec<loom::thread::Thread>>>);

#[cfg(loom)]
impl Crowd {
    pub(crate) fn new() -> Crowd {
        Crowd(std::sync::Arc::default())
    }

    pub(crate) fn wait(&self, _: u32, held: bool) {
        if !held {
            return;
        }
        self.0.lock().expect("nobody panics here").push(loom::thread::current());
        loom::thread::park();
    }

    pub(crate) fn dismiss(&self) {
        let waiting = std::mem::take(&mut *self.0.lock().expect("nobody panics here"));
        waiting.iter().for_each(loom::thread::Thread::unpark);
    }
}

/// The interface of loom's cells over those of `std`.
#[cfg(not(loom))]
mod cell {
    /// A cell whose users keep to one at a time by other means.
    #[derive(Debug, Default)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// The way to the content, for as long as nobody else has one.
        #[inline]
        pub(crate) fn get_mut(&self) -> MutPtr<T> {
            MutPtr(self.0.get())
        }
    }

    /// A pointer that excludes all others; loom checks that it does.
    pub(crate) struct MutPtr<T>(*mut T);

    impl<T> MutPtr<T> {
        /// The content.
        ///
        /// # Safety
        /// The cell is alive, and nobody else has access to it for as long as the reference lives.
        #[allow(clippy::mut_from_ref, reason = "as loom has it")]
        #[inline]
        pub(crate) unsafe fn deref(&self) -> &mut T {
            // SAFETY: the caller's obligation.
            unsafe { &mut *self.0 }
        }
    }
}
