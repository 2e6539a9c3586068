//! The encoders and decoders that compiled `wire` types use: tags, LEB128, fixed-width numbers, byte strings.

use crate::boundary::{bytes, exclusive, free_malloc, grow_malloc, text, write};
use crate::error::{Failure, HEW_ERR_OOM, HEW_ERR_SERIALIZE, status, value, void};
use crate::types::HewWireBuf;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};

/// Most bytes of one buffer: 2 GiB less one, so that lengths fit into 31 bits everywhere.
const WIRE_BUF_BYTES_MAX: usize = i32::MAX as usize;
/// Largest field number; a tag is a number of 32 bits.
const FIELD_MAX: c_int = (1 << 29) - 1;
/// Smallest allocation of a buffer.
const CAPACITY_MIN: usize = 64;
const VARINT_BYTES_MAX: usize = 10;

/// The low bits of a tag: how long the value is.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// A number as LEB128, at most ten bytes.
fn varint(mut value: u64) -> ([u8; VARINT_BYTES_MAX], usize) {
    let mut bytes = [0; VARINT_BYTES_MAX];
    let mut length = 0;
    loop {
        // Seven bits.
        let byte = (value & 0x7F) as u8;
        value >>= 7;
        bytes[length] = if value == 0 { byte } else { byte | 0x80 };
        length += 1;
        if value == 0 {
            return (bytes, length);
        }
    }
}

/// Reads LEB128 in its shortest form: its value and length.
fn read_varint(bytes: &[u8]) -> Result<(u64, usize), Failure> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        if index == VARINT_BYTES_MAX - 1 && *byte > 1 {
            return Err(wrong("a number is larger than 64 bits"));
        }
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if *byte == 0 && index > 0 {
                return Err(wrong("a number is longer than it has to be"));
            }
            return Ok((value, index + 1));
        }
    }
    Err(wrong("the buffer ends within a number"))
}

fn wrong(text: &str) -> Failure {
    Failure::new(HEW_ERR_SERIALIZE, text)
}

impl HewWireBuf {
    const EMPTY: HewWireBuf = HewWireBuf { data: null_mut(), len: 0, cap: 0, read_pos: 0 };

    /// Whether a user's changes left it in a state that can be worked with.
    fn check(&self) -> Result<(), Failure> {
        if self.len > WIRE_BUF_BYTES_MAX || self.data.is_null() && self.len > 0 {
            return Err(Failure::invalid("the buffer is not one that was initialised"));
        }
        Ok(())
    }

    /// # Safety
    /// `data` comes from `malloc` and has `cap` bytes, of which `len` are written.
    unsafe fn append(&mut self, parts: &[&[u8]]) -> Result<(), Failure> {
        self.check()?;
        if self.cap < self.len {
            return Err(Failure::invalid("the buffer is for reading"));
        }
        let more: usize = parts.iter().map(|part| part.len()).sum();
        let needed = self.len.checked_add(more).filter(|needed| *needed <= WIRE_BUF_BYTES_MAX);
        let needed = needed.ok_or_else(|| {
            Failure::new(HEW_ERR_OOM, format!("a buffer has at most {WIRE_BUF_BYTES_MAX} bytes"))
        })?;
        if needed > self.cap {
            let cap = needed.next_power_of_two().max(CAPACITY_MIN);
            // SAFETY: the condition of this function: `data` is NULL or from `malloc`.
            self.data = unsafe { grow_malloc(self.data, cap) }?;
            self.cap = cap;
        }
        for part in parts {
            // SAFETY: `needed`, which counts this part, is at most `cap` by the lines above, and `data` has `cap` bytes.
            // A part is a slice of something else: the parts come from this file's arrays and from arguments, which
            // hew.h forbids to overlap the buffer.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.data.add(self.len), part.len()) };
            self.len += part.len();
        }
        Ok(())
    }

    /// What was not read yet.
    ///
    /// # Safety
    /// `data` has `len` readable bytes that stay unchanged for `'a`.
    unsafe fn rest<'a>(&self) -> Result<&'a [u8], Failure> {
        self.check()?;
        // SAFETY: the condition of this function.
        let all = unsafe { bytes("the buffer's data", self.data.cast(), self.len) }?;
        all.get(self.read_pos..)
            .ok_or_else(|| Failure::invalid("the buffer's read position is behind its end"))
    }
}

/// Runs `body` with the buffer of an argument.
///
/// # Safety
/// `buffer` is NULL or a `HewWireBuf` that nobody else uses, all zeros or initialised by a function of this file.
unsafe fn with(
    function: &str,
    buffer: *mut HewWireBuf,
    body: impl FnOnce(&mut HewWireBuf) -> Result<(), Failure>,
) -> c_int {
    status(function, || {
        // SAFETY: the condition of this function.
        body(unsafe { exclusive("buffer", buffer) }?)
    })
}

/// Appends a field: its tag, and its value.
///
/// # Safety
/// As [`with`].
unsafe fn field(
    function: &str,
    buffer: *mut HewWireBuf,
    number: c_int,
    wire_type: WireType,
    parts: Result<[&[u8]; 2], Failure>,
) -> c_int {
    // SAFETY: the condition is the same; inside, a buffer that can be written to has its data from `grow_malloc`.
    unsafe {
        with(function, buffer, |buffer| {
            let parts = parts?;
            if !(1..=FIELD_MAX).contains(&number) {
                return Err(Failure::invalid(format!("field {number} is not 1 to {FIELD_MAX}")));
            }
            // Positive by the line above.
            let (tag, length) = varint((number as u64) << 3 | wire_type as u64);
            buffer.append(&[&tag[..length], parts[0], parts[1]])
        })
    }
}

/// An empty buffer from the library, freed by `hew_wire_buf_destroy`; NULL without memory.
#[unsafe(no_mangle)]
pub extern "C" fn hew_wire_buf_new() -> *mut HewWireBuf {
    value("hew_wire_buf_new", null_mut(), || {
        // SAFETY: NULL is what `grow_malloc` allocates anew.
        let buffer = unsafe { grow_malloc(null_mut(), size_of::<HewWireBuf>()) }?.cast::<HewWireBuf>();
        // SAFETY: `malloc` aligns for any type, and gave the structure's size.
        unsafe { buffer.write(HewWireBuf::EMPTY) };
        Ok(buffer)
    })
}

/// Makes a buffer that reads `size` bytes of the caller's, which must outlive it. What the buffer held before is not
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_buf_init_read(buffer: *mut HewWireBuf, data: *const u8, size: usize) {
    void("hew_wire_buf_init_read", || {
        let (data, size) = if size == 0 { (null(), 0) } else { (data, size) };
        let made = HewWireBuf { data: data.cast_mut(), len: size, cap: 0, read_pos: 0 };
        made.check()?;
        if buffer.is_null() {
            return Err(Failure::null("buffer"));
        }
        // SAFETY: hew.h, Conventions: `buffer` is NULL, which was asked above, or a structure of the caller's.
        unsafe { write("buffer", buffer, made) }
    });
}

/// Frees the bytes of a buffer that was written, and makes it empty; the structure itself stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_buf_free(buffer: *mut HewWireBuf) {
    if buffer.is_null() {
        return;
    }
    // SAFETY: hew.h, Conventions: `buffer` is a structure that nobody else uses; its data is the library's, from
    // `malloc`, where `cap` is not 0.
    unsafe {
        with("hew_wire_buf_free", buffer, |buffer| {
            if buffer.cap > 0 {
                free_malloc(buffer.data.cast());
            }
            *buffer = HewWireBuf::EMPTY;
            Ok(())
        });
    }
}

/// Frees a buffer of `hew_wire_buf_new` with its bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_buf_destroy(buffer: *mut HewWireBuf) {
    // SAFETY: the conditions are the same; the structure came from `malloc` in `hew_wire_buf_new`.
    unsafe {
        hew_wire_buf_free(buffer);
        free_malloc(buffer.cast());
    }
}

/// Appends a number as LEB128.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_encode_field_varint(
    buffer: *mut HewWireBuf,
    number: c_int,
    value: u64,
) -> c_int {
    let (value, length) = varint(value);
    let parts = Ok([&value[..length], &[]]);
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses.
    unsafe { field("hew_wire_encode_field_varint", buffer, number, WireType::Varint, parts) }
}

/// Appends 4 bytes, the lowest first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_encode_field_fixed32(
    buffer: *mut HewWireBuf,
    number: c_int,
    value: u32,
) -> c_int {
    let parts = Ok([&value.to_le_bytes()[..], &[]]);
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses.
    unsafe { field("hew_wire_encode_field_fixed32", buffer, number, WireType::Fixed32, parts) }
}

/// Appends 8 bytes, the lowest first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_encode_field_fixed64(
    buffer: *mut HewWireBuf,
    number: c_int,
    value: u64,
) -> c_int {
    let parts = Ok([&value.to_le_bytes()[..], &[]]);
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses.
    unsafe { field("hew_wire_encode_field_fixed64", buffer, number, WireType::Fixed64, parts) }
}

/// Appends a length as LEB128 and that many bytes, which must not be the buffer's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_encode_field_bytes(
    buffer: *mut HewWireBuf,
    number: c_int,
    data: *const c_void,
    size: usize,
) -> c_int {
    let (length, digits) = varint(size as u64);
    // SAFETY: hew.h, Conventions: `data` is NULL or has `size` bytes; `buffer` is NULL or a buffer that nobody else uses.
    unsafe {
        let parts = bytes("data", data, size).map(|data| [&length[..digits], data]);
        field("hew_wire_encode_field_bytes", buffer, number, WireType::Bytes, parts)
    }
}

/// Appends the bytes of a text without its NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_encode_field_string(
    buffer: *mut HewWireBuf,
    number: c_int,
    string: *const c_char,
) -> c_int {
    // SAFETY: hew.h, Conventions: `string` is NULL or ends with NUL; `buffer` is NULL or a buffer that nobody else uses.
    unsafe {
        let string = text("string", string);
        let (length, digits) = varint(string.as_ref().map_or(0, |string| string.len() as u64));
        let parts = string.map(|string| [&length[..digits], string.as_bytes()]);
        field("hew_wire_encode_field_string", buffer, number, WireType::Bytes, parts)
    }
}

/// Reads the next value.
///
/// # Safety
/// As [`with`], and `out` is NULL or has room for a `T`.
unsafe fn decode<T: Copy>(
    function: &str,
    buffer: *mut HewWireBuf,
    out: *mut T,
    read: impl FnOnce(&'static [u8]) -> Result<(T, usize), Failure>,
) -> c_int {
    // SAFETY: the condition is the same. The bytes are used while this call lasts, as `read` is: what `hew_wire_decode_bytes`
    // gives out of them is a pointer.
    unsafe {
        with(function, buffer, |buffer| {
            let (value, length) = read(buffer.rest()?)?;
            if out.is_null() {
                return Err(Failure::null("the result"));
            }
            write("the result", out, value)?;
            buffer.read_pos += length;
            Ok(())
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Failure> {
    let fixed = bytes.first_chunk().copied();
    fixed.ok_or_else(|| wrong("the buffer ends within a fixed number"))
}

/// Reads LEB128, a tag or a number. A negative code for a number that is cut off, too long or larger than 64 bits; the
/// position stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_decode_varint(buffer: *mut HewWireBuf, value: *mut u64) -> c_int {
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses, `value` NULL or room for a number.
    unsafe { decode("hew_wire_decode_varint", buffer, value, read_varint) }
}

/// Reads 4 bytes, the lowest first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_decode_fixed32(buffer: *mut HewWireBuf, value: *mut u32) -> c_int {
    let read = |bytes: &[u8]| fixed(bytes).map(|bytes| (u32::from_le_bytes(bytes), 4));
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses, `value` NULL or room for a number.
    unsafe { decode("hew_wire_decode_fixed32", buffer, value, read) }
}

/// Reads 8 bytes, the lowest first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_decode_fixed64(buffer: *mut HewWireBuf, value: *mut u64) -> c_int {
    let read = |bytes: &[u8]| fixed(bytes).map(|bytes| (u64::from_le_bytes(bytes), 8));
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses, `value` NULL or room for a number.
    unsafe { decode("hew_wire_decode_fixed64", buffer, value, read) }
}

/// Reads a length and that many bytes: `*data` points into the buffer's own bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_wire_decode_bytes(
    buffer: *mut HewWireBuf,
    data: *mut *const c_void,
    size: *mut usize,
) -> c_int {
    if size.is_null() {
        return status("hew_wire_decode_bytes", || Err(Failure::null("size")));
    }
    let read = |bytes: &'static [u8]| {
        let (length, digits) = read_varint(bytes)?;
        let content = usize::try_from(length).ok().and_then(|length| bytes[digits..].get(..length));
        let content = content.ok_or_else(|| wrong("the buffer ends within a byte string"))?;
        Ok(((content.as_ptr().cast(), content.len()), digits + content.len()))
    };
    let mut found: (*const c_void, usize) = (null(), 0);
    // SAFETY: hew.h, Conventions: `buffer` is NULL or a buffer that nobody else uses; `found` is this function's.
    let code = unsafe { decode("hew_wire_decode_bytes", buffer, &raw mut found, read) };
    if code != 0 {
        return code;
    }
    status("hew_wire_decode_bytes", || {
        // SAFETY: hew.h, Conventions: both are NULL or have room for their types.
        unsafe {
            write("data", data, found.0)?;
            write("size", size, found.1)
        }
    })
}

/// A signed number as an unsigned one that is small when it is: 0, -1, 1, -2 become 0, 1, 2, 3.
#[unsafe(no_mangle)]
pub extern "C" fn hew_wire_zigzag_encode(value: i64) -> u64 {
    // The sign bit moves to the lowest place; the bits are kept by both conversions.
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of `hew_wire_zigzag_encode`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_wire_zigzag_decode(value: u64) -> i64 {
    // The bits are kept by both conversions.
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (value, bytes) in [
            (0, &[0][..]),
            (127, &[0x7F]),
            (128, &[0x80, 0x01]),
            (300, &[0xAC, 0x02]),
            (u64::MAX, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
        ] {
            let (encoded, length) = varint(value);
            assert_eq!(&encoded[..length], bytes, "{value}");
            assert_eq!(read_varint(bytes), Ok((value, bytes.len())));
            for cut in 0..bytes.len() {
                assert!(read_varint(&bytes[..cut]).is_err(), "{value} cut to {cut}");
            }
        }
        for wrong in
            [&[0x80, 0x00][..], &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], &[0xFF; 11]]
        {
            assert!(read_varint(wrong).is_err(), "{wrong:x?}");
        }
    }

    #[test]
    fn signed_numbers_come_back() {
        for (signed, unsigned) in
            [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)]
        {
            assert_eq!(hew_wire_zigzag_encode(signed), unsigned);
            assert_eq!(hew_wire_zigzag_decode(unsigned), signed);
        }
    }
}
