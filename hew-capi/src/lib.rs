//! The C ABI of the Hew runtime.
