//! The interface of the locals of `std` over those of a checker, whose threads all run on one real thread.

#[cfg(loom)]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;
use std::cell::{Cell, RefCell};

pub(crate) use checker::thread_local as checked;

macro_rules! local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {$(
        $(#[$attribute])*
        static $name: $crate::sync::Local<$type> = {
            $crate::sync::checked! { static KEY: $type = $value; }
            $crate::sync::Local(&KEY)
        };
    )*};
}
pub(crate) use local as thread_local;

pub(crate) struct Local<T: 'static>(pub(crate) &'static checker::thread::LocalKey<T>);

impl<T> Local<T> {
    pub(crate) fn try_with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, checker::thread::AccessError> {
        self.0.try_with(f)
    }
}

impl<T> Local<Cell<T>> {
    pub(crate) fn get(&self) -> T
    where
        T: Copy,
    {
        self.0.with(Cell::get)
    }

    pub(crate) fn set(&self, value: T) {
        self.replace(value);
    }

    pub(crate) fn replace(&self, value: T) -> T {
        self.0.with(|cell| cell.replace(value))
    }
}

impl<T> Local<RefCell<T>> {
    pub(crate) fn with_borrow_mut<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(|cell| f(&mut cell.borrow_mut()))
    }
}
