//! Where the futures of hooks are polled: in memory that is used again, as long as they do not wait.
//!
//! A hook's future is placed into a piece of memory of its size, and polled there. Most are ready at once: then the next
//! one of that size gets the same memory. One that is not keeps its memory, as a box, and the actor keeps the box. So
//! handlers that do not wait allocate nothing, and idle actors hold no room for their handlers.

use crate::actor::Outcome;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// Pieces of memory that are kept beside the one that was used last.
const SPARES: usize = 3;

/// A hook that waits.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The memory of one thread that runs actors.
pub(crate) struct Scratch {
    /// Used last. It stays where it is from hook to hook, because moving it would cost more than a short handler.
    hot: Piece,
    /// `drop_in_place` of the future that is in `hot`: it is being polled, or its poll has panicked.
    placed: Option<unsafe fn(NonNull<u8>)>,
    spares: [Piece; SPARES],
    /// Which spare makes room for another one.
    victim: usize,
}

/// Memory of the global allocator; none for a layout without bytes.
struct Piece {
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a piece is memory that nobody else knows of; what is placed in it is `Send` (see `begin`).
unsafe impl Send for Scratch {}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch { hot: Piece::NONE, placed: None, spares: [const { Piece::NONE }; SPARES], victim: 0 }
    }
}

impl Scratch {
    /// Makes a hook's future in its place and polls it once.
    ///
    /// # Safety
    /// A future that comes back as waiting must be dropped before what `F` borrows. After a panic, [`Scratch::clear`]
    /// must be called before what `F` borrows is gone.
    #[inline(always)]
    pub(crate) unsafe fn begin<F>(
        &mut self,
        make: impl FnOnce() -> F,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Waiting>
    where
        F: Future<Output = Outcome> + Send,
    {
        if self.hot.layout != Layout::new::<F>() {
            self.fetch(Layout::new::<F>());
        }
        let memory = self.hot.memory.cast::<F>();
        // SAFETY: `hot` is memory of the layout of `F`, and nothing is in it: what was is dropped, below or by `clear`.
        unsafe { memory.write(make()) };
        self.placed = Some(drop_in_place::<F>);
        // SAFETY: the future was written above and stays where it is until it is dropped: here, in `clear`, or in the
        // box below.
        let polled = unsafe { Pin::new_unchecked(&mut *memory.as_ptr()) }.poll(cx);
        self.placed = None;
        match polled {
            Poll::Ready(outcome) => {
                // SAFETY: written above, and not used after this.
                unsafe { memory.drop_in_place() };
                Ok(outcome)
            }
            Poll::Pending => {
                let future: *mut (dyn Future<Output = Outcome> + Send + '_) = memory.as_ptr();
                // SAFETY: only the lifetime changes; the caller promises to drop the box before what `F` borrows.
                let future: *mut (dyn Future<Output = Outcome> + Send) =
                    unsafe { std::mem::transmute(future) };
                let _boxed = ManuallyDrop::new(std::mem::replace(&mut self.hot, Piece::NONE));
                // SAFETY: the memory came from the global allocator with the layout of `F` (or `F` has no bytes), holds
                // an `F`, and now belongs to the box alone.
                Err(Box::into_pin(unsafe { Box::from_raw(future) }))
            }
        }
    }

    /// Drops the future whose poll has panicked, if there is one.
    pub(crate) fn clear(&mut self) {
        if let Some(drop) = self.placed.take() {
            // SAFETY: `begin` has written the future, of the type of `drop`, and has not come to dropping it.
            unsafe { drop(self.hot.memory) };
        }
    }

    /// Makes a piece of this layout the hot one.
    #[cold]
    fn fetch(&mut self, layout: Layout) {
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.layout == layout) {
            std::mem::swap(&mut self.hot, spare);
            return;
        }
        let old = std::mem::replace(&mut self.hot, Piece::new(layout));
        if old.layout.size() > 0 {
            self.victim = (self.victim + 1) % SPARES;
            self.spares[self.victim] = old;
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Piece {
    /// Memory for nothing. Its layout is that of no future, or of one without bytes.
    const NONE: Piece = Piece { memory: NonNull::dangling(), layout: Layout::new::<()>() };

    fn new(layout: Layout) -> Piece {
        if layout.size() == 0 {
            let memory = NonNull::without_provenance(align_of_layout(layout));
            return Piece { memory, layout };
        }
        // SAFETY: the layout has bytes.
        let memory = unsafe { alloc(layout) };
        match NonNull::new(memory) {
            Some(memory) => Piece { memory, layout },
            None => handle_alloc_error(layout),
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: `new` allocated it with this layout, and it belongs to this piece: what a box takes over is
            // forgotten by `begin`.
            unsafe { dealloc(self.memory.as_ptr(), self.layout) };
        }
    }
}

/// An address for values without bytes.
fn align_of_layout(layout: Layout) -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(layout.align()).unwrap_or(std::num::NonZeroUsize::MIN)
}

/// # Safety
/// `memory` holds an `F`, which is not used after this.
unsafe fn drop_in_place<F>(memory: NonNull<u8>) {
    // SAFETY: the caller's obligation.
    unsafe { memory.cast::<F>().drop_in_place() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Waker;

    fn begin(
        scratch: &mut Scratch,
        future: impl Future<Output = Outcome> + Send + 'static,
    ) -> Option<Waiting> {
        let mut cx = Context::from_waker(Waker::noop());
        // SAFETY: nothing is borrowed.
        unsafe { scratch.begin(|| future, &mut cx) }.err()
    }

    #[test]
    fn memory_is_used_again_and_what_waits_keeps_it() {
        let mut scratch = Scratch::default();
        let count = Arc::new(());
        let ready = |count: Arc<()>| async move {
            drop(count);
            Outcome::Continue
        };
        assert!(begin(&mut scratch, ready(count.clone())).is_none());
        let first = scratch.hot.memory;
        assert!(begin(&mut scratch, ready(count.clone())).is_none());
        assert_eq!(scratch.hot.memory, first);
        let waits = |count: Arc<()>| async move {
            // Larger than the other one.
            let ballast = [0_u8; 100];
            futures_lite::future::yield_now().await;
            std::hint::black_box(&ballast);
            drop(count);
            Outcome::Stop
        };
        let waiting = begin(&mut scratch, waits(count.clone())).unwrap();
        assert_eq!(Arc::strong_count(&count), 2);
        assert_eq!(scratch.hot.layout.size(), 0);
        assert!(begin(&mut scratch, ready(count.clone())).is_none());
        assert_eq!(scratch.hot.memory, first);
        assert_eq!(futures_lite::future::block_on(waiting), Outcome::Stop);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn what_panicked_is_dropped_by_clear_and_futures_without_bytes_work() {
        struct Bomb(#[allow(dead_code)] Arc<()>);
        impl Future for Bomb {
            type Output = Outcome;
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
                panic!("in poll")
            }
        }
        let (mut scratch, count) = (Scratch::default(), Arc::new(()));
        let bomb = Bomb(count.clone());
        assert!(crate::unwind::catch(|| begin(&mut scratch, bomb).is_some()).is_err());
        assert_eq!(Arc::strong_count(&count), 2);
        scratch.clear();
        assert_eq!(Arc::strong_count(&count), 1);
        assert!(begin(&mut scratch, std::future::ready(Outcome::Continue)).is_none());
        assert!(begin(&mut scratch, async { Outcome::Continue }).is_none());
        assert!(begin(&mut scratch, std::future::pending()).is_some());
    }
}
