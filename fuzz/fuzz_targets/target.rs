//! The program that libFuzzer drives: one for all targets, which the environment names.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hew_fuzz::chosen()(bytes));
