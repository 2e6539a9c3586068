//! What is read from and written to memory of the C program: every unsafe step of arguments and results is here.
//!
//! Each function takes the name of the argument, for the text of the failure, and answers NULL with a failure. What C
//! promises, and nobody else can, stands in the first page of `hew.h`: a pointer that is not NULL points to as much
//! readable (for results: writable) and correctly aligned memory as its type and the size beside it say, for as long
//! as the call lasts. The `# Safety` sections below name that promise; each caller says which argument it is about.

use crate::error::{Failure, HEW_ERR_OOM};
use std::ffi::{CStr, c_char, c_void};

unsafe extern "C" {
    // Of the C library: replies are freed by the C program's `free`, which knows no other allocator.
    fn malloc(size: usize) -> *mut c_void;
    fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
}

/// A text argument.
///
/// # Safety
/// `pointer` is NULL or points to a text that ends with NUL and stays unchanged for `'a`.
pub(crate) unsafe fn text<'a>(what: &str, pointer: *const c_char) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL by the line above; the rest is this function's own condition.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|_| Failure::invalid(format!("{what} is not UTF-8")))
}

/// A text argument that may be NULL.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn text_or_null<'a>(
    what: &str,
    pointer: *const c_char,
) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the condition is the same.
    unsafe { text(what, pointer) }.map(Some)
}

/// An argument of `size` bytes. NULL with 0 is no bytes.
///
/// # Safety
/// `pointer` is NULL or points to `size` bytes that stay unchanged for `'a`.
pub(crate) unsafe fn bytes<'a>(what: &str, pointer: *const c_void, size: usize) -> Result<&'a [u8], Failure> {
    if size == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Failure::invalid(format!("{what} is NULL and has {size} bytes")));
    }
    if isize::try_from(size).is_err() {
        return Err(Failure::invalid(format!("{what} has {size} bytes, more than memory can have")));
    }
    // SAFETY: not NULL and not larger than isize::MAX by the two checks above; bytes need no alignment; the rest is
    // this function's own condition.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), size) })
}

/// A buffer of the caller's to be filled. NULL with 0 is no bytes.
///
/// # Safety
/// `pointer` is NULL or points to `size` initialised bytes that nobody else uses for `'a`.
pub(crate) unsafe fn bytes_mut<'a>(
    what: &str,
    pointer: *mut c_void,
    size: usize,
) -> Result<&'a mut [u8], Failure> {
    if size == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() {
        return Err(Failure::invalid(format!("{what} is NULL and has {size} bytes")));
    }
    if isize::try_from(size).is_err() {
        return Err(Failure::invalid(format!("{what} has {size} bytes, more than memory can have")));
    }
    // SAFETY: not NULL and not larger than isize::MAX by the two checks above; bytes need no alignment, and every value
    // is one; the rest is this function's own condition.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), size) })
}

/// An argument of exactly `N` bytes.
///
/// # Safety
/// `pointer` is NULL or points to `N` readable bytes.
pub(crate) unsafe fn array<const N: usize>(what: &str, pointer: *const u8) -> Result<[u8; N], Failure> {
    // SAFETY: the condition is the same.
    let bytes = unsafe { bytes(what, pointer.cast(), N) }?;
    bytes.try_into().map_err(|_| Failure::invalid(format!("{what} has not {N} bytes")))
}

/// A copy of a structure.
///
/// # Safety
/// `pointer` is NULL or points to a valid `T`.
pub(crate) unsafe fn read<T: Copy>(what: &str, pointer: *const T) -> Result<T, Failure> {
    check_aligned(what, pointer)?;
    // SAFETY: not NULL and aligned by the line above; `T: Copy`, so the caller keeps its own; the rest is this
    // function's own condition.
    Ok(unsafe { pointer.read() })
}

/// Copies of `count` values.
///
/// # Safety
/// `pointer` is NULL or points to `count` valid `T`.
pub(crate) unsafe fn read_all<T: Copy>(
    what: &str,
    pointer: *const T,
    count: usize,
) -> Result<Vec<T>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    check_aligned(what, pointer)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(Failure::invalid(format!("{what} has {count} elements, more than memory can have")));
    }
    // SAFETY: not NULL, aligned and not larger than isize::MAX bytes by the checks above; the rest is this function's
    // own condition.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) }.to_vec())
}

/// Writes a result; NULL means that the caller does not want it.
///
/// # Safety
/// `pointer` is NULL or points to memory for a `T`.
pub(crate) unsafe fn write<T: Copy>(what: &str, pointer: *mut T, value: T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Ok(());
    }
    check_aligned(what, pointer)?;
    // SAFETY: not NULL and aligned by the lines above; `T: Copy`, so no old value must be dropped; the rest is this
    // function's own condition.
    unsafe { pointer.write(value) };
    Ok(())
}

/// A structure of the caller's that is changed in place.
///
/// # Safety
/// `pointer` is NULL or points to a valid `T` that nobody else uses for `'a`.
pub(crate) unsafe fn exclusive<'a, T>(what: &str, pointer: *mut T) -> Result<&'a mut T, Failure> {
    check_aligned(what, pointer)?;
    // SAFETY: not NULL and aligned by the line above; the rest is this function's own condition.
    Ok(unsafe { &mut *pointer })
}

/// A copy of `bytes` that the caller frees with `free`; NULL for no bytes.
pub(crate) fn to_malloc(bytes: &[u8]) -> Result<*mut c_void, Failure> {
    if bytes.is_empty() {
        return Ok(std::ptr::null_mut());
    }
    // SAFETY: `malloc` takes any size.
    let copy = unsafe { malloc(bytes.len()) };
    if copy.is_null() {
        return Err(Failure::new(HEW_ERR_OOM, format!("no memory for {} bytes", bytes.len())));
    }
    // SAFETY: `copy` is not NULL and has `bytes.len()` bytes, both by the lines above; memory that was just allocated
    // does not overlap a slice.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy.cast(), bytes.len()) };
    Ok(copy)
}

/// More memory for what `malloc` gave; the old bytes move. `size` is not 0.
///
/// # Safety
/// `pointer` is NULL or from `malloc`, and is not used any more if this succeeds.
pub(crate) unsafe fn grow_malloc(pointer: *mut u8, size: usize) -> Result<*mut u8, Failure> {
    // SAFETY: the condition of this function.
    let grown = unsafe { realloc(pointer.cast(), size) };
    if grown.is_null() {
        return Err(Failure::new(HEW_ERR_OOM, format!("no memory for {size} bytes")));
    }
    Ok(grown.cast())
}

/// Gives memory back to `malloc`.
///
/// # Safety
/// `pointer` is NULL or from `malloc`, and is not used any more.
pub(crate) unsafe fn free_malloc(pointer: *mut c_void) {
    // SAFETY: the condition of this function.
    unsafe { free(pointer) }
}

/// A structure in memory from `malloc`; `None` if there is none.
pub(crate) fn struct_to_malloc<T: Copy>(value: T) -> Option<*mut T> {
    // SAFETY: `malloc` takes any size.
    let memory = unsafe { malloc(size_of::<T>()) }.cast::<T>();
    if memory.is_null() || !memory.is_aligned() {
        return None;
    }
    // SAFETY: not NULL, aligned, and of the structure's size, all by the lines above; `T: Copy`, nothing is dropped.
    unsafe { memory.write(value) };
    Some(memory)
}

/// A copy of `text` with a NUL after it, that the caller frees with `free`.
pub(crate) fn text_to_malloc(text: &str) -> Result<*mut c_char, Failure> {
    let mut bytes = text.replace('\0', "\u{fffd}").into_bytes();
    bytes.push(0);
    to_malloc(&bytes).map(|copy| copy.cast())
}

fn check_aligned<T>(what: &str, pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    if !pointer.is_aligned() {
        return Err(Failure::invalid(format!("{what} is not aligned to {} bytes", align_of::<T>())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    #[test]
    fn null_is_a_failure_that_names_the_argument() {
        // SAFETY: NULL is what each of these allows.
        unsafe {
            assert_eq!(text("name", null()).unwrap_err().text, "name is NULL");
            assert_eq!(text_or_null("name", null()).unwrap(), None);
            assert_eq!(bytes("data", null(), 3).unwrap_err().text, "data is NULL and has 3 bytes");
            assert_eq!(bytes("data", null(), 0).unwrap(), b"");
            assert_eq!(array::<32>("key", null()).unwrap_err().text, "key is NULL and has 32 bytes");
            assert!(read::<u64>("options", null()).is_err());
            assert!(read_all::<u64>("channels", null(), 2).is_err());
            assert!(exclusive::<u64>("buffer", null_mut()).is_err());
            assert_eq!(write::<u64>("result", null_mut(), 1), Ok(()));
        }
    }

    #[test]
    fn sizes_that_cannot_be_and_misaligned_structures_are_refused() {
        let data = [0_u64; 2];
        let odd = data.as_ptr().cast::<u8>().wrapping_add(1).cast::<u64>();
        // SAFETY: the sizes and the alignment are refused before anything is read.
        unsafe {
            assert!(bytes("data", data.as_ptr().cast(), usize::MAX).is_err());
            assert!(read_all("list", data.as_ptr(), usize::MAX / 4).is_err());
            assert!(read("options", odd).unwrap_err().text.contains("aligned"));
        }
    }

    #[test]
    fn text_must_be_utf_8() {
        // SAFETY: both are literals with a NUL.
        unsafe {
            assert_eq!(text("name", c"counter".as_ptr()), Ok("counter"));
            assert_eq!(text("name", c"\xff".as_ptr()).unwrap_err().text, "name is not UTF-8");
        }
    }
}
