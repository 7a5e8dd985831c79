//! IDX files, gzipped or not.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| featherm::data::fuzz::idx(bytes));
