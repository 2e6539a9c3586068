//! Counts how often entries are looked at, so that tests can show what is constant and what is linear without a clock.

#[cfg(not(test))]
pub(super) use uncounted::Touches;

#[cfg(test)]
pub(super) use counted::Touches;

#[cfg(not(test))]
mod uncounted {
    pub(in super::super) struct Touches;

    impl Touches {
        pub(in super::super) const fn new() -> Touches {
            Touches
        }

        pub(in super::super) fn count(&self) {}
    }
}

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    pub(in super::super) struct Touches(Cell<u64>);

    impl Touches {
        pub(in super::super) const fn new() -> Touches {
            Touches(Cell::new(0))
        }

        pub(in super::super) fn count(&self) {
            self.0.set(self.0.get() + 1);
        }

        pub(in super::super) fn take(&self) -> u64 {
            self.0.take()
        }
    }
}
