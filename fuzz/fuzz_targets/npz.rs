//! Problems in npz archives.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| featherm::data::fuzz::npz(bytes));
